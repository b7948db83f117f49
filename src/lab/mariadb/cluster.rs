//! A running throwaway cluster. Dropping it stops every server and removes every file.

use super::Node;
use super::template::Template;
use crate::lab::LabError;
use crate::lab::folder::Folder;
use futures_util::future::try_join_all;
use mysql_async::Conn;
use std::path::Path;
use std::sync::Arc;

/// A primary and its replicas, all running when [`super::Builder::start`] returns.
#[derive(Debug)]
pub struct Cluster {
    // In this order: servers go before the folder they live in.
    pub(super) nodes: Vec<Node>,
    pub(super) folder: Folder,
    pub(super) _template: Arc<Template>,
}

impl Cluster {
    /// Node 0 is the first primary, the others its replicas.
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node that started as the primary.
    pub fn primary(&self) -> &Node {
        &self.nodes[0]
    }

    /// The nodes that started as replicas, counted from 0.
    pub fn replica(&self, index: usize) -> &Node {
        &self.nodes[index + 1]
    }

    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(Node::port).collect()
    }

    /// The temporary folder of this cluster: room for a test's own files, too.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs statements as root on the node that started as the primary.
    pub async fn sql(&self, statement: &str) -> Result<Vec<Vec<Option<String>>>, LabError> {
        self.primary().sql(statement).await
    }

    /// A connection of root to the node that started as the primary.
    pub async fn connect(&self) -> Result<Conn, mysql_async::Error> {
        self.primary().connect().await
    }

    /// Waits until every replica that runs has replayed what the first primary wrote so far.
    pub async fn caught_up(&self) -> Result<(), LabError> {
        let written = self.primary().value("SELECT @@gtid_binlog_pos").await?;
        let condition = format!("SELECT MASTER_GTID_WAIT('{written}', 0) = 0");
        let replicas = self.nodes[1..].iter().filter(|node| node.pid().is_some());
        try_join_all(replicas.map(|node| node.until("replay", &condition))).await.map(|_| ())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // All at once; each server waits for its own end when it is dropped.
        for node in &self.nodes {
            node.ask_to_stop();
        }
    }
}
