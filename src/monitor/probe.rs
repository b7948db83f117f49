//! What the monitor asks of an engine: a line to a node, and an answer now and then.

use crate::topology::{Feed, History, Position, ServerId, Timeline};
use std::future::Future;
use std::sync::Arc;
use thiserror::Error;

/// What a node said about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// True for a node that follows another; false for one that says it takes writes.
    pub in_recovery: bool,
    /// The database system this node is a copy of.
    pub system: u64,
    pub timeline: Timeline,
    /// Primary: what it has written, in the sense of "every commit acknowledged before the
    /// question is contained in it"; replica: what it has replayed. `None`: nothing yet.
    pub position: Option<Position>,
    pub version: Arc<str>,
    /// The node's own claim of its delay, in microseconds.
    pub claimed_lag_us: Option<u64>,
    /// For engines without system identifiers and timelines: then `system` is the same for all,
    /// and the number of the timeline comes from this.
    pub lineage: Option<Lineage>,
    /// How a standby gets its log, where the engine says.
    pub feed: Option<Feed>,
    /// What is wrong with its replication, in the node's own words.
    pub trouble: Option<Arc<str>>,
}

/// Who a node is and whom it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    pub server: ServerId,
    pub source: Source,
    pub read_only: bool,
    pub history: History,
}

/// Whom a node follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// No replication is set up.
    Nobody,
    /// It is set up, but never reached its server.
    Unmet,
    Server(ServerId),
}

/// Why there is no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProbeError {
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The node refused the login, in its own words.
    #[error("refuses the monitor: {0}")]
    Refused(String),
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// It answered, but not as this engine's servers do.
    #[error("was not understood: {0}")]
    Nonsense(String),
}

/// The way to one node.
pub trait Probe: Send + Sync + 'static {
    type Line: Line;

    /// Opens a connection and logs in.
    fn connect(&self) -> impl Future<Output = Result<Self::Line, ProbeError>> + Send;
}

/// An open connection to one node, used by the monitor alone. Dropping it closes it.
pub trait Line: Send + 'static {
    /// Asks the node what it is and how far it got. The line is dropped after an error, and when
    /// the answer is no longer waited for.
    fn ask(&mut self) -> impl Future<Output = Result<Observation, ProbeError>> + Send;

    /// Resolves when the connection is found to be dead. Cancel-safe.
    fn lost(&mut self) -> impl Future<Output = ()> + Send;
}
