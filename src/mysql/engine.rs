//! The MySQL and MariaDB engine as a whole: its clusters, its clients, its listener.

use super::accept;
use super::cluster::Cluster;
use super::kill;
use super::registry::{ClientEntry, FIRST_CLIENT, ServerEntry};
use super::wire::handshake::Greeting;
use crate::net::tls::Acceptor;
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::task::Stop;
use crate::topology::NodeId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long a drain waits for those who have connected but not finished their login.
const LOGIN: Duration = Duration::from_secs(2);

/// A client that is connected for so long only is not sent away for being idle.
const NEWCOMER: Duration = Duration::from_secs(1);

pub struct Engine {
    /// A client has to be logged in within this.
    pub login_timeout: Duration,
    pub clusters: Vec<Arc<Cluster>>,
    pub clients: Arc<Registry<ClientEntry>>,
    pub servers: Arc<Registry<ServerEntry>>,
    pub acceptor: Option<Acceptor>,
    /// Connections that are not clients yet.
    pub(super) arriving: AtomicUsize,
    /// No new work; what runs may finish.
    draining: AtomicBool,
    /// Nothing may finish any more.
    cutting: AtomicBool,
}

/// What an engine is made of.
pub struct Parts {
    pub login_timeout: Duration,
    pub clusters: Vec<Arc<Cluster>>,
    pub servers: Arc<Registry<ServerEntry>>,
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
            arriving: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            cutting: AtomicBool::new(false),
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
        let found = self.clusters.iter().find(named).or_else(any);
        found
            .or_else(only)
            .ok_or_else(|| Refusal::UnknownDatabase(database.unwrap_or_default().to_owned()))
    }

    /// How a client is greeted, before it has said what it wants: as the servers do it.
    pub(super) fn greeting(&self) -> Option<Greeting> {
        let known = self.clusters.iter().find_map(|cluster| cluster.greeting());
        known
            .map(|greeting| (*greeting).clone())
            .or_else(|| self.clusters.first().map(|cluster| cluster.default_greeting()))
    }

    /// Accepts clients until told to stop.
    pub async fn listen(self: Arc<Self>, listener: TcpListener, mut stop: Stop) {
        loop {
            // Both branches are cancel-safe.
            let accepted = tokio::select! {
                () = stop.stopped() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((tcp, address)) => {
                    let arrival = accept::Arrival::new(self.clone());
                    tokio::spawn(async move { accept::serve(arrival, tcp, address).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// What a client is told that must go.
    pub(super) fn farewell(&self) -> Refusal {
        match self.is_draining() {
            true => Refusal::ShuttingDown,
            false => Refusal::Killed,
        }
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A client that was told to go must do so although it is in a transaction.
    pub(super) fn spares_nobody(&self) -> bool {
        !self.is_draining() || self.cutting.load(Ordering::Acquire)
    }

    /// Idle clients leave now, the others when their transaction ends. Resolves when all are
    /// gone; who is not gone when `within` is over is cut off. Answers with how many were.
    pub async fn drain(&self, within: Duration) -> usize {
        /// To tell those who are cut off why.
        const LAST_WORDS: Duration = Duration::from_secs(1);
        self.draining.store(true, Ordering::Release);
        let left = self.dismiss(within).await;
        if left > 0 {
            self.cutting.store(true, Ordering::Release);
            self.dismiss(LAST_WORDS).await;
        }
        left
    }

    /// Tells every client to go until none is left or `within` is over.
    async fn dismiss(&self, within: Duration) -> usize {
        let began = Instant::now();
        loop {
            let left = self.clients.all();
            left.iter().filter(|c| self.may_go(c)).for_each(|client| client.kill());
            let arriving = self.arriving.load(Ordering::Acquire) > 0 && began.elapsed() < LOGIN;
            let over = began.elapsed() >= within;
            if over || (left.is_empty() && !arriving) {
                return left.len();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Who was let in a moment ago may say what it came for.
    fn may_go(&self, client: &ClientEntry) -> bool {
        self.cutting.load(Ordering::Acquire) || client.since.elapsed() > NEWCOMER
    }

    /// Lets clients that use `node` look again whether it will ever answer.
    pub fn wake_clients_of(&self, cluster: &str, node: NodeId) {
        let uses = |c: &&Arc<ClientEntry>| {
            *c.identity.lock().cluster == *cluster && c.target().is_some_and(|t| t.node == node)
        };
        self.clients.all().iter().filter(uses).for_each(|client| client.wake());
    }

    /// Ends what the client is running, or its whole server connection.
    pub(super) async fn kill_at_server(&self, client: &ClientEntry, query: bool) {
        let Some(target) = client.target_to_kill() else { return };
        let name = client.identity.lock().cluster.clone();
        let cluster = self.clusters.iter().find(|cluster| *cluster.name == *name);
        if let Some(cluster) = cluster {
            kill::send(&cluster.nodes[usize::from(target.node.0)], &target, query).await;
        }
    }
}
