//! Servers with something in them, a store, and the program that is tested.

use crate::support::{Cluster, cluster};
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Stdio;
use tidegate::backup::Store;
use tidegate::lab::postgres::{Adopted, Builder};
use tokio::process::{Child, Command};

pub(crate) struct Scene {
    pub(crate) servers: Cluster,
    pub(crate) keys: String,
}

/// What a program said, and whether it was content.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What tells two databases apart.
pub(crate) const CONTENT: &str =
    "SELECT count(*) || ' ' || md5(string_agg(n || filler, ',' ORDER BY n)) FROM t";

/// Servers that let the monitor's user replicate.
pub(crate) fn open() -> Builder {
    cluster().hba("host replication all 127.0.0.1/32 trust")
}

/// Servers that can be backed up from a standby, and `rows` rows of about 1 KiB.
pub(crate) fn filled(rows: u32) -> Builder {
    open().conf("full_page_writes", "on").sql(&format!(
        "CREATE TABLE t AS SELECT n, repeat(md5(n::text), 32) AS filler
           FROM generate_series(1, {rows}) AS n"
    ))
}

pub(crate) async fn scene(builder: Builder, keys: &str) -> Scene {
    let servers = builder.start().await.unwrap();
    servers.caught_up().await.unwrap();
    let scene = Scene { servers, keys: keys.to_owned() };
    scene.configure();
    // The restored servers' user reads it, whoever runs the test.
    std::fs::create_dir(scene.place("store")).unwrap();
    scene
}

impl Scene {
    /// All below is in the servers' folder: what they fetch themselves must be theirs to read.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.servers.folder().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.place("tidegate.toml")
    }

    pub(crate) fn text(&self) -> String {
        let mut text = "[clusters.test]\nnodes = [\n".to_owned();
        for node in self.servers.nodes() {
            let (name, address) = (node.name(), node.address());
            writeln!(text, "  {{ name = \"{name}\", address = \"{address}\" }},").unwrap();
        }
        let store = self.place("store");
        text.push_str("]\nmonitor = { user = \"postgres\" }\nauth.method = \"trust\"\n");
        writeln!(text, "[clusters.test.backup]\nstore = \"file://{}\"", store.display()).unwrap();
        text.push_str(&self.keys);
        text
    }

    /// Other keys from now on.
    pub(crate) fn reconfigure(&mut self, keys: &str) {
        self.keys = keys.to_owned();
        self.configure();
    }

    fn configure(&self) {
        std::fs::write(self.config(), self.text()).unwrap();
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&format!("file://{}", self.place("store").display())).unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(words).arg("-c").arg(self.config()).args(["--cluster", "test"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }

    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.command(words).spawn().unwrap()
    }

    pub(crate) async fn run(&self, words: &[&str]) -> Said {
        said(self.start(words)).await
    }

    /// The JSON that a command answers, which must succeed.
    pub(crate) async fn json(&self, words: &[&str]) -> Value {
        let said = self.run(&[words, &["--json"]].concat()).await;
        assert!(said.ok, "{words:?}: {}", said.err);
        serde_json::from_str(&said.out).unwrap()
    }

    /// The id of a new backup.
    pub(crate) async fn backup(&self) -> String {
        self.json(&["backup", "now"]).await["id"].as_str().unwrap().to_owned()
    }

    /// Restores by these further words, and starts a server on it.
    pub(crate) async fn restored(&self, to: &str, words: &[&str]) -> Adopted {
        let folder = self.place(to);
        let to = ["backup", "restore", "--to", folder.to_str().unwrap()];
        let said = self.run(&[&to, words].concat()).await;
        assert!(said.ok, "{words:?}: {}", said.err);
        let server = Adopted::start(&folder).await.unwrap();
        server.node().until("the end of recovery", "SELECT NOT pg_is_in_recovery()").await.unwrap();
        server
    }

    /// Everything in the store that belongs to backups.
    pub(crate) async fn objects(&self) -> Vec<String> {
        let all = self.store().list("backups").await.unwrap();
        all.into_iter().map(|(name, _)| name).collect()
    }
}

pub(crate) async fn said(child: Child) -> Said {
    let done = child.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { ok: done.status.success(), out: text(done.stdout), err: text(done.stderr) }
}
