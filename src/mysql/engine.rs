//! The MySQL and MariaDB engine as a whole: its clusters, its clients, its listener.

use super::accept;
use super::cluster::Cluster;
use super::kill;
use super::registry::{ClientEntry, FIRST_CLIENT, ServerEntry};
use super::wire::handshake::Greeting;
use crate::door::gate::Gate;
use crate::net::tls::Acceptor;
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::task::{Crew, Stop};
use crate::topology::NodeId;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

pub struct Engine {
    /// A client has to be logged in within this.
    pub login_timeout: Duration,
    pub clusters: Vec<Arc<Cluster>>,
    pub clients: Arc<Registry<ClientEntry>>,
    pub servers: Arc<Registry<ServerEntry>>,
    pub acceptor: Option<Acceptor>,
    pub gate: Arc<Gate>,
}

/// What an engine is made of.
pub struct Parts {
    pub login_timeout: Duration,
    pub clusters: Vec<Arc<Cluster>>,
    pub servers: Arc<Registry<ServerEntry>>,
    pub gate: Gate,
    pub acceptor: Option<Acceptor>,
}

impl Engine {
    pub fn new(parts: Parts) -> Engine {
        Engine {
            login_timeout: parts.login_timeout,
            clusters: parts.clusters,
            clients: Arc::new(Registry::starting_at(FIRST_CLIENT)),
            servers: parts.servers,
            acceptor: parts.acceptor,
            gate: Arc::new(parts.gate),
        }
    }

    /// The cluster that serves `database`; `None` names none.
    pub(super) fn cluster_of(&self, database: Option<&str>) -> Result<&Arc<Cluster>, Refusal> {
        let named = |c: &&Arc<Cluster>| match (&c.databases, database) {
            (Some(names), Some(database)) => names.iter().any(|n| **n == *database),
            _ => false,
        };
        let any = || self.clusters.iter().find(|c| c.databases.is_none());
        let only = || self.clusters.first().filter(|_| database.is_none());
        let unknown = || Refusal::UnknownDatabase(database.unwrap_or_default().to_owned());
        let found = self.clusters.iter().find(named).or_else(any).or_else(only);
        let found = found.ok_or_else(unknown)?;
        found.is_open()?;
        Ok(found)
    }

    /// How a client is greeted, before it has said what it wants: as the servers do it.
    pub(super) fn greeting(&self) -> Option<Greeting> {
        let known = self.clusters.iter().find_map(|cluster| cluster.greeting());
        known
            .map(|greeting| (*greeting).clone())
            .or_else(|| self.clusters.first().map(|cluster| cluster.default_greeting()))
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
        let uses = |c: &&Arc<ClientEntry>| {
            *c.identity.lock().cluster == *cluster
                && c.link.target().is_some_and(|t| t.node == node)
        };
        self.clients.all().iter().filter(uses).for_each(|client| client.wake());
    }

    /// Ends what the client is running, or its whole server connection.
    pub(super) async fn kill_at_server(&self, client: &ClientEntry, query: bool) {
        let Some(target) = client.link.cancel() else { return };
        let name = client.identity.lock().cluster.clone();
        let cluster = self.clusters.iter().find(|cluster| *cluster.name == *name);
        if let Some(cluster) = cluster {
            kill::send(&cluster.nodes[usize::from(target.node.0)], &target, query).await;
        }
    }
}
