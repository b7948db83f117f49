//! Who is connected: clients and server connections, for cancel requests and for whoever looks.

use super::replication;
use super::server::CancelKey;
use crate::dispatch::LastRoute;
pub use crate::registry::{ClientState, Registration, Registry};
use crate::registry::{Link, Presence};
use crate::sql::Pin;
use crate::topology::NodeId;
use parking_lot::Mutex;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

/// A client as others see it.
#[derive(Debug)]
pub struct ClientEntry {
    pub id: u64,
    pub user: Arc<str>,
    pub database: Arc<str>,
    pub cluster: Arc<str>,
    pub address: std::net::SocketAddr,
    pub tls: bool,
    pub secret: Box<[u8]>,
    pub application: Mutex<Arc<str>>,
    pub replication: Option<replication::Kind>,
    /// The server connection in use and how to cancel what runs on it.
    pub link: Link<CancelTarget>,
    pub last_route: Mutex<Option<LastRoute>>,
    pub pin: AtomicU8,
    /// The transaction status byte of ReadyForQuery.
    transaction: AtomicU8,
    presence: Presence,
}

impl Deref for ClientEntry {
    type Target = Presence;
    fn deref(&self) -> &Presence {
        &self.presence
    }
}

/// Where a cancel request for a client goes.
#[derive(Clone, Debug)]
pub struct CancelTarget {
    pub node: NodeId,
    pub server: u64,
    pub key: Arc<CancelKey>,
}

/// What a new client entry starts from.
pub struct NewClient {
    pub user: Arc<str>,
    pub database: Arc<str>,
    pub cluster: Arc<str>,
    pub address: std::net::SocketAddr,
    pub tls: bool,
    pub secret: Box<[u8]>,
    pub application: Arc<str>,
    pub replication: Option<replication::Kind>,
}

impl ClientEntry {
    pub fn new(id: u64, new: NewClient) -> ClientEntry {
        ClientEntry {
            id,
            user: new.user,
            database: new.database,
            cluster: new.cluster,
            address: new.address,
            tls: new.tls,
            secret: new.secret,
            application: Mutex::new(new.application),
            replication: new.replication,
            link: Link::default(),
            last_route: Mutex::new(None),
            pin: AtomicU8::new(u8::MAX),
            transaction: AtomicU8::new(b'I'),
            presence: Presence::default(),
        }
    }

    /// The process id that clients are told; cancel requests come with it.
    pub fn pid(&self) -> u32 {
        pid_of(self.id)
    }

    /// The pin, by its name; `None`: none.
    pub fn pin(&self) -> Option<&'static str> {
        Pin::ALL.get(usize::from(self.pin.load(Ordering::Relaxed))).map(|pin| pin.name())
    }

    /// `idle`, `open` or `failed`.
    pub fn transaction(&self) -> &'static str {
        match self.transaction.load(Ordering::Relaxed) {
            b'T' => "open",
            b'E' => "failed",
            _ => "idle",
        }
    }

    pub fn note(&self, tx: super::session::Tx, pin: Option<Pin>) {
        self.transaction.store(tx.status(), Ordering::Relaxed);
        self.pin.store(pin.map_or(u8::MAX, |pin| pin as u8), Ordering::Relaxed);
    }

    /// Answers `SHOW tidegate.…` for this client.
    pub fn show(&self, name: &str, cluster: &super::cluster::Cluster) -> String {
        match name.trim_start_matches("tidegate.") {
            "last_route" => match *self.last_route.lock() {
                Some(LastRoute { node, because, .. }) => {
                    let node = cluster.node_name(node);
                    format!("{node}: {} ({})", because.explain(), because.name())
                }
                None => "nothing was routed yet".into(),
            },
            "version" => env!("CARGO_PKG_VERSION").into(),
            "cluster" => cluster.name.to_string(),
            "consistency" => cluster.live.load().route.consistency.name().into(),
            "route" => "any".into(),
            // What is set stands with the session.
            _ => String::new(),
        }
    }
}

/// Never 0 and never negative: applications print it as a signed number.
pub fn pid_of(id: u64) -> u32 {
    (id % 0x7fff_ffff) as u32 + 1
}

/// The number of the client that was told `pid`; entries are never more than 2³¹ apart.
pub fn id_of(pid: u32) -> u64 {
    u64::from(pid.saturating_sub(1))
}

/// A server connection as others see it.
#[derive(Debug)]
pub struct ServerEntry {
    pub id: u64,
    pub cluster: Arc<str>,
    pub node: Arc<str>,
    pub user: Arc<str>,
    pub database: Arc<str>,
    pub pid: u32,
    pub since: Instant,
    pub tls: bool,
    pub prepared: AtomicU64,
    /// The client it is lent to; 0: none.
    pub client: AtomicU64,
    /// The client that did more than read on it last; 0: none.
    pub writer: AtomicU64,
}
