//! Judges what `the classify tool` printed: `verdict<TAB>statement` lines on its input.
//!
//! Ends with 1 if something called a read is none by pg_query, which is the one dangerous mistake.
//! Reads that the classifier sends to the primary are counted and listed with `--list`.

use std::io::{self, BufRead};
use std::process::ExitCode;

use oracle::{Opinion, Oracle};

fn main() -> io::Result<ExitCode> {
    let list = std::env::args().any(|arg| arg == "--list");
    let oracle = Oracle::default();
    let (mut all, mut wrong, mut missed, mut refused) = (0, 0, 0, 0);
    for line in io::stdin().lock().split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        let Some((verdict, sql)) = line.split_once('\t') else { continue };
        let text = sql.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t");
        all += 1;
        match (verdict, oracle.opinion(&text.replace('\0', "\\"))) {
            ("read", Opinion::Write) => {
                wrong += 1;
                println!("called a read: {sql}");
            }
            ("read", _) => {}
            (_, Opinion::Refused) => refused += 1,
            (_, Opinion::Read) => {
                missed += 1;
                if list {
                    println!("could be a read, is {verdict}: {sql}");
                }
            }
            _ => {}
        }
    }
    println!("{all} texts: {wrong} wrong, {missed} reads for the primary, {refused} not parsed");
    Ok(if wrong == 0 && all > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
