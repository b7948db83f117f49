//! How a cluster is watched, and who belongs to it.

use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often each node is asked.
    pub interval: Duration,
    /// How often while nobody uses the cluster.
    pub idle_interval: Duration,
    /// How often at most, when somebody waits for news.
    pub shortest_interval: Duration,
    /// A node that takes longer to answer counts as unknown.
    pub probe_timeout: Duration,
    /// A connection that takes longer to open, login included, has failed.
    pub connect_timeout: Duration,
    /// Longest pause between two attempts to reach a node that is down. The first pause is one
    /// `interval`; it doubles with each failure.
    pub backoff_max: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            interval: Duration::from_millis(100),
            idle_interval: Duration::from_secs(1),
            shortest_interval: Duration::from_millis(1),
            probe_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            backoff_max: Duration::from_secs(2),
        }
    }
}

/// A node as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: Arc<str>,
    /// `host:port`
    pub address: Arc<str>,
    /// Share of reads relative to the others; 0 takes none.
    pub weight: u32,
    /// Reads prefer it to others.
    pub near: bool,
}
