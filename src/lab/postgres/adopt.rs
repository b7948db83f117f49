//! A server on a data directory that was made elsewhere, as by a restore.

use super::Node;
use super::install::Install;
use super::node::Server;
use crate::lab::LabError;
use crate::lab::folder::Folder;
use crate::lab::process::Process;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Whoever can enter the folder of the socket may log in.
const RULES: &str = "local all all trust\n";

/// A running server that is reached by a socket in a private folder only, and asks nobody for a
/// password. Dropping it stops the server; the data directory stays.
#[derive(Debug)]
pub struct Adopted {
    // In this order: the server goes before the folder of its socket.
    node: Node,
    _folder: Folder,
}

impl Adopted {
    /// Resolves when it accepts connections, which it may do while it still recovers.
    pub async fn start(data: &Path) -> Result<Adopted, LabError> {
        let install = Install::find()?;
        let folder = Folder::new(install.owner())?;
        let rules = folder.path().join("hba");
        fs::write(&rules, RULES).map_err(LabError::io("write the rules of a restored server"))?;
        let set = |key: &str, value: String| ["-c".to_owned(), format!("{key}={value}")];
        let more = [
            set("unix_socket_directories", folder.path().display().to_string()),
            set("listen_addresses", String::new()),
            set("hba_file", rules.display().to_string()),
            set("dynamic_shared_memory_type", "mmap".into()),
        ];
        let log = folder.path().join("log");
        let server = Server {
            process: Process::new("restored", data.to_path_buf(), log, super::builder::SIGNALS),
            install,
            sockets: folder.path().to_path_buf(),
            more: more.concat(),
        };
        let node = Node::new(server, Arc::new(HashMap::new()));
        node.start().await?;
        Ok(Adopted { node, _folder: folder })
    }

    pub fn node(&self) -> &Node {
        &self.node
    }
}
