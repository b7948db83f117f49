//! Counters since the start, per cluster and database.

use crate::telemetry::Distribution;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    pub cluster: Arc<str>,
    /// `*` where the numbers are those of the whole cluster.
    pub database: Arc<str>,
    pub transactions: u64,
    pub queries: u64,
    /// From clients.
    pub bytes_received: u64,
    /// To clients.
    pub bytes_sent: u64,
    /// How long batches took, waiting and unseen retries included.
    pub took: Distribution,
    /// How long clients waited for a server connection; its count is that of the waits.
    pub wait: Distribution,
    /// Errors by SQLSTATE.
    pub errors: BTreeMap<String, u64>,
    /// Decisions by their reason.
    pub routed: BTreeMap<String, u64>,
    /// Statements run again, unseen by the client, by reason.
    pub retries: BTreeMap<String, u64>,
    /// Given to clients that keep no server connection for them.
    pub notifications: u64,
    /// Times that a connection which listens for clients was lost and replaced.
    pub relistened: u64,
    /// Commits whose server was lost, by what became of them.
    pub outcomes: BTreeMap<String, u64>,
    /// Positions of `read_after` that a promotion left behind.
    pub lost_positions: u64,
    pub logins_ok: u64,
    pub logins_failed: u64,
    /// Logins that were delayed or not tried because others failed before.
    pub logins_throttled: u64,
}
