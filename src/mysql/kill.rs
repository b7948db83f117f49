//! KILL: from a client's number to the server connection that works for it, and no other.

use super::connect::Node;
use super::registry::Target;
use std::time::Duration;

/// A server that does not carry it out within this is left alone.
const LIMIT: Duration = Duration::from_secs(5);

/// Kills the statement that runs there, or the connection, over a connection of its own.
pub(super) async fn send(node: &Node, target: &Target, query: bool) {
    let deliver = async {
        let pool = &target.pools.nodes[usize::from(target.node.0)];
        let mut link = pool.connector().login().connect(node).await.map_err(|e| e.to_string())?;
        let what = if query { "QUERY " } else { "" };
        let statement = format!("KILL {what}{}", target.thread);
        link.query(&statement).await.map_err(|e| e.to_string())
    };
    let sent = tokio::time::timeout(LIMIT, deliver).await;
    if !matches!(sent, Ok(Ok(_))) {
        tracing::warn!(node = &*node.name, ?sent, "a KILL did not arrive");
    }
}
