//! One immutable picture of a cluster, and the way it is published to everyone who reads it.

use super::{Lsn, Position, Timeline};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::watch;

/// A node of one cluster, by its place in the configuration. At most 64 nodes in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u8);

/// A set of nodes of one cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeSet(u64);

impl NodeSet {
    pub const EMPTY: NodeSet = NodeSet(0);

    pub fn insert(&mut self, node: NodeId) {
        self.0 |= 1 << node.0;
    }
    pub fn contains(self, node: NodeId) -> bool {
        self.0 & (1 << node.0) != 0
    }
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a node is, as the servers themselves say and the monitor concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows the primary of this snapshot.
    Replica,
    /// Says it is a primary, but another node holds the reign: it serves nothing.
    Fenced,
    /// Not reached, not understood, or of another history; the text says why.
    Unknown(Arc<str>),
}

impl Role {
    pub fn name(&self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Replica => "replica",
            Role::Fenced => "fenced",
            Role::Unknown(_) => "unknown",
        }
    }
}

/// What a node said about itself, as far as the choice of a primary needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It follows another, or would.
    pub in_recovery: bool,
    pub system: u64,
    pub timeline: Timeline,
    /// How a standby gets its log; `None`: it is none, or its engine does not say.
    pub feed: Option<Feed>,
}

/// How a standby gets its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    /// By a connection to its primary.
    pub streams: bool,
    /// The end of what it has; `None`: nothing since its start.
    pub received: Option<Lsn>,
    /// It was told to follow nobody.
    pub held: bool,
}

/// How busy a node is with this proxy's work: shared by all snapshots, counted by leases.
#[derive(Debug, Default)]
pub struct Load {
    /// Transactions that hold a server connection of this node now.
    pub outstanding: AtomicU32,
    /// Reads ever sent to this node.
    pub reads: AtomicU64,
    /// Everything else ever sent to it.
    pub writes: AtomicU64,
}

impl Load {
    pub fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }
}

/// One node as it was seen last.
#[derive(Clone, Debug)]
pub struct NodeView {
    pub id: NodeId,
    pub name: Arc<str>,
    /// `host:port`, as configured.
    pub address: Arc<str>,
    pub role: Role,
    /// Share of reads relative to the others; 0 takes none.
    pub weight: u32,
    /// An operator wants no new reads there.
    pub drained: bool,
    /// In the zone of this proxy, or nobody says where it is.
    pub near: bool,
    /// Primary: what it has written; replica: what it has replayed.
    pub position: Option<Position>,
    /// Everything acknowledged before this instant of our own clock is visible here.
    /// `None`: unknown, which counts as too late for everyone.
    pub fresh_as_of: Option<Instant>,
    /// When the question was sent that all this is the answer to; `None`: it did not answer.
    pub asked: Option<Instant>,
    /// When it was last found not to answer: it may show less since than before.
    pub away: Option<Instant>,
    /// The server's own claim of its delay, in microseconds: shown, never routed by.
    pub claimed_lag_us: Option<u64>,
    /// What is wrong with its replication, in its own words: shown, never routed by.
    pub trouble: Option<Arc<str>>,
    /// Log bytes behind the newest primary sample.
    pub bytes_behind: Option<u64>,
    /// `server_version` as the node says it.
    pub version: Option<Arc<str>>,
    /// What it says of itself; `None`: it does not answer.
    pub standing: Option<Standing>,
    pub load: Arc<Load>,
}

impl NodeView {
    /// A node of which nothing but this is known yet; near, and with the usual share of reads.
    pub fn unseen(id: NodeId, name: impl Into<Arc<str>>, role: Role) -> NodeView {
        NodeView {
            id,
            name: name.into(),
            address: "".into(),
            role,
            weight: 1,
            drained: false,
            near: true,
            position: None,
            fresh_as_of: None,
            asked: None,
            away: None,
            claimed_lag_us: None,
            trouble: None,
            bytes_behind: None,
            version: None,
            standing: None,
            load: Arc::default(),
        }
    }
}

/// One cluster as the monitor sees it now.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub cluster: Arc<str>,
    /// Grows when another node or timeline becomes the primary, and when a node is fenced or no
    /// longer; a lease of an older epoch never writes. Nodes that come and go do not change it:
    /// a replica's death must not disturb the writes that run on the primary.
    pub epoch: u64,
    pub primary: Option<NodeId>,
    /// Where the history of this primary began, or was when it was first seen: what an earlier
    /// timeline had beyond this is lost.
    pub began: Option<Position>,
    pub nodes: Vec<NodeView>,
}

impl Snapshot {
    pub fn node(&self, id: NodeId) -> &NodeView {
        &self.nodes[usize::from(id.0)]
    }
    pub fn primary(&self) -> Option<&NodeView> {
        self.primary.map(|id| self.node(id))
    }
}

/// Where the monitor puts snapshots and sessions read them: a load without a lock, and a wait.
#[derive(Debug)]
pub struct Published {
    now: ArcSwap<Snapshot>,
    epochs: watch::Sender<u64>,
}

impl Published {
    pub fn new(first: Snapshot) -> Published {
        let (epochs, _) = watch::channel(0);
        Published { now: ArcSwap::from_pointee(first), epochs }
    }
    /// The newest snapshot.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.now.load()
    }
    /// Replaces the snapshot and wakes everyone who waits for a change.
    pub fn publish(&self, next: Snapshot) {
        self.now.store(Arc::new(next));
        self.epochs.send_modify(|n| *n += 1);
    }
    /// Resolves at each later `publish`: `changes.changed().await`.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.epochs.subscribe()
    }
}
