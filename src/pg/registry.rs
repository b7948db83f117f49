//! Who is connected: clients and server connections, for cancel requests and for whoever looks.

use super::replication;
use super::server::CancelKey;
pub use crate::registry::{Registration, Registry};
use crate::sql::Pin;
use crate::topology::NodeId;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Instant;

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ClientState {
    /// Logged in, no statement under way.
    Idle = 0,
    /// Waits for a server connection.
    Waiting = 1,
    /// Has a server connection.
    Active = 2,
}

/// A client as others see it.
#[derive(Debug)]
pub struct ClientEntry {
    pub id: u64,
    pub user: Arc<str>,
    pub database: Arc<str>,
    pub cluster: Arc<str>,
    pub address: std::net::SocketAddr,
    pub tls: bool,
    pub since: Instant,
    pub secret: Box<[u8]>,
    pub application: Mutex<Arc<str>>,
    pub replication: Option<replication::Kind>,
    pub requests: AtomicU64,
    state: AtomicU8,
    /// The server connection in use and how to cancel what runs on it.
    link: Mutex<Link>,
    pub last_route: Mutex<Option<LastRoute>>,
    pub pin: AtomicU8,
    /// The transaction status byte of ReadyForQuery.
    transaction: AtomicU8,
    killed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// Where the last statement went and why.
#[derive(Clone, Copy, Debug)]
pub struct LastRoute {
    pub node: Option<NodeId>,
    pub because: crate::route::Because,
}

#[derive(Debug, Default)]
struct Link {
    target: Option<CancelTarget>,
    /// A cancel request was sent to it: it must not serve anyone else.
    cancelled: bool,
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
            since: Instant::now(),
            secret: new.secret,
            application: Mutex::new(new.application),
            replication: new.replication,
            requests: AtomicU64::new(0),
            state: AtomicU8::new(ClientState::Idle as u8),
            link: Mutex::default(),
            last_route: Mutex::new(None),
            pin: AtomicU8::new(u8::MAX),
            transaction: AtomicU8::new(b'I'),
            killed: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    /// The process id that clients are told; cancel requests come with it.
    pub fn pid(&self) -> u32 {
        pid_of(self.id)
    }

    pub fn state(&self) -> ClientState {
        match self.state.load(Ordering::Relaxed) {
            1 => ClientState::Waiting,
            2 => ClientState::Active,
            _ => ClientState::Idle,
        }
    }

    pub fn set_state(&self, state: ClientState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub fn link(&self, target: CancelTarget) {
        *self.link.lock() = Link { target: Some(target), cancelled: false };
    }

    /// Lets go of the server; true when a cancel request was sent to it.
    pub fn unlink(&self) -> bool {
        std::mem::take(&mut *self.link.lock()).cancelled
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
                Some(LastRoute { node, because }) => {
                    let node = node.map_or_else(|| "nobody".into(), |n| cluster.node_name(n));
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

    /// Where a cancel request goes now; from here on the server serves nobody else.
    pub fn cancel_target(&self) -> Option<CancelTarget> {
        let mut link = self.link.lock();
        link.cancelled = link.target.is_some();
        link.target.clone()
    }

    pub fn is_linked_to(&self, node: NodeId) -> bool {
        self.link.lock().target.as_ref().is_some_and(|t| t.node == node)
    }

    pub fn linked_server(&self) -> Option<u64> {
        self.link.lock().target.as_ref().map(|t| t.server)
    }

    /// Ends this client at its next opportunity.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.wake();
    }

    pub fn wake(&self) {
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// The task to wake when somebody wants something of this client.
    pub fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.lock();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
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
