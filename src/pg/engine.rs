//! The PostgreSQL engine as a whole: its clusters, its clients, its listener.

use super::accept::{self, Arrival};
use super::auth::scram::{KeyCache, Mock};
use super::cancel;
use super::cluster::Cluster;
use super::registry::{ClientEntry, Registry, ServerEntry, id_of};
use crate::net::tls::Acceptor;
use crate::refusal::Refusal;
use crate::task::{Stop, Tasks};
use crate::topology::NodeId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;

pub struct Settings {
    /// A client has to be logged in within this.
    pub login_timeout: Duration,
}

/// How long a drain waits for those who have connected but not finished their login.
const LOGIN: Duration = Duration::from_secs(2);

/// A client that is connected for so long only is not sent away for being idle.
const NEWCOMER: Duration = Duration::from_secs(1);

pub struct Engine {
    pub settings: Settings,
    pub clusters: Vec<Arc<Cluster>>,
    pub clients: Arc<Registry<ClientEntry>>,
    pub servers: Arc<Registry<ServerEntry>>,
    pub acceptor: Option<Acceptor>,
    pub mock: Mock,
    pub keys: Arc<KeyCache>,
    pub tasks: Tasks,
    /// Connections that are not clients yet.
    pub(super) arriving: AtomicUsize,
    /// No new transactions; running ones may finish.
    draining: AtomicBool,
    /// Nothing may finish any more.
    cutting: AtomicBool,
}

/// What an engine is made of.
pub struct Parts {
    pub settings: Settings,
    pub clusters: Vec<Arc<Cluster>>,
    pub servers: Arc<Registry<ServerEntry>>,
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
            arriving: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            cutting: AtomicBool::new(false),
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
                    let arrival = Arrival::new(self.clone());
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
        let all = self.clients.all();
        let theirs = all.iter().filter(|c| *c.cluster == *cluster && c.is_linked_to(node));
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
        let Some(target) = client.cancel_target() else { return };
        let cluster = self.clusters.iter().find(|c| c.name == client.cluster);
        if let Some(cluster) = cluster {
            cancel::send(&cluster.nodes[usize::from(target.node.0)], &target).await;
        }
    }

    /// The client is gone and its statement still runs: nobody wants the answer.
    pub(super) fn cancel_abandoned(&self, cluster: &Arc<Cluster>, client: &Arc<ClientEntry>) {
        let Some(target) = client.cancel_target() else { return };
        let node = cluster.nodes[usize::from(target.node.0)].clone();
        tokio::spawn(async move { cancel::send(&node, &target).await });
    }
}
