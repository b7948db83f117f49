//! The real program: what it refuses to start with, and a way to run it and read all it says.

use crate::fixture::PATIENCE;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn program(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(["run", "-c"]).arg(config).stdin(Stdio::null());
    command
}

/// A running program; killed when dropped.
pub(crate) struct Program {
    child: Child,
    _folder: TempDir,
    pub(crate) config: PathBuf,
    log: PathBuf,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts it and waits until it listens.
    pub(crate) async fn start(config: &str) -> Program {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, log) = (folder.path().join("tidegate.toml"), folder.path().join("log"));
        std::fs::write(&file, config).expect("written");
        let out = File::create(&log).expect("a log");
        let mut command = program(&file);
        command.stdout(out.try_clone().expect("a log")).stderr(out);
        let child = command.spawn().expect("the program");
        let program = Program { child, _folder: folder, config: file, log };
        for name in ["postgres", "console", "http"] {
            program.until(&format!("name=\"{name}\" address=")).await;
        }
        program
    }

    /// All it said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log")
    }

    /// Waits until it says `what`.
    pub(crate) async fn until(&self, what: &str) {
        let started = Instant::now();
        while !self.said().contains(what) {
            assert!(started.elapsed() < PATIENCE, "in vain for {what:?}:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where one of its listeners is.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let said = self.said();
        let (_, rest) = said.split_once(&format!("name=\"{name}\" address=")).expect("an address");
        rest.split_whitespace().next().expect("a word").parse().expect("an address")
    }
}

fn refuses(config: &str) -> String {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut file, config.as_bytes()).expect("written");
    let Output { status, stderr, .. } = program(file.path()).output().expect("the program");
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{config}\n{said}");
    said
}

#[test]
fn a_listener_that_others_reach_does_not_open_without_authentication() {
    let cluster = "[clusters.test]\nnodes = [{ name = \"a\", address = \"127.0.0.1:1\" }]\n\
                   monitor = { user = \"postgres\" }\n[clusters.test.auth]\nmethod = \"trust\"\n";
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        for (listener, why) in [
            ("postgres", "clusters.test.auth.method = \"trust\" lets everyone in"),
            ("console", "the console has no users, so lets everyone in"),
            ("http", "http has no token, so lets everyone in"),
        ] {
            let off: String = ["postgres", "console", "http"]
                .iter()
                .filter(|name| **name != listener)
                .map(|name| format!("{name} = \"off\"\n"))
                .collect();
            let listen = format!("[listen]\n{listener} = \"{address}\"\n{off}");
            let said = refuses(&format!("{listen}{cluster}"));
            assert!(said.contains(&format!("listen.{listener}")) && said.contains(why), "{said}");
        }
    }
}
