//! Why a client is turned away: one neutral enum; each engine maps it to its own codes in one place.

pub mod catalogue;
mod doors;
mod table;

use catalogue::Number;
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
    /// The cluster promises that no acknowledged write is ever lost.
    #[error(
        "synchronous_commit must be on or remote_apply: this cluster loses no acknowledged write"
    )]
    WeakCommit,
    /// A commit stopped waiting for its standbys.
    #[error(
        "node {node} committed it and stopped waiting for its standbys: whether it lasts is unknown"
    )]
    NotReplicated { node: Arc<str> },
    /// What the next primary says.
    #[error("node {node} was lost at the commit, and the transaction was rolled back")]
    RolledBack { node: Arc<str> },
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

/// The warning that a position was left behind by a failover.
pub const LOST_POSITION: Number = Number(406);

impl Refusal {
    /// Its entry in the catalogue; `None`: the words are those of a server.
    pub fn number(&self) -> Option<Number> {
        Some(Number(match self {
            Refusal::ServerEnded { .. } => return None,
            Refusal::UnknownDatabase(_) => 101,
            Refusal::Authentication(_) => 102,
            Refusal::Certificate(_) => 103,
            Refusal::Throttled { .. } => 104,
            Refusal::NoRule { .. } => 105,
            Refusal::RejectedByRule { .. } => 106,
            Refusal::Lookup(_) => 107,
            Refusal::TlsRequired => 108,
            Refusal::LoginTimeout(_) => 109,
            Refusal::Protocol(_) => 151,
            Refusal::Unsupported(_) => 152,
            Refusal::ReplicationOff { .. } => 161,
            Refusal::ReplicationValue(_) => 162,
            Refusal::ReplicationWhere { .. } => 163,
            Refusal::TooManyClients { .. } => 201,
            Refusal::TooManyStatements { .. } => 202,
            Refusal::PoolExhausted { .. } => 203,
            Refusal::Overflow => 204,
            Refusal::NoPrimary { .. } => 301,
            Refusal::NoFreshReplica { .. } => 302,
            Refusal::ServerUnreachable { .. } => 303,
            Refusal::ServerRefused { .. } => 304,
            Refusal::ServerLost { .. } => 305,
            Refusal::OutcomeUnknown { .. } => 306,
            Refusal::AnswerCut { .. } => 307,
            Refusal::Desynchronised { .. } => 308,
            Refusal::Parameter { .. } => 309,
            Refusal::ReignEnded { .. } => 310,
            Refusal::Disabled { .. } => 311,
            Refusal::NotReplicated { .. } => 312,
            Refusal::RolledBack { .. } => 313,
            Refusal::Setting { .. } => 401,
            Refusal::UnknownSetting { .. } => 402,
            Refusal::NotAlone { .. } => 403,
            Refusal::ForeignPosition => 404,
            Refusal::WeakCommit => 405,
            Refusal::ShuttingDown => 501,
            Refusal::Killed => 502,
            Refusal::Internal(_) => 503,
        }))
    }

    /// One of each, for tests of what is said about them.
    #[cfg(test)]
    pub(crate) fn samples() -> Vec<Refusal> {
        let node: Arc<str> = "b".into();
        let cluster: Arc<str> = "orders".into();
        let text = || "x".to_owned();
        let waited = Duration::from_secs(1);
        let address = IpAddr::from([127, 0, 0, 1]);
        vec![
            Refusal::UnknownDatabase(text()),
            Refusal::Authentication(text()),
            Refusal::Certificate(text()),
            Refusal::Throttled { user: text(), address, wait: waited },
            Refusal::NoRule { cluster: cluster.clone(), caller: text() },
            Refusal::RejectedByRule { cluster: cluster.clone(), rule: 1, caller: text() },
            Refusal::Lookup(text()),
            Refusal::TlsRequired,
            Refusal::Protocol(text()),
            Refusal::Unsupported(text()),
            Refusal::ReplicationOff { cluster: cluster.clone() },
            Refusal::ReplicationValue(text()),
            Refusal::ReplicationWhere { clusters: text() },
            Refusal::Setting { name: text(), value: text(), allowed: text() },
            Refusal::UnknownSetting { name: text() },
            Refusal::NotAlone { name: text() },
            Refusal::ForeignPosition,
            Refusal::WeakCommit,
            Refusal::NotReplicated { node: node.clone() },
            Refusal::RolledBack { node: node.clone() },
            Refusal::ReignEnded { node: node.clone() },
            Refusal::Disabled { cluster: cluster.clone() },
            Refusal::LoginTimeout(waited),
            Refusal::TooManyClients { what: text(), limit: 1 },
            Refusal::TooManyStatements { limit: 1 },
            Refusal::PoolExhausted { what: text(), waited },
            Refusal::NoPrimary { cluster: cluster.clone(), waited },
            Refusal::NoFreshReplica { cluster },
            Refusal::ServerUnreachable { node: node.clone(), cause: text() },
            Refusal::ServerRefused { node: node.clone(), cause: text() },
            Refusal::ServerLost { node: node.clone(), cause: text() },
            Refusal::OutcomeUnknown { node: node.clone() },
            Refusal::AnswerCut { node: node.clone() },
            Refusal::Desynchronised { node: node.clone(), what: text() },
            Refusal::Parameter { node, cause: text() },
            Refusal::Overflow,
            Refusal::ShuttingDown,
            Refusal::Killed,
            Refusal::Internal(text()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Those behind are checked where they are used: `admin/failure.rs`, `http/problem.rs`,
    /// `agent/problem.rs`.
    const CONSOLE: u16 = 900;

    #[test]
    fn every_refusal_is_in_the_catalogue_and_everything_in_it_is_a_refusal() {
        let used = Refusal::samples().into_iter().filter_map(|refusal| refusal.number());
        let used: BTreeSet<Number> = used.chain([LOST_POSITION]).collect();
        let known = catalogue::entries().map(|entry| entry.number);
        let known: BTreeSet<Number> = known.filter(|number| number.0 < CONSOLE).collect();
        assert_eq!(used, known);
    }

    #[test]
    fn the_catalogue_has_the_words_of_each() {
        for refusal in Refusal::samples() {
            let entry = catalogue::entries().find(|e| Some(e.number) == refusal.number());
            let shape = entry.expect("an entry").message;
            let said = refusal.to_string();
            let same = |part: &str| said.contains(part.trim());
            // The catalogue has what a PostgreSQL client reads of a failed password.
            let ours = !matches!(refusal, Refusal::Authentication(_));
            assert!(!ours || shape.split('…').all(same), "{said} is not {shape}");
        }
    }
}
