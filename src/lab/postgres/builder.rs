//! What a throwaway cluster shall be like, and its start.

use super::install::Install;
use super::node::Server;
use super::template::{REPLICATION_USER, Template};
use super::{Cluster, Node};
use crate::lab::LabError;
use crate::lab::folder::Folder;
use crate::lab::owner::{give, secret_copy};
use crate::lab::process::{PATIENCE, Process, Signals};
use futures_util::future::try_join_all;
use rustix::process::Signal;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Small and quick: nobody will miss these data after a crash of the machine.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "16MB"),
    ("max_connections", "200"),
    ("wal_level", "replica"),
    ("hot_standby", "on"),
    ("max_wal_senders", "10"),
    ("wal_keep_size", "512MB"),
    // A replica looks for its primary this often: the default, 5 s, is for wide networks.
    ("wal_retrieve_retry_interval", "100ms"),
    ("wal_receiver_status_interval", "1s"),
    // In the data folder, so that nothing stays in /dev/shm after a SIGKILL.
    ("dynamic_shared_memory_type", "mmap"),
    ("jit", "off"),
    ("log_line_prefix", "%m [%p] "),
];

pub(super) const SIGNALS: Signals = Signals { fast: Signal::INT, immediate: Signal::QUIT };

/// Starts to describe a throwaway cluster: one primary, no replica.
pub fn cluster() -> Builder {
    Builder::default()
}

#[derive(Clone, Debug, Default)]
pub struct Builder {
    replicas: usize,
    auth: Option<String>,
    settings: Vec<(String, String)>,
    hba: Vec<String>,
    tls: Option<(PathBuf, PathBuf)>,
    passwords: HashMap<String, String>,
    statements: Vec<String>,
    own_system: bool,
    checksums: bool,
}

impl Builder {
    /// Streaming replicas beside the primary.
    pub fn replicas(mut self, count: usize) -> Builder {
        self.replicas = count;
        self
    }

    /// How users log in over TCP: a method of pg_hba.conf, or `scram` for short. Default: trust.
    pub fn auth(mut self, method: &str) -> Builder {
        let method = if method == "scram" { "scram-sha-256" } else { method };
        self.auth = Some(method.to_string());
        self
    }

    /// A setting of postgresql.conf, on every node.
    pub fn conf(mut self, key: &str, value: &str) -> Builder {
        self.settings.push((key.to_string(), value.to_string()));
        self
    }

    /// A line of pg_hba.conf, before the usual ones for TCP.
    pub fn hba(mut self, line: &str) -> Builder {
        self.hba.push(line.to_string());
        self
    }

    /// The servers' certificate and key, as PEM files; they are copied.
    pub fn tls(mut self, certificate: &Path, key: &Path) -> Builder {
        self.tls = Some((certificate.to_path_buf(), key.to_path_buf()));
        self
    }

    /// The password of the superuser `postgres`.
    pub fn password(mut self, password: &str) -> Builder {
        self.statements.push(format!("ALTER ROLE postgres PASSWORD {}", literal(password)));
        self.passwords.insert("postgres".to_string(), password.to_string());
        self
    }

    /// A user who may log in with this password.
    pub fn user(mut self, name: &str, password: &str) -> Builder {
        let created = format!("CREATE ROLE {} LOGIN PASSWORD {}", ident(name), literal(password));
        self.statements.push(created);
        self.passwords.insert(name.to_string(), password.to_string());
        self
    }

    /// A statement that runs on the primary before the replicas start.
    pub fn sql(mut self, statement: &str) -> Builder {
        self.statements.push(statement.to_string());
        self
    }

    /// A system identifier that no other cluster of this process has.
    pub fn own_system(mut self) -> Builder {
        self.own_system = true;
        self
    }

    /// Pages have checksums; it is a system of its own.
    pub fn checksums(mut self) -> Builder {
        self.checksums = true;
        self
    }

    /// Starts the servers; all replicas stream when this returns.
    pub async fn start(self) -> Result<Cluster, LabError> {
        let install = Install::find()?;
        let template = match self.own_system || self.checksums {
            true => Template::new(&install, self.checksums).await?,
            false => Template::shared(&install).await?,
        };
        let folder = Folder::new(install.owner())?;
        let passwords = Arc::new(self.passwords.clone());
        let mut cluster = Cluster { nodes: Vec::new(), folder, _template: template.clone() };
        for name in ('a'..='z').take(1 + self.replicas) {
            let server = self.prepare(&name.to_string(), &install, &template, &cluster).await?;
            cluster.nodes.push(Node::new(server, passwords.clone()));
        }
        let primary = cluster.primary();
        primary.start().await?;
        for statement in &self.statements {
            primary.sql(statement).await?;
        }
        let replicas = cluster.nodes[1..].iter().map(|node| follow(node, primary, &install));
        try_join_all(replicas).await?;
        cluster.streaming(self.replicas).await?;
        Ok(cluster)
    }

    async fn prepare(
        &self,
        name: &str,
        install: &Install,
        template: &Template,
        cluster: &Cluster,
    ) -> Result<Server, LabError> {
        let folder = cluster.folder();
        let data = folder.join(name);
        template.copy(&data).await?;
        let write = |file: &str, text: String| {
            let path = data.join(file);
            fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))
        };
        write("postgresql.auto.conf", self.settings(name, folder))?;
        write("pg_hba.conf", self.hba_file())?;
        if let Some((certificate, key)) = &self.tls {
            secret_copy(certificate, &data.join("server.crt"), install.owner())?;
            secret_copy(key, &data.join("server.key"), install.owner())?;
        }
        let log = folder.join(format!("{name}.log"));
        Ok(Server {
            process: Process::new(name, data, log, SIGNALS),
            install: install.clone(),
            sockets: folder.to_path_buf(),
            user: "postgres".into(),
            patience: PATIENCE,
            more: Vec::new(),
        })
    }

    fn settings(&self, name: &str, sockets: &Path) -> String {
        let mut text = String::new();
        let mut set = |key: &str, value: &str| {
            let _ = writeln!(text, "{key} = {}", literal(value));
        };
        set("cluster_name", name);
        set("unix_socket_directories", &sockets.display().to_string());
        for (key, value) in SETTINGS {
            set(key, value);
        }
        if self.tls.is_some() {
            set("ssl", "on");
        }
        if self.auth.as_deref() == Some("md5") {
            set("password_encryption", "md5");
        }
        // Last, so that they win.
        for (key, value) in &self.settings {
            set(key, value);
        }
        text
    }

    fn hba_file(&self) -> String {
        let method = self.auth.as_deref().unwrap_or("trust");
        let mut lines = vec!["local all all trust".to_string()];
        lines.extend(self.hba.iter().cloned());
        lines.push(format!("host replication {REPLICATION_USER} 127.0.0.1/32 trust"));
        lines.push(format!("host all all 127.0.0.1/32 {method}"));
        lines.join("\n") + "\n"
    }
}

/// Makes a copy of the template a replica of `primary`, and starts it.
async fn follow(node: &Node, primary: &Node, install: &Install) -> Result<(), LabError> {
    let what = format!("make server {} a replica", node.name());
    let signal = node.data().join("standby.signal");
    fs::write(&signal, "").map_err(LabError::io(&what))?;
    give(&signal, install.owner()).map_err(LabError::io(&what))?;
    let path = node.data().join("postgresql.auto.conf");
    let mut settings = fs::read_to_string(&path).map_err(LabError::io(&what))?;
    let _ = writeln!(settings, "primary_conninfo = {}", literal(&node.conninfo(primary)));
    fs::write(&path, settings).map_err(LabError::io(&what))?;
    node.start().await
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
