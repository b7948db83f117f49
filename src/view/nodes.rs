//! Clusters and their nodes.

use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug, Serialize)]
pub struct Cluster {
    pub name: Arc<str>,
    /// `postgres`, `mysql` or `mariadb`.
    pub engine: Arc<str>,
    /// The node that takes writes.
    pub primary: Option<Arc<str>>,
    /// Grows with every change of a role.
    pub epoch: u64,
    pub paused: bool,
    /// New clients are turned away.
    pub disabled: bool,
    /// Names clients may ask for; `*` is any.
    pub databases: Vec<Arc<str>>,
    pub limits: PoolLimits,
    pub nodes: Vec<Node>,
}

/// The limits of a cluster's pools.
#[derive(Clone, Debug, Serialize)]
pub struct PoolLimits {
    /// `transaction` or `session`.
    pub mode: Arc<str>,
    /// Server connections per node, user and database.
    pub size: u64,
    pub min_idle: u64,
    /// Server connections per node, over all pools; 0: no limit.
    pub max_per_node: u64,
    pub max_clients: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Node {
    pub name: Arc<str>,
    /// `host:port`
    pub address: Arc<str>,
    /// `primary`, `replica`, `fenced` or `unknown`.
    pub role: Arc<str>,
    /// Why the role is what it is, where there is something to say.
    pub reason: Option<Arc<str>>,
    pub position: Option<String>,
    /// How old its data may be at most, by this proxy's own clock.
    #[serde(rename = "staleness_seconds", serialize_with = "super::seconds_if_known")]
    pub staleness: Option<Duration>,
    /// Log bytes behind the newest primary sample.
    pub bytes_behind: Option<u64>,
    /// The server's own claim: shown, never routed by.
    #[serde(rename = "claimed_lag_seconds", serialize_with = "super::seconds_if_known")]
    pub claimed_lag: Option<Duration>,
    pub weight: u32,
    /// Transactions that hold one of its connections now.
    pub outstanding: u64,
    pub served_reads: u64,
    pub served_writes: u64,
    /// `server_version`
    pub version: Option<Arc<str>>,
}
