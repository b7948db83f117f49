//! How the numbers went: rates and latencies of short spans of time.

use super::{rfc3339, seconds_if_known};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What happened in one span; all rates are per second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Grows by one with each sample of this process.
    pub number: u64,
    /// The end of the span.
    #[serde(serialize_with = "rfc3339")]
    pub at: SystemTime,
    /// Connected at the end.
    pub clients: u64,
    pub clusters: Vec<ClusterSample>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterSample {
    pub cluster: Arc<str>,
    pub transactions: f64,
    pub queries: f64,
    /// Told to clients by the proxy itself.
    pub errors: f64,
    /// Run again, unseen.
    pub retries: f64,
    /// Bytes from clients, and to clients.
    pub received: f64,
    pub sent: f64,
    /// How long a batch took at the proxy; `None`: there was none. Within a factor of two.
    #[serde(rename = "p50_seconds", serialize_with = "seconds_if_known")]
    pub p50: Option<Duration>,
    #[serde(rename = "p99_seconds", serialize_with = "seconds_if_known")]
    pub p99: Option<Duration>,
    /// How long a batch took on average.
    #[serde(rename = "mean_seconds", serialize_with = "seconds_if_known")]
    pub mean: Option<Duration>,
    /// How long clients waited for a server connection on average; `None`: nobody did.
    #[serde(rename = "wait_seconds", serialize_with = "seconds_if_known")]
    pub wait: Option<Duration>,
    /// At the end.
    pub clients_waiting: u64,
    pub servers: u64,
    pub nodes: Vec<NodeSample>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeSample {
    pub node: Arc<str>,
    pub role: Arc<str>,
    #[serde(rename = "staleness_seconds", serialize_with = "seconds_if_known")]
    pub staleness: Option<Duration>,
    /// Transactions sent there.
    pub reads: f64,
    pub writes: f64,
}
