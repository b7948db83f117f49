//! Nanoseconds per statement of the classifier, for a hit in the cache and for the grammar.
//!
//! ```text
//! cargo run --release --example bench_lexer [--count STATEMENT TIMES]
//! ```
//!
//! `--count` classifies one statement, by its place in the list, so many times and measures
//! nothing: `bench/classify` counts the instructions of that.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tidegate::sql::{Catalog, Classifier, Settings};

fn statements() -> Vec<(&'static str, String)> {
    let columns: Vec<String> = (0..14).map(|i| format!("t.column_number_{i}")).collect();
    let long = format!(
        "SELECT {} FROM orders t JOIN customers c ON c.id = t.customer_id WHERE t.created_at > \
         '2026-01-01 00:00:00' AND t.state = 'open' AND c.country = 'DE' AND t.total > 99.5 ORDER \
         BY t.created_at DESC LIMIT 50",
        columns.join(", ")
    );
    vec![
        ("pgbench -S", "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;".into()),
        ("pgbench -S, prepared", "SELECT abalance FROM pgbench_accounts WHERE aid = $1;".into()),
        ("begin", "BEGIN".into()),
        (
            "pgbench update",
            "UPDATE pgbench_accounts SET abalance = abalance + -1234 WHERE aid = 4711;".into(),
        ),
        ("report query", long),
    ]
}

/// The fastest of many short rounds: the others were disturbed.
fn best(mut work: impl FnMut()) -> f64 {
    const CALLS: u32 = 2_000;
    let started = Instant::now();
    let mut best = f64::INFINITY;
    while started.elapsed() < Duration::from_millis(500) {
        let round = Instant::now();
        for _ in 0..CALLS {
            work();
        }
        best = best.min(round.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    best
}

fn main() {
    let cached = Classifier::new(&Settings::default());
    let catalog = Catalog::default();
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let [count, which, times] = &asked[..]
        && count == "--count"
        && let (Ok(which), Ok(times)) = (which.parse::<usize>(), times.parse::<u32>())
    {
        let (_, sql) = &statements()[which];
        for _ in 0..times {
            black_box(cached.analyse(black_box(sql.as_bytes()), &catalog));
        }
        return;
    }
    // What does not fit the cache is parsed each time.
    let uncached = Classifier::new(&Settings { cache_bytes: 0, ..Settings::default() });
    println!("{:22} {:>6} {:>9} {:>11}", "statement", "bytes", "hit, ns", "grammar, ns");
    for (name, sql) in statements() {
        let hit = best(|| drop(black_box(cached.analyse(black_box(sql.as_bytes()), &catalog))));
        let miss = best(|| drop(black_box(uncached.analyse(black_box(sql.as_bytes()), &catalog))));
        println!("{name:22} {:>6} {hit:>9.1} {miss:>11.0}", sql.len());
    }
}
