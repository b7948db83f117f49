//! Cancel requests: from a client's key to the server that runs its statement, and no other.

use super::connect::Node;
use super::registry::CancelTarget;
use super::wire::startup;
use bytes::BytesMut;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server that does not take a cancel request within this is left alone.
const LIMIT: Duration = Duration::from_secs(5);

/// Sends the request and waits until the server has acted on it (it closes the connection).
pub(super) async fn send(node: &Node, target: &CancelTarget) {
    let sent = tokio::time::timeout(LIMIT, deliver(node, target)).await;
    if !matches!(sent, Ok(Ok(()))) {
        tracing::warn!(node = &*node.name, ?sent, "a cancel request did not arrive");
    }
}

async fn deliver(node: &Node, target: &CancelTarget) -> Result<(), String> {
    let (mut stream, _) = node.dial().await.map_err(|e| e.to_string())?;
    let mut request = BytesMut::new();
    startup::put_cancel(&mut request, target.key.pid, &target.key.secret);
    stream.write_all(&request).await.map_err(|e| e.to_string())?;
    stream.flush().await.map_err(|e| e.to_string())?;
    let mut nothing = [0; 16];
    // Closed or reset: both mean that the server is through with it.
    let _ = stream.read(&mut nothing).await;
    Ok(())
}
