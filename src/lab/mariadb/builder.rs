//! What a throwaway cluster shall be like, and its start.

use super::install::Install;
use super::node::Server;
use super::template::{SIZES, Template};
use super::{Cluster, Node};
use crate::lab::LabError;
use crate::lab::folder::Folder;
use crate::lab::owner::secret_copy;
use crate::lab::process::{Process, Signals};
use futures_util::future::try_join_all;
use rustix::process::Signal;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Small and quick, yet a killed server loses nothing that it acknowledged: only a crash of the
/// machine would.
const SETTINGS: &[&str] = &[
    "bind-address=127.0.0.1",
    "skip-name-resolve",
    "log-bin=binlog",
    "log-slave-updates=on",
    "binlog-format=row",
    "gtid-strict-mode=on",
    "sync-binlog=0",
    "innodb-flush-log-at-trx-commit=2",
    "innodb-buffer-pool-size=32M",
    "innodb-use-native-aio=off",
    "max-connections=300",
    "slave-net-timeout=10",
];

/// SIGTERM ends sessions and shuts down cleanly. There is no signal between it and SIGKILL.
const SIGNALS: Signals = Signals { fast: Signal::TERM, immediate: Signal::KILL };

/// Starts to describe a throwaway cluster: one primary, no replica.
pub fn cluster() -> Builder {
    Builder::default()
}

#[derive(Clone, Debug, Default)]
pub struct Builder {
    replicas: usize,
    settings: Vec<String>,
    tls: Option<(PathBuf, PathBuf)>,
    passwords: HashMap<String, String>,
    statements: Vec<String>,
}

impl Builder {
    /// GTID replicas beside the primary, `read_only`.
    pub fn replicas(mut self, count: usize) -> Builder {
        self.replicas = count;
        self
    }

    /// A setting of the `[mariadbd]` section, on every node; with an empty value just the key.
    pub fn conf(mut self, key: &str, value: &str) -> Builder {
        let line = if value.is_empty() { key.to_string() } else { format!("{key}={value}") };
        self.settings.push(line);
        self
    }

    /// The servers' certificate and key, as PEM files; they are copied.
    pub fn tls(mut self, certificate: &Path, key: &Path) -> Builder {
        self.tls = Some((certificate.to_path_buf(), key.to_path_buf()));
        self
    }

    /// The password of `root` over TCP (mysql_native_password). Default: none.
    pub fn password(mut self, password: &str) -> Builder {
        let set = format!("ALTER USER root@'127.0.0.1' IDENTIFIED BY {}", literal(password));
        self.statements.push(set);
        self.passwords.insert("root".to_string(), password.to_string());
        self
    }

    /// A user who may log in with this password (mysql_native_password) and do everything in the
    /// database `test`, and nothing that `read_only` forbids.
    pub fn user(mut self, name: &str, password: &str) -> Builder {
        let name_literal = literal(name);
        self.statements.extend([
            format!("CREATE USER {name_literal}@'%' IDENTIFIED BY {}", literal(password)),
            format!("GRANT ALL ON test.* TO {name_literal}@'%'"),
        ]);
        self.passwords.insert(name.to_string(), password.to_string());
        self
    }

    /// A statement that runs on the primary before the replicas start.
    pub fn sql(mut self, statement: &str) -> Builder {
        self.statements.push(statement.to_string());
        self
    }

    /// Starts the servers; all replicas have replayed the statements when this returns.
    pub async fn start(self) -> Result<Cluster, LabError> {
        let install = Install::find()?;
        let template = Template::shared(&install).await?;
        let folder = Folder::new(install.owner())?;
        let passwords = Arc::new(self.passwords.clone());
        let mut cluster = Cluster { nodes: Vec::new(), folder, _template: template.clone() };
        for (id, name) in (1..).zip(('a'..='z').take(1 + self.replicas)) {
            let server = self.prepare(id, name, &install, &template, cluster.folder()).await?;
            cluster.nodes.push(Node::new(server, passwords.clone()));
        }
        let primary = cluster.primary();
        primary.start().await?;
        for statement in &self.statements {
            primary.sql(statement).await?;
        }
        let replicas = cluster.nodes[1..].iter().map(|node| async move {
            node.start().await?;
            node.follow(primary).await
        });
        try_join_all(replicas).await?;
        cluster.caught_up().await?;
        Ok(cluster)
    }

    async fn prepare(
        &self,
        id: u32,
        name: char,
        install: &Install,
        template: &Template,
        folder: &Path,
    ) -> Result<Server, LabError> {
        let data = folder.join(name.to_string());
        template.copy(&data).await?;
        if let Some((certificate, key)) = &self.tls {
            secret_copy(certificate, &data.join("server.crt"), install.owner())?;
            secret_copy(key, &data.join("server.key"), install.owner())?;
        }
        let socket = folder.join(format!("{name}.sock"));
        let file = folder.join(format!("{name}.cnf"));
        let text = self.settings(id, &data, &socket);
        fs::write(&file, text).map_err(LabError::io(format!("write {}", file.display())))?;
        let log = folder.join(format!("{name}.log"));
        Ok(Server {
            process: Process::new(&name.to_string(), data, log, SIGNALS),
            install: install.clone(),
            settings: file,
            socket,
        })
    }

    fn settings(&self, id: u32, data: &Path, socket: &Path) -> String {
        let (data, socket) = (data.display(), socket.display());
        let mut text = format!(
            "[mariadbd]\nserver-id={id}\ndatadir={data}\ntmpdir={data}\nsocket={socket}\npid-file={socket}.pid\n"
        );
        let mut lines: Vec<&str> = SETTINGS.iter().chain(&SIZES).copied().collect();
        if id > 1 {
            lines.push("read-only=on");
        }
        if self.tls.is_some() {
            lines.extend(["ssl-cert=server.crt", "ssl-key=server.key"]);
        }
        // The test's own come last, so that they win.
        lines.extend(self.settings.iter().map(String::as_str));
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
