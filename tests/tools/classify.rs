//! Says what each statement text of its input does: the verdict, a tab, the text.
//!
//! ```text
//! printf 'SELECT 1\nDELETE FROM t\n' | cargo run --example classify
//! ```
//!
//! One text a line; `\n`, `\t` and `\\` stand for a line end, a tab and a backslash. The oracle in
//! `tests/oracle` reads its output.

use std::io::{self, BufRead, Write};

use tidegate::sql::{Catalog, Classifier, Settings, Why};

fn main() -> io::Result<()> {
    let classifier = Classifier::new(&Settings::default());
    // What does not fit its cache is looked at by the grammar each time.
    let grammar = Classifier::new(&Settings { cache_bytes: 0, ..Settings::default() });
    let catalog = Catalog::default();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().split(b'\n') {
        let line = line?;
        let sql = unescape(&line);
        let exact = grammar.analyse(&sql, &catalog);
        // By its shape it must be the same, whoever was there before; an error is one anywhere.
        for _ in 0..2 {
            let found = classifier.analyse(&sql, &catalog);
            let fails = exact.primary == Some(Why::Unparsed);
            assert!(fails || found == exact, "{}", String::from_utf8_lossy(&line));
        }
        let verdict = exact.primary.map_or("read", Why::name);
        write!(out, "{verdict}\t")?;
        out.write_all(&line)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn unescape(line: &[u8]) -> Vec<u8> {
    let mut bytes = line.iter();
    let mut text = Vec::with_capacity(line.len());
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(other) => *other,
                None => b'\\',
            },
            byte => *byte,
        });
    }
    text
}
