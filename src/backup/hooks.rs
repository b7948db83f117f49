//! Tells others what went wrong with backups: by an HTTP request, and by a program.

use super::BackupId;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json;
use std::io;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long whoever is told may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A backup that was due was not taken.
    BackupFailed,
    /// A test restore failed, or could not begin.
    TestFailed,
    /// More may be lost than the operator bears.
    Late,
}

impl Event {
    pub fn name(self) -> &'static str {
        match self {
            Event::BackupFailed => "backup_failed",
            Event::TestFailed => "test_failed",
            Event::Late => "late",
        }
    }
}

/// Whom an operator wants to be told.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// A URL that takes the event as JSON, by POST. It may hold a token: nothing shows it.
    pub webhook: Option<String>,
    /// A program and its arguments; the event comes as JSON on its standard input. Empty: none.
    pub command: Vec<String>,
}

#[derive(Debug, Error)]
enum HookError {
    #[error("{0}")]
    Http(reqwest::Error),
    #[error("it answered {0}")]
    Refused(reqwest::StatusCode),
    #[error("{0}")]
    Run(#[from] io::Error),
    #[error("it ended with {0}: {1}")]
    Ended(std::process::ExitStatus, String),
    #[error("it took longer than {PATIENCE:?}")]
    Late,
}

/// Tells them, for one cluster.
pub struct Teller {
    cluster: Arc<str>,
    hooks: Hooks,
    /// Times that somebody could not be told.
    failures: Mutex<u64>,
}

impl Teller {
    pub fn new(cluster: Arc<str>, hooks: Hooks) -> Teller {
        Teller { cluster, hooks, failures: Mutex::default() }
    }

    pub fn failures(&self) -> u64 {
        *self.failures.lock()
    }

    /// Resolves when all were told, or could not be. `backup`: the one that it is about.
    pub async fn tell(&self, event: Event, backup: Option<&BackupId>, says: &str) {
        let text = json!({
            "event": event.name(), "cluster": &*self.cluster, "at": Timestamp::now(),
            "backup": backup, "says": says,
        });
        let text = text.to_string();
        let web = async {
            if let Some(url) = &self.hooks.webhook {
                self.told("webhook", timed(post(url, &text)).await);
            }
        };
        let program = async {
            if let Some(command) = self.hooks.command.split_first() {
                self.told("command", timed(self.run(command, event, &text)).await);
            }
        };
        tokio::join!(web, program);
    }

    fn told(&self, hook: &'static str, done: Result<(), HookError>) {
        if let Err(error) = done {
            *self.failures.lock() += 1;
            tracing::error!(cluster = &*self.cluster, hook, %error, "a hook of the backups failed");
        }
    }

    async fn run(
        &self,
        (program, arguments): (&String, &[String]),
        event: Event,
        text: &str,
    ) -> Result<(), HookError> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("TIDEGATE_CLUSTER", &*self.cluster).env("TIDEGATE_EVENT", event.name());
        let mut child = command.kill_on_drop(true).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // One that does not read what it is told is content with its environment.
            let _ = input.write_all(text.as_bytes()).await;
        }
        let Output { status, stderr, .. } = child.wait_with_output().await?;
        let said = || String::from_utf8_lossy(&stderr).trim().to_owned();
        if status.success() { Ok(()) } else { Err(HookError::Ended(status, said())) }
    }
}

async fn timed(work: impl Future<Output = Result<(), HookError>>) -> Result<(), HookError> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(HookError::Late))
}

async fn post(url: &str, text: &str) -> Result<(), HookError> {
    // The client knows no other way to choose it; whoever was first chose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |error: reqwest::Error| HookError::Http(error.without_url());
    let client = reqwest::Client::builder().build().map_err(failed)?;
    let request = client.post(url).header("content-type", "application/json");
    let answer = request.body(text.to_owned()).send().await.map_err(failed)?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(HookError::Refused(answer.status())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teller(command: &[&str]) -> Teller {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Teller::new("orders".into(), Hooks { webhook: None, command })
    }

    #[tokio::test]
    async fn a_program_is_told_in_its_environment_and_on_its_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let script = format!("cat >{0}; echo \" $TIDEGATE_EVENT\" >>{0}", file.display());
        let teller = teller(&["/bin/sh", "-c", &script]);
        teller.tell(Event::Late, None, "since yesterday").await;
        let told = std::fs::read_to_string(file).unwrap();
        assert!(told.contains("\"cluster\":\"orders\"") && told.ends_with(" late\n"), "{told}");
        assert!(told.contains("\"says\":\"since yesterday\""), "{told}");
        assert_eq!(teller.failures(), 0);
    }

    #[tokio::test]
    async fn one_that_fails_is_counted() {
        let failing = teller(&["/bin/false"]);
        failing.tell(Event::BackupFailed, None, "x").await;
        let nowhere = teller(&["/nowhere/at/all"]);
        nowhere.tell(Event::BackupFailed, None, "x").await;
        assert_eq!((failing.failures(), nowhere.failures()), (1, 1));
    }
}
