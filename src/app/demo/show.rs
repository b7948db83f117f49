//! The demo for people: redrawn in a terminal, one line a second elsewhere.

use super::DemoError;
use super::screen::{self, Scene};
use super::stage::Stage;
use crate::app::screen::Screen;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Until the caller drops it.
pub(super) async fn show(stage: &Stage) -> Result<(), DemoError> {
    let mut terminal = Screen::open()?;
    let mut is_first = true;
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
        match &mut terminal {
            Some(terminal) => terminal.draw(&screen::frame(&scene))?,
            None => print(&scene, is_first)?,
        }
        is_first = false;
        before = now;
    }
}

/// One line; before the first one, where to connect.
fn print(scene: &Scene<'_>, is_first: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if is_first {
        screen::doors(scene).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    writeln!(out, "{}", screen::line(scene))
}
