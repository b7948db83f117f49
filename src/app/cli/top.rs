//! `tidegate top`: a live screen of what a running proxy does.

use super::ask::{Answer, Console, with_console};
use super::show::{Of, text};
use crate::app::run::told_to_stop;
use crate::app::screen::{Keys, Screen};
use std::process::ExitCode;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
/// Statements that are shown.
const SHAPES: usize = 12;

/// Redraws once a second until q or Ctrl-C; without a terminal it says it once.
pub(super) fn top(of: &Of) -> ExitCode {
    with_console(&of.config, async |console| {
        let mut screen = Screen::open().map_err(io)?;
        let mut before: Option<Answer> = None;
        let (mut keys, mut told) = (None, std::pin::pin!(told_to_stop().map_err(io)?));
        if screen.is_some() {
            keys = Keys::open().map_err(io)?;
        }
        loop {
            let nodes = console.ask("SHOW NODES").await?;
            let lines = frame(&console, before.as_ref().unwrap_or(&nodes), &nodes).await?;
            let Some(screen) = &mut screen else {
                return Ok(super::print(&(lines.join("\n") + "\n")));
            };
            screen.draw(&lines).map_err(io)?;
            before = Some(nodes);
            // All are cancel-safe.
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = quit(keys.as_mut()) => return Ok(ExitCode::SUCCESS),
                () = &mut told => return Ok(ExitCode::SUCCESS),
            }
        }
    })
}

fn io(error: std::io::Error) -> String {
    error.to_string()
}

/// Without keys nobody quits by them.
async fn quit(keys: Option<&mut Keys>) {
    match keys {
        Some(keys) => keys.quit().await,
        None => std::future::pending().await,
    }
}

async fn frame(console: &Console, before: &Answer, nodes: &Answer) -> Result<Vec<String>, String> {
    let version = console.ask("SHOW VERSION").await?;
    let lists = console.ask("SHOW LISTS WHERE list LIKE 'used_%'").await?;
    let rates = console.ask("SHOW RATES").await?;
    let waiting =
        "SHOW NODE_POOLS WHERE waiting > 0 ORDER BY maxwait DESC, maxwait_us DESC LIMIT 5";
    let waiting = console.ask(waiting).await?;
    let shapes = console.ask(&format!("SHOW ROUTES LIMIT {SHAPES}")).await?;
    let mut lines = vec![format!(
        "{}, {} clients, {} server connections in use; q ends",
        version.cell(0, "version"),
        lists.cell(0, "items"),
        lists.cell(1, "items"),
    )];
    lines.push(String::new());
    lines.extend(text(&rates).lines().map(str::to_owned));
    lines.push(String::new());
    lines.push(format!(
        "{:<24}{:<10}{:>14}{:>10}{:>10}",
        "node", "role", "staleness ms", "reads/s", "writes/s"
    ));
    lines.extend((0..nodes.rows.len()).map(|row| node(before, nodes, row)));
    if !waiting.rows.is_empty() {
        lines.push(String::new());
        lines.push("pools with waiting clients:".into());
        lines.extend(text(&waiting).lines().map(str::to_owned));
    }
    lines.push(String::new());
    lines.extend(text(&shapes).lines().map(str::to_owned));
    Ok(lines)
}

fn node(before: &Answer, now: &Answer, row: usize) -> String {
    let since = |column| {
        let count = |answer: &Answer| answer.cell(row, column).parse::<u64>().unwrap_or(0);
        count(now).saturating_sub(count(before))
    };
    let age = match now.cell(row, "role") {
        "primary" => "-",
        _ => now.cell(row, "staleness_ms"),
    };
    format!(
        "{:<24}{:<10}{:>14}{:>10}{:>10}",
        format!("{}.{}", now.cell(row, "cluster"), now.cell(row, "node")),
        now.cell(row, "role"),
        age,
        since("served_reads"),
        since("served_writes"),
    )
}
