//! One frame of `tidegate top`: a pure function of what the console answered.

use crate::app::cli::ask::Answer;
use crate::app::cli::show::text;
use crate::app::line::{Line, Paint, bar, curve};
use std::collections::{BTreeMap, VecDeque};

/// Seconds that a curve goes back.
const REMEMBERED: usize = 40;
const BAR: usize = 16;

/// What one look at the proxy brought.
pub(super) struct Look {
    pub(super) version: String,
    pub(super) clients: String,
    pub(super) servers: String,
    pub(super) rates: Answer,
    pub(super) nodes: Answer,
    pub(super) waiting: Answer,
    pub(super) shapes: Answer,
}

/// What earlier looks brought.
#[derive(Default)]
pub(super) struct Past {
    nodes: Option<Answer>,
    /// Queries a second, by cluster.
    queries: BTreeMap<String, VecDeque<u64>>,
}

impl Past {
    /// Takes in the rates of a new look.
    pub(super) fn note(&mut self, look: &Look) {
        for row in 0..look.rates.rows.len() {
            let cluster = look.rates.cell(row, "cluster").to_owned();
            let queries = self.queries.entry(cluster).or_default();
            queries.push_back(number(&look.rates, row, "queries"));
            if queries.len() > REMEMBERED {
                queries.pop_front();
            }
        }
    }

    /// The look is the last one now.
    pub(super) fn keep(&mut self, look: Look) {
        self.nodes = Some(look.nodes);
    }
}

fn number(answer: &Answer, row: usize, column: &str) -> u64 {
    answer.cell(row, column).parse().unwrap_or(0)
}

/// The whole screen.
pub(super) fn frame(look: &Look, past: &Past) -> Vec<Line> {
    let mut lines = vec![
        Line::default()
            .and(Paint::Strong, &*look.version)
            .and(Paint::Plain, format!("  {} clients", look.clients))
            .and(Paint::Plain, format!(", {} server connections in use", look.servers))
            .and(Paint::Faint, "  q ends"),
        Line::default(),
    ];
    lines.extend((0..look.rates.rows.len()).map(|row| rates(look, past, row)));
    lines.push(Line::default());
    lines.push(Line::default().and(
        Paint::Strong,
        format!(
            "{:<24}{:<10}{:>12}{:>10}{:>10}",
            "node", "role", "staleness", "writes/s", "reads/s"
        ),
    ));
    lines.extend(nodes(&look.nodes, past.nodes.as_ref().unwrap_or(&look.nodes)));
    if !look.waiting.rows.is_empty() {
        lines.push(Line::default());
        lines.push(Line::default().and(Paint::Doubtful, "pools with waiting clients:"));
        lines.extend(text(&look.waiting).lines().map(|line| line.to_owned().into()));
    }
    lines.push(Line::default());
    lines.extend(text(&look.shapes).lines().map(|line| line.to_owned().into()));
    lines
}

/// A cluster's last second.
fn rates(look: &Look, past: &Past, row: usize) -> Line {
    let rates = &look.rates;
    let cluster = rates.cell(row, "cluster");
    let count = |column| number(rates, row, column);
    let millis = |column| match rates.cell(row, column).parse::<u64>() {
        Ok(micros) => format!("{:.1} ms", micros as f64 / 1000.0),
        Err(_) => "-".into(),
    };
    let worth = |count: u64, paint| if count > 0 { paint } else { Paint::Faint };
    let (errors, retries, waiting) = (count("errors"), count("retries"), count("waiting"));
    let curve = past.queries.get(cluster).map(|past| curve(past.iter().copied()));
    Line::default()
        .and(Paint::Strong, format!("{cluster:<24}"))
        .and(Paint::Plain, format!("{:>8} queries/s", count("queries")))
        .and(Paint::Plain, format!("  p50 {}  p99 {}", millis("p50_us"), millis("p99_us")))
        .and(worth(errors, Paint::Bad), format!("  {errors} errors"))
        .and(worth(retries, Paint::Doubtful), format!("  {retries} retries"))
        .and(worth(waiting, Paint::Doubtful), format!("  {waiting} waiting"))
        .and(Paint::Bar, format!("  {}", curve.unwrap_or_default()))
}

fn nodes(now: &Answer, before: &Answer) -> Vec<Line> {
    let since = |row, column| number(now, row, column).saturating_sub(number(before, row, column));
    let reads: Vec<u64> = (0..now.rows.len()).map(|row| since(row, "served_reads")).collect();
    let all = reads.iter().sum();
    let line = |row: usize| {
        let (role, age) = (now.cell(row, "role"), now.cell(row, "staleness_ms"));
        let (paint, age) = match (role, age) {
            ("primary", _) => (Paint::Good, "-".to_owned()),
            ("replica", "") => (Paint::Doubtful, "unknown".to_owned()),
            ("replica", age) => (Paint::Plain, format!("{age} ms")),
            (_, _) => (Paint::Bad, "-".to_owned()),
        };
        let name = format!("{}.{}", now.cell(row, "cluster"), now.cell(row, "node"));
        Line::default()
            .and(Paint::Plain, format!("{name:<24}"))
            .and(paint, format!("{role:<10}"))
            .and(Paint::Plain, format!("{age:>12}{:>10}", since(row, "served_writes")))
            .and(Paint::Plain, format!("{:>10}", reads[row]))
            .and(Paint::Bar, format!("  {}", bar(reads[row], all, BAR)))
    };
    (0..now.rows.len()).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::cli::ask::Column;

    fn column(name: &str) -> Column {
        Column { name: name.to_owned(), is_number: false }
    }

    fn answer(columns: &[&str], rows: &[&[&str]]) -> Answer {
        let cells = |row: &&[&str]| row.iter().map(|cell| Some((*cell).to_owned())).collect();
        Answer {
            columns: columns.iter().map(|name| column(name)).collect(),
            rows: rows.iter().map(cells).collect(),
            ..Answer::default()
        }
    }

    fn look(queries: &str, reads: [&str; 3]) -> Look {
        let of = ["cluster", "node", "role", "staleness_ms", "served_reads", "served_writes"];
        let rates = ["cluster", "queries", "errors", "retries", "waiting", "p50_us", "p99_us"];
        Look {
            version: "Tidegate 0.1.0".into(),
            clients: "12".into(),
            servers: "8".into(),
            rates: answer(&rates, &[&["orders", queries, "3", "0", "0", "800", "4200"]]),
            nodes: answer(
                &of,
                &[
                    &["orders", "a", "primary", "", reads[0], "7"],
                    &["orders", "b", "replica", "12", reads[1], "0"],
                    &["orders", "c", "unreachable", "", reads[2], "0"],
                ],
            ),
            waiting: Answer::default(),
            shapes: Answer::default(),
        }
    }

    #[test]
    fn rates_are_differences_and_bars_are_shares() {
        let mut past = Past::default();
        let first = look("10", ["0", "100", "5"]);
        past.note(&first);
        past.keep(first);
        let second = look("20", ["1", "103", "5"]);
        past.note(&second);
        let lines = frame(&second, &past);
        let seen: Vec<String> = lines.iter().map(|line| line.painted(200, false)).collect();
        assert!(
            seen[2].ends_with(
                "20 queries/s  p50 0.8 ms  p99 4.2 ms  3 errors  0 retries  0 waiting  ▄█"
            )
        );
        assert!(seen[5].ends_with("0         1  ████"), "{}", seen[5]);
        assert!(seen[6].ends_with("12 ms         0         3  ████████████"), "{}", seen[6]);
        assert!(seen[7].contains("unreachable") && seen[7].ends_with("0  "), "{}", seen[7]);
        // Errors are what one must not overlook.
        assert!(lines[2].painted(200, true).contains("\x1b[31m  3 errors\x1b[0m"));
        assert_eq!(lines[6].plain().matches('█').count(), 0);
    }
}
