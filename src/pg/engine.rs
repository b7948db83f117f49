//! The PostgreSQL engine as a whole: its clusters, its clients, its listener.

use super::accept;
use super::auth::scram::{KeyCache, Mock};
use super::cancel;
use super::cluster::Cluster;
use super::registry::{ClientEntry, Registry, ServerEntry, id_of};
use crate::door::gate::Gate;
use crate::net::tls::Acceptor;
use crate::refusal::Refusal;
use crate::task::{Crew, Stop, Tasks};
use crate::topology::NodeId;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;

pub struct Settings {
    /// A client has to be logged in within this.
    pub login_timeout: Duration,
}

pub struct Engine {
    pub settings: Settings,
    pub clusters: Vec<Arc<Cluster>>,
    pub clients: Arc<Registry<ClientEntry>>,
    pub servers: Arc<Registry<ServerEntry>>,
    pub acceptor: Option<Acceptor>,
    pub mock: Mock,
    pub keys: Arc<KeyCache>,
    pub tasks: Tasks,
    pub gate: Arc<Gate>,
}

/// What an engine is made of.
pub struct Parts {
    pub settings: Settings,
    pub clusters: Vec<Arc<Cluster>>,
    pub servers: Arc<Registry<ServerEntry>>,
    pub gate: Gate,
    pub acceptor: Option<Acceptor>,
    pub mock: Mock,
    pub keys: Arc<KeyCache>,
    pub tasks: Tasks,
}

impl Engine {
    pub fn new(parts: Parts) -> Engine {
        Engine {
            settings: parts.settings,
            clusters: parts.clusters,
            clients: Arc::default(),
            servers: parts.servers,
            acceptor: parts.acceptor,
            mock: parts.mock,
            keys: parts.keys,
            tasks: parts.tasks,
            gate: Arc::new(parts.gate),
        }
    }

    /// The cluster that serves `database`.
    pub fn cluster_of(&self, database: &str) -> Option<&Arc<Cluster>> {
        let named = |c: &&Arc<Cluster>| {
            c.databases.as_ref().is_some_and(|names| names.iter().any(|n| **n == *database))
        };
        let any = || self.clusters.iter().find(|c| c.databases.is_none());
        self.clusters.iter().find(named).or_else(any)
    }

    /// The cluster that physical replication goes to: it may name a database of the cluster, but
    /// many tools name none, or say "replication".
    pub(super) fn cluster_to_replicate(
        &self,
        database: Option<&str>,
    ) -> Result<&Arc<Cluster>, Refusal> {
        let has = |c: &&Arc<Cluster>| match (&c.databases, database) {
            (Some(names), Some(database)) => names.iter().any(|n| **n == *database),
            _ => false,
        };
        let any = || self.clusters.iter().find(|c| c.databases.is_none());
        let only = || self.clusters.first().filter(|_| self.clusters.len() == 1);
        let found = self.clusters.iter().find(has).or_else(any).or_else(only);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.clusters.iter().map(|c| &*c.name).collect();
            Refusal::ReplicationWhere { clusters: names.join(", ") }
        })
    }

    /// Accepts clients, whom the crew serves, until told to stop.
    pub async fn listen(self: Arc<Self>, listener: TcpListener, crew: Arc<Crew>, stop: Stop) {
        let gate = self.gate.clone();
        let serve = move |arrival, tcp, address| accept::serve(self.clone(), arrival, tcp, address);
        gate.listen(listener, stop, &crew, serve).await;
    }

    /// Sends all clients away; see [`Gate::drain`].
    pub async fn drain(&self, within: Duration) -> usize {
        self.gate.drain(within, || self.clients.all()).await
    }

    /// Lets clients that use `node` look again whether it will ever answer.
    pub fn wake_clients_of(&self, cluster: &str, node: NodeId) {
        let all = self.clients.all();
        let theirs = all
            .iter()
            .filter(|c| *c.cluster == *cluster && c.link.target().is_some_and(|t| t.node == node));
        theirs.for_each(|client| client.wake());
    }

    /// Cancels what the client with this process id and secret is running.
    pub(super) async fn cancel(&self, pid: u32, secret: &[u8]) {
        let Some(client) = self.clients.get(id_of(pid)) else { return };
        if bool::from(client.secret.as_ref().ct_eq(secret)) {
            self.cancel_of(&client).await;
        }
    }

    async fn cancel_of(&self, client: &ClientEntry) {
        let Some(target) = client.link.cancel() else { return };
        let cluster = self.clusters.iter().find(|c| c.name == client.cluster);
        if let Some(cluster) = cluster {
            cancel::send(&cluster.nodes[usize::from(target.node.0)], &target).await;
        }
    }

    /// The client is gone and its statement still runs: nobody wants the answer.
    pub(super) fn cancel_abandoned(&self, cluster: &Arc<Cluster>, client: &Arc<ClientEntry>) {
        let Some(target) = client.link.cancel() else { return };
        let node = cluster.nodes[usize::from(target.node.0)].clone();
        tokio::spawn(async move { cancel::send(&node, &target).await });
    }
}
