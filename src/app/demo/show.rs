//! The demo for people: redrawn in a terminal, one line a second elsewhere.

use super::DemoError;
use super::screen::{self, Scene};
use super::stage::Stage;
use rustix::termios::tcgetwinsize;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Until the caller drops it.
pub(super) async fn show(stage: &Stage) -> Result<(), DemoError> {
    let mut shown = Shown::new()?;
    let started = Instant::now();
    let mut before = (stage.view(), Instant::now());
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.tick().await;
    loop {
        tick.tick().await;
        let now = (stage.view(), Instant::now());
        let tally = stage.workload.tally();
        let scene = Scene {
            running: started.elapsed(),
            between: now.1 - before.1,
            before: &before.0,
            now: &now.0,
            tally: &tally,
            engine: stage.engine,
            doors: stage.doors(),
            folder: stage.servers.folder(),
        };
        shown.draw(&scene)?;
        before = now;
    }
}

/// What stands in the terminal; the cursor comes back when this is dropped.
struct Shown {
    terminal: bool,
    lines: usize,
}

impl Shown {
    fn new() -> io::Result<Shown> {
        let mut out = io::stdout();
        let terminal = out.is_terminal();
        if terminal {
            write!(out, "\x1b[?25l")?;
            out.flush()?;
        }
        Ok(Shown { terminal, lines: 0 })
    }

    fn draw(&mut self, scene: &Scene<'_>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !self.terminal {
            if self.lines == 0 {
                screen::doors(scene).iter().try_for_each(|line| writeln!(out, "{line}"))?;
            }
            self.lines = 1;
            return writeln!(out, "{}", screen::line(scene));
        }
        let (width, height) = size();
        let lines = screen::frame(scene);
        if self.lines > 0 {
            // Up to where the last frame began; a line that wraps would break the count.
            write!(out, "\x1b[{}A", self.lines)?;
        }
        self.lines = lines.len().min(height.saturating_sub(1));
        for line in lines.iter().take(self.lines) {
            let cut: String = line.chars().take(width).collect();
            writeln!(out, "\r{cut}\x1b[K")?;
        }
        write!(out, "\x1b[J")?;
        out.flush()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.terminal {
            let mut out = io::stdout();
            let _ = write!(out, "\x1b[?25h").and_then(|()| out.flush());
        }
    }
}

/// Columns and rows of the terminal; what every terminal had, where it does not say.
fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (80, 24),
    }
}
