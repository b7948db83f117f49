//! Why a client is turned away: one neutral enum; each engine maps it to its own codes in one place.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("database {0:?} is not served here")]
    UnknownDatabase(String),
    #[error("authentication failed for user {0:?}")]
    Authentication(String),
    #[error("certificate authentication failed for user \"{0}\"")]
    Certificate(String),
    /// Nothing was tried: that the password is wrong is not said.
    #[error("too many failed logins of user {user:?} from {address}: wait for {wait:.1?}")]
    Throttled { user: String, address: IpAddr, wait: Duration },
    #[error("no rule of clusters.{cluster}.auth.rules matches {caller}")]
    NoRule { cluster: Arc<str>, caller: String },
    #[error("clusters.{cluster}.auth.rules[{rule}] rejects {caller}")]
    RejectedByRule { cluster: Arc<str>, rule: usize, caller: String },
    /// The database was asked for the user and did not answer; why is in the log.
    #[error("user {0:?} could not be looked up")]
    Lookup(String),
    #[error("this listener requires TLS")]
    TlsRequired,
    #[error("protocol violation: {0}")]
    Protocol(String),
    #[error("not supported: {0}")]
    Unsupported(String),
    #[error("cluster {cluster} takes no replication connections")]
    ReplicationOff { cluster: Arc<str> },
    #[error("invalid value for parameter \"replication\": \"{0}\"")]
    ReplicationValue(String),
    #[error(
        "a connection for physical replication names no database, and each of the clusters {clusters} could be meant"
    )]
    ReplicationWhere { clusters: String },
    #[error("invalid value for parameter \"{name}\": {value:?} (allowed: {allowed})")]
    Setting { name: String, value: String, allowed: String },
    #[error("unrecognized configuration parameter \"{name}\"")]
    UnknownSetting { name: String },
    #[error("{name} has to be asked for by itself, not in one batch with other statements")]
    NotAlone { name: String },
    #[error("the position of tidegate.read_after belongs to another database system")]
    ForeignPosition,
    #[error("node {node} is no longer the primary")]
    ReignEnded { node: Arc<str> },
    #[error("cluster {cluster} is disabled by an operator")]
    Disabled { cluster: Arc<str> },
    #[error("login took longer than {0:?}")]
    LoginTimeout(Duration),
    #[error("too many clients: {what} has its limit of {limit} reached")]
    TooManyClients { what: String, limit: usize },
    #[error("too many prepared statements: pool.max_client_prepared = {limit}")]
    TooManyStatements { limit: usize },
    #[error("no server connection became free within {waited:?}: {what}")]
    PoolExhausted { what: String, waited: Duration },
    #[error("cluster {cluster} has had no primary for {waited:?}")]
    NoPrimary { cluster: Arc<str>, waited: Duration },
    #[error("cluster {cluster} has no replica that is fresh enough")]
    NoFreshReplica { cluster: Arc<str> },
    #[error("node {node} cannot be reached: {cause}")]
    ServerUnreachable { node: Arc<str>, cause: String },
    /// The server refused our login; its own words are for the log, the client gets a summary.
    #[error("node {node} refused the connection: {cause}")]
    ServerRefused { node: Arc<str>, cause: String },
    #[error("the connection to node {node} was lost: {cause}")]
    ServerLost { node: Arc<str>, cause: String },
    /// The server said why it ended the connection; the code is its own.
    #[error("node {node} ended the connection: {message}")]
    ServerEnded { node: Arc<str>, code: String, message: String },
    #[error(
        "the connection to node {node} was lost while a write was under way: its outcome is unknown"
    )]
    OutcomeUnknown { node: Arc<str> },
    #[error("the answer from node {node} was cut off and is incomplete")]
    AnswerCut { node: Arc<str> },
    #[error("the answers of node {node} do not fit what was asked: {what}")]
    Desynchronised { node: Arc<str>, what: String },
    #[error("a session parameter could not be restored on node {node}: {cause}")]
    Parameter { node: Arc<str>, cause: String },
    #[error("too many notifications wait for this client, which does not take them")]
    Overflow,
    #[error("tidegate is shutting down")]
    ShuttingDown,
    #[error("terminated by an administrator")]
    Killed,
    #[error("internal error: {0}")]
    Internal(String),
}
