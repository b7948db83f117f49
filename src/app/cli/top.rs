//! `tidegate top`: a live screen of what a running proxy does.

mod frame;

use super::ask::{Console, with_console};
use super::show::Of;
use crate::app::line::Line;
use crate::app::run::told_to_stop;
use crate::app::screen::{Keys, Screen};
use frame::{Look, Past, frame};
use std::process::ExitCode;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
/// Statements that are shown.
const SHAPES: usize = 12;

/// Redraws once a second until q or Ctrl-C; without a terminal it says it once.
pub(super) fn top(of: &Of) -> ExitCode {
    with_console(&of.config, async |console| {
        let mut screen = Screen::open().map_err(io)?;
        let mut past = Past::default();
        let (mut keys, mut told) = (None, std::pin::pin!(told_to_stop().map_err(io)?));
        if screen.is_some() {
            keys = Keys::open().map_err(io)?;
        }
        loop {
            let seen = look(&console).await?;
            past.note(&seen);
            let lines = frame(&seen, &past);
            let Some(screen) = &mut screen else {
                let plain: Vec<String> = lines.iter().map(Line::plain).collect();
                return Ok(super::print(&(plain.join("\n") + "\n")));
            };
            screen.draw(&lines).map_err(io)?;
            past.keep(seen);
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

async fn look(console: &Console) -> Result<Look, String> {
    let version = console.ask("SHOW VERSION").await?;
    let used = console.ask("SHOW LISTS WHERE list LIKE 'used_%'").await?;
    let waiting =
        "SHOW NODE_POOLS WHERE waiting > 0 ORDER BY maxwait DESC, maxwait_us DESC LIMIT 5";
    Ok(Look {
        version: version.cell(0, "version").to_owned(),
        clients: used.cell(0, "items").to_owned(),
        servers: used.cell(1, "items").to_owned(),
        rates: console.ask("SHOW RATES").await?,
        nodes: console.ask("SHOW NODES").await?,
        waiting: console.ask(waiting).await?,
        shapes: console.ask(&format!("SHOW ROUTES LIMIT {SHAPES}")).await?,
    })
}
