//! What an operator decides about backups.

use super::{Hooks, Keyring, Schedule};
use std::sync::Arc;
use std::time::Duration;

/// Which nodes a backup may be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Replicas only: the primary pays nothing.
    Replica,
    /// The primary, too, if no replica is able.
    Any,
}

/// How long backups are kept. A number of 0 asks for none of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Days of which the last backup is kept; days without one do not count.
    pub daily: u32,
    pub weekly: u32,
    pub monthly: u32,
    /// How far back any moment can be restored, where the log is archived.
    pub window: Duration,
}

#[derive(Clone)]
pub struct Settings {
    /// Where backups go, as [`super::Store::open`] takes it.
    pub store: String,
    pub from: From,
    /// A replica whose data is older is not taken.
    pub max_lag: Duration,
    /// While the replica's data is older than this, the copy waits.
    pub pause_lag: Duration,
    /// Bytes a second that are read from the node; 0: as many as come.
    pub max_rate: u64,
    /// zstd's level.
    pub level: u32,
    pub keep: Keep,
    /// `None`: backups are taken when somebody says so.
    pub schedule: Option<Schedule>,
    /// Whether the log is archived.
    pub archive: bool,
    /// How much may be lost at most, as time; `None`: nobody is told.
    /// None: nothing is encrypted.
    pub keys: Arc<Keyring>,
    pub rpo: Option<Duration>,
    pub hooks: Hooks,
}
