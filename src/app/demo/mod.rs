//! `tidegate demo`: a throwaway cluster, the proxy, a workload, and a look at all of it.

mod check;
mod client;
mod screen;
mod servers;
mod show;
mod stage;
mod workload;

use super::run::{RunError, runtime};
use crate::lab::LabError;
use indicatif::ProgressBar;
pub(super) use servers::Engine;
use stage::Stage;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Why the demo ends with an error.
#[derive(Debug, Error)]
enum DemoError {
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error("the proxy: {0}")]
    Proxy(#[from] RunError),
    #[error("the configuration of the demo:\n{0}")]
    Config(#[from] crate::config::Problems),
    #[error("a statement through the proxy failed: {0}")]
    Client(#[from] client::ClientError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Check(#[from] check::Failed),
    #[error("interrupted")]
    Interrupted,
}

/// Shows the proxy at work until somebody ends it; with `check`, runs the scripted scenario.
pub(super) fn demo(engine: Engine, check: bool) -> ExitCode {
    let ended = match runtime() {
        Ok(runtime) => runtime.block_on(perform(engine, check)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output left: no reason to complain.
        Err(DemoError::Io(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tidegate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever way this ends, servers and folder are gone: they belong to the `Stage`, or to the
/// future that is making it.
async fn perform(engine: Engine, check: bool) -> Result<(), DemoError> {
    let mut end = End::watch()?;
    let waiting = progress("starting a primary and two replicas");
    // Both branches are cancel-safe: what a half-made stage owns goes with it.
    let stage = tokio::select! {
        () = end.told() => return Err(DemoError::Interrupted),
        stage = Box::pin(Stage::set(engine)) => stage?,
    };
    waiting.finish_and_clear();
    // Both branches are cancel-safe.
    let done = tokio::select! {
        () = end.told() => if check { Err(DemoError::Interrupted) } else { Ok(()) },
        done = Box::pin(play(&stage, check)) => done,
    };
    let waiting = progress("stopping everything");
    stage.strike().await;
    waiting.finish_and_clear();
    done
}

async fn play(stage: &Stage, check: bool) -> Result<(), DemoError> {
    match check {
        true => check::check(stage).await,
        false => show::show(stage).await,
    }
}

/// A spinner on a terminal, elsewhere one line.
fn progress(what: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        eprintln!("{what} …");
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// The signals that end the demo. A second one changes nothing: it is ending already.
struct End {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl End {
    fn watch() -> io::Result<End> {
        Ok(End {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn told(&mut self) {
        // All branches are cancel-safe.
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
