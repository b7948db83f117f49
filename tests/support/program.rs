//! The real program as a process of its own.

use super::ask::until;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use tempfile::TempDir;

/// A running program; killed when dropped.
pub struct Program {
    child: Child,
    folder: TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts it and waits until it serves clients.
    pub async fn start(config: &str) -> Program {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tidegate.toml");
        std::fs::write(&file, config).expect("a configuration");
        let out = File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=KILL").arg(env!("CARGO_BIN_EXE_tidegate"));
        command.args(["run", "-c"]).arg(file).stdin(Stdio::null());
        command.stdout(out.try_clone().expect("a log")).stderr(out);
        let program = Program { child: command.spawn().expect("the program"), folder };
        program.until_said("name=\"http\" address=").await;
        program.until_said("to=\"primary\"").await;
        program
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("tidegate.toml")
    }

    /// All it said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("the log")
    }

    pub async fn until_said(&self, what: &str) {
        until(&format!("{what:?}"), || async { self.said().contains(what) }).await;
    }

    /// Where a listener listens.
    pub fn address(&self, name: &str) -> SocketAddr {
        let said = self.said();
        let (_, rest) = said.split_once(&format!("name=\"{name}\" address=")).expect("an address");
        rest.split_whitespace().next().expect("a word").parse().expect("an address")
    }

    pub async fn connect(&self) -> tokio_postgres::Client {
        let port = self.address("postgres").port();
        let url = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
        let connected = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
        let (client, connection) = connected.expect("a connection through the program");
        tokio::spawn(connection);
        client
    }

    pub async fn admin(&self, command: &str) {
        let port = self.address("console").port();
        let url = format!("host=127.0.0.1 port={port} user=x dbname=tidegate");
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("the console");
        tokio::spawn(connection);
        client.batch_execute(command).await.expect(command);
    }

    /// The most memory it ever had, in bytes (VmHWM of proc(5)).
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the status of the program");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")).expect("VmHWM");
        kib.trim().parse::<u64>().expect("a number") * 1024
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> ExitStatus {
        until("the end of the program", || {
            let over = self.child.try_wait().expect("a child").is_some();
            async move { over }
        })
        .await;
        self.child.wait().expect("a child")
    }
}
