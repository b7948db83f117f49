//! A server on a data directory that was made elsewhere, as by a restore.

use super::Node;
use super::install::Install;
use super::node::Server;
use crate::lab::folder::Folder;
use crate::lab::process::{PATIENCE, Process};
use crate::lab::{LabError, spawn};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Whoever can enter the folder of the socket may log in.
const RULES: &str = "local all all trust\n";

/// A running server that is reached by a socket in a private folder only, and asks nobody for a
/// password. Dropping it stops the server; the data directory stays.
#[derive(Debug)]
pub struct Adopted {
    // In this order: the server goes before the folder of its socket.
    node: Node,
    folder: Folder,
}

/// How a server is started on data that are there.
#[derive(Clone, Debug)]
pub struct Adoption<'a> {
    pub data: &'a Path,
    /// Settings that win over those in the data directory.
    pub settings: Vec<(String, String)>,
    /// A superuser of it.
    pub user: &'a str,
    /// How long it may take until it accepts connections.
    pub patience: Duration,
}

/// The programs of one version of PostgreSQL on this machine, and whom they run as.
#[derive(Clone, Debug)]
pub struct Programs(Install);

impl Programs {
    /// Those in `folder`; `None`: in TIDEGATE_PG_BIN, or where Debian's packages have this version. They
    /// leave processor and disk to whatever else runs here.
    pub async fn of(folder: Option<&Path>, version: u32) -> Result<Programs, LabError> {
        Install::of(folder, version).await.map(Programs)
    }

    /// User and group that the server's files must belong to, when it is not our own.
    pub fn owner(&self) -> Option<(u32, u32)> {
        self.0.owner()
    }

    pub fn has(&self, program: &str) -> bool {
        self.0.has(program)
    }

    /// Runs a program to its end; answers with what it said.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> Result<String, LabError> {
        let mut command = self.0.command(program, Path::new("/"));
        command.args(arguments);
        spawn::run(command).await
    }

    /// Resolves when the server accepts connections.
    pub async fn start(&self, how: Adoption<'_>) -> Result<Adopted, LabError> {
        let folder = Folder::new(self.owner())?;
        let rules = folder.path().join("hba");
        fs::write(&rules, RULES).map_err(LabError::io("write the rules of a restored server"))?;
        let own = [
            ("unix_socket_directories", folder.path().display().to_string()),
            ("listen_addresses", String::new()),
            ("hba_file", rules.display().to_string()),
            ("dynamic_shared_memory_type", "mmap".into()),
        ];
        let own = own.map(|(key, value)| (key.to_owned(), value));
        let set = |(key, value): (String, String)| ["-c".to_owned(), format!("{key}={value}")];
        let more = how.settings.into_iter().chain(own).flat_map(set).collect();
        let data = how.data.to_path_buf();
        let log = folder.path().join("log");
        let server = Server {
            process: Process::new("restored", data, log, super::builder::SIGNALS),
            install: self.0.clone(),
            sockets: folder.path().to_path_buf(),
            user: how.user.to_owned(),
            patience: how.patience,
            more,
        };
        let node = Node::new(server, Arc::new(HashMap::new()));
        node.start().await?;
        Ok(Adopted { node, folder })
    }
}

impl Adopted {
    /// Resolves when it accepts connections, which it may do while it still recovers.
    pub async fn start(data: &Path) -> Result<Adopted, LabError> {
        let how = Adoption { data, settings: Vec::new(), user: "postgres", patience: PATIENCE };
        Programs(Install::find()?).start(how).await
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The folder of its socket.
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }
}
