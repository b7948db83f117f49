//! Server connections of one node, user and database, lent to sessions.
//!
//! A connection is in exactly one place: *connecting*, *idle* (in the pool, proven clean),
//! or *lent*. A [`Lease`] that is dropped without [`Lease::give_back`] closes its connection.

mod budget;
mod idle;
mod lease;
mod lent;
mod upkeep;
mod waiting;

pub use budget::{Budget, Slot};
pub use lease::{Connector, Counts, Limit, Pool, PoolError};
pub use lent::Lease;
pub use upkeep::Upkeep;

use std::collections::BTreeMap;
use std::time::Duration;

/// When a server connection goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// After each transaction.
    Transaction,
    /// When the client leaves.
    Session,
}

/// What one database may have.
#[derive(Clone, Debug)]
pub struct DatabaseLimits {
    /// Clients in it; 0: no limit.
    pub max_clients: usize,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub mode: Mode,
    /// Server connections per node, user and database.
    pub size: usize,
    /// Server connections kept open even when nobody asks.
    pub min_idle: usize,
    /// Server connections per node, over all pools of the cluster; 0: no limit.
    pub max_per_node: usize,
    /// Clients of this cluster.
    pub max_clients: usize,
    /// Clients of this cluster from one address; 0: no limit.
    pub max_clients_per_address: usize,
    /// Clients of this cluster by one user, unless the user has a limit of its own; 0: no limit.
    pub max_clients_per_user: usize,
    /// Clients in one database that is not in `databases`; 0: no limit.
    pub max_clients_per_database: usize,
    /// Replication connections of this cluster; 0: no limit.
    pub max_replication: usize,
    pub databases: BTreeMap<String, DatabaseLimits>,
    /// How long a client waits for a server connection.
    pub query_wait: Duration,
    pub connect_timeout: Duration,
    /// A connection older than this (less up to a tenth of it, by chance) is closed when free.
    pub max_lifetime: Duration,
    /// A connection idle for longer is closed, down to `min_idle`.
    pub idle_timeout: Duration,
    /// A connection idle for longer is asked for a sign of life before it is lent.
    pub check_after: Duration,
    /// Connections being opened to one node at the same time.
    pub connecting: usize,
    /// Prepared statements kept on one server connection.
    pub max_prepared: usize,
    /// Prepared statements of one client.
    pub max_client_prepared: usize,
}
