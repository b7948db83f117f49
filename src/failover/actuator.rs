//! What failover needs done, in its own words; an engine does it.

use super::choose::Candidate;
use super::term::{Evidence, Name, Place, Promoted, Quorum, Record, Term};
use crate::orders::{Agent, AgentError};
use std::future::Future;
use thiserror::Error;

/// Why something could not be done, or was not seen to be done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Trouble {
    #[error("node {node} cannot be reached: {cause}")]
    Unreachable { node: Name, cause: String },
    /// The machine answers, and no server listens there.
    #[error("node {node}: nobody listens at its address")]
    NobodyListens { node: Name },
    /// Its port takes connections, and nobody answers them.
    #[error("node {node} takes connections and answers no login")]
    Deaf { node: Name },
    /// It answered, but refused, in its own words.
    #[error("node {node} refused: {cause}")]
    Refused { node: Name, cause: String },
    #[error("node {node} does not {what}")]
    NotObserved { node: Name, what: String },
    #[error("node {node}: {source}")]
    Agent { node: Name, source: AgentError },
    /// Another proxy keeps a term of this cluster.
    #[error("node {node}: term {term} of this cluster is kept by another proxy, {holder}")]
    Taken { node: Name, term: Term, holder: String },
    /// It promised to follow a later term.
    #[error("node {node} has promised term {promised}")]
    Promised { node: Name, promised: Term },
}

/// The row on the primary that says whose reign it is. It travels to every standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub term: Term,
    pub node: Name,
    pub holder: String,
    /// Grows with each heartbeat.
    pub counter: i64,
}

/// What one engine's servers are told, each by its name in the configuration.
///
/// Every order may be given twice, and answers only when its effect was observed.
pub trait Actuator: Send + Sync + 'static {
    /// The standby stops to listen to whomever it follows, and promises to obey no term before this
    /// one. Answers with what it has received.
    fn revoke(
        &self,
        node: &Name,
        term: Term,
    ) -> impl Future<Output = Result<Place, Trouble>> + Send;

    /// The standby drops its connection to its primary and makes another.
    fn reconnect(&self, node: &Name) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// The standby as a candidate; its priority is the configured one.
    fn look(&self, node: &Name) -> impl Future<Output = Result<Candidate, Trouble>> + Send;

    /// Who does on the node's machine what SQL cannot do.
    fn agent(&self, node: &Name) -> Option<&Agent>;

    /// Where others find the node: `host:port`.
    fn address(&self, node: &Name) -> Result<String, Trouble>;

    /// No client's session is left on the node and none begins.
    fn fence(&self, node: &Name) -> impl Future<Output = Result<Evidence, Trouble>> + Send;

    /// Undoes `fence`.
    fn unfence(&self, node: &Name) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Where the log of a fenced primary ends.
    fn end_of_log(&self, node: &Name) -> impl Future<Output = Result<Place, Trouble>> + Send;

    fn promote(&self, node: &Name) -> impl Future<Output = Result<Promoted, Trouble>> + Send;

    /// The row of the term, then what commits wait for: both are in force when this answers.
    fn install(
        &self,
        record: &Record,
        node: &Name,
        quorum: Option<&Quorum>,
    ) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// The standby follows `primary` in this term.
    fn repoint(
        &self,
        node: &Name,
        primary: &Name,
        term: Term,
    ) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// The node can be given all these orders.
    fn is_able(&self, node: &Name) -> impl Future<Output = Result<(), Trouble>> + Send;

    fn checkpoint(&self, node: &Name) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// All that was written on the primary so far is on every voter.
    fn arm(
        &self,
        record: &Record,
        quorum: &Quorum,
    ) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Writes the next heartbeat, durable when this answers. At times it comes by a new login: a
    /// server may go on for those who are inside, and let nobody in.
    fn beat(&self, record: &Record) -> impl Future<Output = Result<Row, Trouble>> + Send;

    /// The row that is on this node, if there is one.
    fn row(
        &self,
        node: &Name,
        cluster: &Name,
    ) -> impl Future<Output = Result<Option<Row>, Trouble>> + Send;
}
