//! One server process: started, stopped, killed, frozen.

use super::{LabError, mark, spawn, tree};
use parking_lot::Mutex;
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How long a server may take to start or to stop on a machine that is busy otherwise.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks at something that takes milliseconds.
pub(super) const GLANCE: Duration = Duration::from_millis(5);

/// Lines of the server's log that an error shows.
const TAIL: usize = 15;

/// How a server is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Sessions are ended, then it shuts down cleanly.
    Fast,
    /// It quits without a checkpoint, and recovers at its next start.
    Immediate,
}

/// The signals by which an engine's server stops.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    pub(super) fast: Signal,
    pub(super) immediate: Signal,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    signals: Signals,
    child: Mutex<Option<Child>>,
}

impl Process {
    pub(super) fn new(name: &str, data: PathBuf, log: PathBuf, signals: Signals) -> Process {
        Process { name: name.to_string(), data, log, signals, child: Mutex::new(None) }
    }

    /// Starts the server by `command`; it may not accept connections yet.
    pub(super) async fn launch(&self, mut command: Command) -> Result<(), LabError> {
        let what = format!("start server {}", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(LabError::io(format!("open {}", self.log.display())))?;
        command.stdout(log.try_clone().map_err(LabError::io(&what))?).stderr(log);
        let child = spawn::start(command).await.map_err(LabError::io(&what))?;
        *self.child.lock() = Some(child);
        Ok(())
    }

    /// The server's process number, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.exited().is_none().then(|| self.child.lock().as_ref().map(Child::id))?
    }

    /// How the process ended; `None` while it runs or when there is none.
    pub(super) fn exited(&self) -> Option<ExitStatus> {
        self.child.lock().as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    pub(super) fn ask_to_stop(&self, how: How) {
        let Some(pid) = self.pid() else { return };
        let signal = match how {
            How::Fast => self.signals.fast,
            How::Immediate => self.signals.immediate,
        };
        tree::thaw(pid);
        tree::signal(pid, signal);
    }

    /// Waits for the end of the process, and kills what takes too long.
    pub(super) async fn ended(&self) {
        let end = Instant::now() + PATIENCE;
        while self.pid().is_some() && Instant::now() < end {
            tokio::time::sleep(GLANCE).await;
        }
        self.kill();
    }

    /// The process and its children are gone when this returns, as after a power cut.
    pub(super) fn kill(&self) {
        if let Some(pid) = self.pid() {
            let children = tree::kill(pid);
            self.reap(PATIENCE);
            tree::wait_gone(&children, PATIENCE);
        }
        *self.child.lock() = None;
    }

    fn reap(&self, within: Duration) {
        let end = Instant::now() + within;
        while self.pid().is_some() && Instant::now() < end {
            std::thread::sleep(GLANCE);
        }
    }

    /// The last lines of the server's log.
    pub(super) fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_else(|e| format!("no log: {e}"));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first, so that a postmaster reaps its children and frees its shared memory.
        self.ask_to_stop(How::Immediate);
        self.reap(Duration::from_secs(5));
        self.kill();
        mark::remove(&self.data);
    }
}
