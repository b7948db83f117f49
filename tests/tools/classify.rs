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
    let catalog = Catalog::default();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().split(b'\n') {
        let line = line?;
        let sql = unescape(&line);
        let verdict = classifier.analyse(&sql, &catalog).primary.map_or("read", Why::name);
        // From the cache, it must be the same.
        let again = classifier.analyse(&sql, &catalog).primary.map_or("read", Why::name);
        assert_eq!(verdict, again, "{}", String::from_utf8_lossy(&line));
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
