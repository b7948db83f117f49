//! One server process: started, stopped, killed, frozen.

use super::install::Install;
use crate::lab::{LabError, mark, spawn, tree};
use parking_lot::Mutex;
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
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

#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) install: Install,
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    pub(super) sockets: PathBuf,
    pub(super) child: Mutex<Option<Child>>,
}

impl Server {
    /// Starts the process; it may not accept connections yet.
    pub(super) async fn launch(&self, port: u16) -> Result<(), LabError> {
        let what = format!("start server {}", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(LabError::io(format!("open {}", self.log.display())))?;
        let mut command = self.install.command("postgres", &self.data);
        command.arg("-D").arg(&self.data).args(["-p", &port.to_string()]);
        command.stdout(log.try_clone().map_err(LabError::io(&what))?).stderr(log);
        let child = spawn::start(command).await.map_err(LabError::io(&what))?;
        *self.child.lock() = Some(child);
        Ok(())
    }

    /// The postmaster, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.exited().is_none().then(|| self.child.lock().as_ref().map(Child::id))?
    }

    /// How the process ended; `None` while it runs or when there is none.
    pub(super) fn exited(&self) -> Option<ExitStatus> {
        self.child.lock().as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    pub(super) fn ask_to_stop(&self, how: How) {
        let Some(pid) = self.pid() else { return };
        let signal = if how == How::Fast { Signal::INT } else { Signal::QUIT };
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

impl Drop for Server {
    fn drop(&mut self) {
        // Asked first, so that the postmaster reaps its children and frees its shared memory.
        self.ask_to_stop(How::Immediate);
        self.reap(Duration::from_secs(5));
        self.kill();
        mark::remove(&self.data);
    }
}
