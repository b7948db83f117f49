//! What MariaDB and MySQL servers say for themselves.

use super::{Facts, NodeReport};
use crate::app::wire;
use crate::config::Cluster;
use crate::mysql::connect::Node;
use std::sync::Arc;

pub(super) async fn look_at(node: Arc<Node>, cluster: &Cluster) -> NodeReport {
    let patience = cluster.pool.connect_timeout;
    let login = wire::mysql::monitor_login(&cluster.monitor);
    let asked = async {
        let mut link = login.connect(&node).await.map_err(|e| e.to_string())?;
        let rows = link.query("SELECT @@global.read_only").await.map_err(|e| e.to_string())?;
        let read_only = rows.first().and_then(|row| row.first()?.as_deref()) != Some(b"0");
        Ok(Facts {
            primary: !read_only,
            version: link.version.trim_start_matches("5.5.5-").to_owned(),
            system: None,
            timeline: None,
            replication: if read_only { "read_only" } else { "takes writes" }.into(),
            encrypted: link.stream.is_tls(),
            problems: Vec::new(),
            advice: Vec::new(),
        })
    };
    let facts = match tokio::time::timeout(patience, asked).await {
        Ok(facts) => facts,
        Err(_) => Err(format!("no answer within {patience:?}")),
    };
    NodeReport { name: node.name.to_string(), address: node.address.to_string(), facts }
}
