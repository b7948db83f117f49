//! Where a replication connection goes, and its way there.

use super::{Destination, Kind};
use crate::dispatch::Failure;
use crate::pg::auth::ServerSecret;
use crate::pg::cluster::Cluster;
use crate::pg::connect::{ConnectError, Entrance, LoggedIn};
use crate::pg::registry::{Registration, ServerEntry};
use crate::pg::wire::startup::Startup;
use crate::pool::Slot;
use crate::refusal::Refusal;
use crate::topology::NodeId;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// A server connection that belongs to one client.
pub(in crate::pg) struct Opened {
    pub(in crate::pg) node: NodeId,
    pub(in crate::pg) server: LoggedIn,
    pub(in crate::pg) entry: Registration<ServerEntry>,
    /// It lasts as long as the reign of `node`.
    pub(super) follows: bool,
    pub(super) _slot: Slot,
}

/// Opens a connection as the startup packet asks for, to the node that is configured for it.
pub(in crate::pg) async fn open(
    cluster: &Arc<Cluster>,
    (user, database, kind): (&str, &str, Kind),
    hello: &Startup,
    proof: &ServerSecret,
) -> Result<Opened, Refusal> {
    cluster.while_paused().await;
    let (node, follows) = destination(cluster).await?;
    let slot = cluster.slot(node)?;
    let (server_user, secret) = cluster.users.current().opener(user, proof);
    let parameters = parameters(hello, &server_user, kind);
    let place = cluster.nodes[usize::from(node.0)].clone();
    let entrance = Entrance { node: &place, user: &server_user, secret, parameters: &parameters };
    let limit = cluster.pool_settings.load().connect_timeout;
    let logged_in = match tokio::time::timeout(limit, entrance.log_in()).await {
        Ok(Ok(logged_in)) => logged_in,
        Ok(Err(error)) => return Err(refusal(cluster, node, error)),
        Err(_) => return Err(refusal(cluster, node, ConnectError::Timeout(limit))),
    };
    let entry = place.servers.enter(|id| ServerEntry {
        id,
        cluster: cluster.name.clone(),
        node: place.name.clone(),
        user: server_user.clone(),
        database: database.into(),
        pid: logged_in.cancel.pid,
        since: Instant::now(),
        tls: logged_in.stream.is_tls(),
        prepared: AtomicU64::new(0),
        client: AtomicU64::new(0),
        writer: AtomicU64::new(0),
    });
    Ok(Opened { node, server: logged_in, entry, follows, _slot: slot })
}

/// The node, and whether the connection depends on its role.
async fn destination(cluster: &Cluster) -> Result<(NodeId, bool), Refusal> {
    let hold = cluster.live.load().hold;
    let access = cluster.access.load_full();
    match &access.replication {
        Destination::Off => Err(Refusal::ReplicationOff { cluster: cluster.name.clone() }),
        Destination::Primary => {
            let found = cluster.monitor.wait_for(|seen| seen.primary.is_some());
            match tokio::time::timeout(hold, found).await.map(|seen| seen.primary) {
                Ok(Some(primary)) => Ok((primary, true)),
                _ => {
                    let (cluster, waited) = (cluster.name.clone(), hold);
                    Err(Refusal::NoPrimary { cluster, waited })
                }
            }
        }
        Destination::Node(name) => {
            let seen = cluster.monitor.snapshot();
            let found = seen.nodes.iter().find(|node| node.name == *name);
            let cause = || "it will be known after a restart".to_owned();
            let unknown = || Refusal::ServerUnreachable { node: name.clone(), cause: cause() };
            found.map(|node| (node.id, false)).ok_or_else(unknown)
        }
    }
}

/// What the client said, but for who it is towards the server.
fn parameters(hello: &Startup, user: &str, kind: Kind) -> Vec<(Vec<u8>, Vec<u8>)> {
    let ours = |(name, _): &&(Vec<u8>, Vec<u8>)| {
        let left_out = name == b"database" && kind == Kind::Physical;
        !left_out && name != b"user" && !name.starts_with(b"_pq_.")
    };
    let mut all = vec![(b"user".to_vec(), user.as_bytes().to_vec())];
    all.extend(hello.parameters.iter().filter(ours).cloned());
    all
}

fn refusal(cluster: &Cluster, node: NodeId, error: ConnectError) -> Refusal {
    let name = cluster.node_name(node);
    tracing::warn!(node = &*name, %error, "no server connection for replication");
    if error.is_node_failure() {
        cluster.monitor.report_failure(node, &error.to_string());
    }
    match error {
        ConnectError::Refused { code, message } => {
            Refusal::ServerEnded { node: name, code, message }
        }
        ConnectError::Unreachable(cause) => Refusal::ServerUnreachable { node: name, cause },
        other => Refusal::ServerRefused { node: name, cause: other.to_string() },
    }
}
