//! What is counted for a cluster, cheap enough for every statement.

use crate::route::Because;
use crate::telemetry::{Counter, Family, Histogram};

#[derive(Debug, Default)]
pub struct Counters {
    /// Batches answered.
    pub queries: Counter,
    /// Server connections lent for a transaction.
    pub transactions: Counter,
    /// Bytes from clients, and to clients.
    pub received: Counter,
    pub sent: Counter,
    /// Reads asked of another node because the first failed, unseen by the client.
    pub retries: Family,
    /// Errors that the proxy itself gave, by SQLSTATE.
    pub refused: Family,
    pub logins: Counter,
    pub failed_logins: Counter,
    /// Logins that were delayed or not tried because others failed before.
    pub throttled_logins: Counter,
    /// Server connections closed because their answers did not fit.
    pub desyncs: Counter,
    /// Notifications given to clients that keep no server connection for them.
    pub notifications: Counter,
    /// Connections that listen for sessions, opened in place of a lost one.
    pub relistened: Counter,
    /// Positions of sessions that a promotion left behind.
    pub lost_positions: Counter,
    /// What became of commits whose server was lost, where that was to be found out.
    pub outcomes: Family,
    /// How long batches took, waiting and unseen retries included.
    pub took: Histogram,
    /// How long clients waited for a server connection.
    pub waits: Histogram,
    routed: [Counter; Because::COUNT],
}

impl Counters {
    pub fn routed(&self, because: Because) {
        self.routed[because.index()].increment();
    }

    /// Decisions by their reason.
    pub fn routes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.routed.iter().enumerate().map(|(i, n)| (Because::from_index(i).name(), n.get()))
    }
}
