//! `tidegate status`, `nodes`, `routes`, `events`, `console`: what a running proxy sees.

use super::ask::{Answer, Console, with_console};
use super::print;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Which proxy, and how it is shown.
#[derive(Debug, Args)]
pub(super) struct Of {
    /// The configuration file of the running proxy
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// One JSON value instead of tables; of events, one in each line
    #[arg(long)]
    json: bool,
}

/// One command of the console, whose answer is a table or some lines.
pub(super) fn command(of: &Of, command: &str) -> ExitCode {
    with_console(&of.config, async |console| {
        let answer = console.ask(command).await?;
        if of.json && !answer.columns.is_empty() {
            return Ok(print_json(&Value::Array(answer.json())));
        }
        if of.json {
            return Ok(print_json(&json!({ "notices": answer.notices })));
        }
        let notices: String = answer.notices.iter().map(|line| format!("{line}\n")).collect();
        Ok(print(&(notices + &text(&answer))))
    })
}

/// How often a running proxy is asked for what is new.
const POLL: Duration = Duration::from_millis(500);

/// What happened, and with `follow` what happens, until Ctrl-C.
pub(super) fn events(of: &Of, follow: bool) -> ExitCode {
    with_console(&of.config, async |console| {
        let mut last = 0_u64;
        loop {
            let new = console.ask(&format!("SHOW EVENTS WHERE number > {last}")).await?;
            last = new.cell(new.rows.len().saturating_sub(1), "number").parse().unwrap_or(last);
            let lines = match of.json {
                true => new.json().iter().map(|event| format!("{event}\n")).collect(),
                false => (0..new.rows.len()).map(|row| event(&new, row)).collect::<String>(),
            };
            if print(&lines) != ExitCode::SUCCESS || !follow {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(POLL).await;
        }
    })
}

fn event(events: &Answer, row: usize) -> String {
    let [at, kind, cluster, node, what] =
        ["at", "kind", "cluster", "node", "what"].map(|column| events.cell(row, column));
    let of = match (cluster, node) {
        ("", _) => String::new(),
        (cluster, "") => format!("{cluster}: "),
        (cluster, node) => format!("{cluster}.{node}: "),
    };
    format!("{at}  {kind:<8}  {of}{what}\n")
}

/// All at a glance. The exit code is 0 if the proxy serves and every cluster has a primary.
pub(super) fn status(of: &Of) -> ExitCode {
    with_console(&of.config, async |console| {
        let seen = Seen::of(&console).await?;
        let printed = match of.json {
            true => print_json(&seen.json()),
            false => print(&seen.text()),
        };
        Ok(if seen.is_well() { printed } else { ExitCode::FAILURE })
    })
}

struct Seen {
    version: Answer,
    state: Answer,
    databases: Answer,
    nodes: Answer,
    rates: Answer,
    events: Answer,
}

impl Seen {
    async fn of(console: &Console) -> Result<Seen, String> {
        Ok(Seen {
            version: console.ask("SHOW VERSION").await?,
            state: console.ask("SHOW STATE").await?,
            databases: console.ask("SHOW DATABASES").await?,
            nodes: console.ask("SHOW NODES").await?,
            rates: console.ask("SHOW STATS_AVERAGES").await?,
            events: console.ask("SHOW EVENTS ORDER BY number DESC LIMIT 5").await?,
        })
    }

    fn is_well(&self) -> bool {
        let active = self.state.cell(0, "value") == "yes";
        active && self.headless().is_empty()
    }

    /// Clusters without a primary.
    fn headless(&self) -> Vec<&str> {
        let rows = 0..self.nodes.rows.len();
        let of = |row| (self.nodes.cell(row, "cluster"), self.nodes.cell(row, "role"));
        let led: Vec<&str> =
            rows.clone().map(of).filter(|(_, role)| *role == "primary").map(|(c, _)| c).collect();
        let mut headless: Vec<&str> =
            rows.map(of).map(|(cluster, _)| cluster).filter(|c| !led.contains(c)).collect();
        headless.dedup();
        headless
    }

    fn json(&self) -> Value {
        json!({
            "well": self.is_well(),
            "version": self.version.json(),
            "state": self.state.json(),
            "databases": self.databases.json(),
            "nodes": self.nodes.json(),
            "averages": self.rates.json(),
            "events": self.events.json(),
        })
    }

    fn text(&self) -> String {
        let uptime: u64 = self.version.cell(0, "uptime_s").parse().unwrap_or(0);
        let mut out = format!(
            "{}, up {}, {}\n\n",
            self.version.cell(0, "version"),
            age(uptime),
            if self.state.cell(0, "value") == "yes" { "serving" } else { "not serving" },
        );
        for cluster in self.headless() {
            out.push_str(&format!("cluster {cluster} has no primary\n\n"));
        }
        out.push_str(&text(&brief(&self.nodes, NODES)));
        out.push_str("\nthe last minute, a second (times in microseconds):\n");
        out.push_str(&text(&self.rates));
        out.push_str("\nlast events:\n");
        let lines: Vec<String> =
            (0..self.events.rows.len()).map(|row| event(&self.events, row)).collect();
        out.extend(lines.into_iter().rev());
        out
    }
}

/// `3 d 4 h`, `5 min 6 s`
fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Columns of SHOW NODES that fit a screen.
const NODES: &[&str] =
    &["cluster", "node", "addr", "role", "reason", "staleness_ms", "served_reads", "served_writes"];

/// The same answer with these columns only.
fn brief(answer: &Answer, columns: &[&str]) -> Answer {
    let row = |row: usize| {
        columns.iter().map(|column| Some(answer.cell(row, column).to_owned())).collect()
    };
    let column = |name: &&str| {
        let is_number = answer.columns.iter().any(|c| c.name == **name && c.is_number);
        super::ask::Column { name: (*name).to_owned(), is_number }
    };
    Answer {
        columns: columns.iter().map(column).collect(),
        rows: (0..answer.rows.len()).map(row).collect(),
        notices: Vec::new(),
    }
}

/// A table without lines, numbers to the right.
pub(super) fn text(answer: &Answer) -> String {
    if answer.columns.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(answer.columns.iter().map(|column| column.name.as_str()));
    for row in &answer.rows {
        table.add_row(row.iter().map(|cell| cell.as_deref().unwrap_or_default()));
    }
    for (shown, column) in table.column_iter_mut().zip(&answer.columns) {
        if column.is_number {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

fn print_json(value: &Value) -> ExitCode {
    print(&format!("{value:#}\n"))
}
