//! What the agent beside a database server is told, and what it answers: JSON over HTTP.
//!
//! The words are those of [`crate::failover`]; both sides have them from here.

mod client;

pub use client::{Agent, AgentError, Door, Name};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where status is read (GET), and orders are posted to (the name of the order behind it).
pub const STATUS: &str = "/v1/status";
pub const ORDERS: &str = "/v1/";

/// One order, in a term. An agent that has seen a later one refuses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub term: u64,
    /// Its server is the primary of this term.
    pub reigns: bool,
    /// The database system that the term is of.
    pub system: u64,
    #[serde(flatten)]
    pub what: What,
}

/// Every order may be given twice. It is answered when it was seen to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "lowercase")]
pub enum What {
    /// Whoever keeps the term is well: nothing changes.
    Renew,
    /// The server ends, and all its processes. It is not to come back as a primary before the next
    /// `Start` or `Follow`.
    Stop { how: How },
    /// The server runs: as the primary if it reigns, else as a standby.
    Start,
    /// The data become those of an ancestor of the source (pg_rewind). The server must be stopped.
    Rewind { source: Source },
    /// The data are replaced by a copy of the source; the old ones are kept aside.
    Clone { source: Source },
    /// The server is a standby of the source when it is started next.
    Follow { source: Source },
}

impl What {
    /// The last part of the path.
    pub fn name(&self) -> &'static str {
        match self {
            What::Renew => "renew",
            What::Stop { .. } => "stop",
            What::Start => "start",
            What::Rewind { .. } => "rewind",
            What::Clone { .. } => "clone",
            What::Follow { .. } => "follow",
        }
    }
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Sessions are ended, then it shuts down cleanly.
    Fast,
    /// It quits at once; what does not is killed.
    Immediate,
}

/// Where another server of the cluster is. By which user it is asked, the agent knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `host:port`
    pub address: String,
    /// The name under which the agent's server follows it (application_name).
    pub follower: String,
}

/// What was done, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub says: String,
}

/// Why it was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub error: String,
    pub why: Why,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The kinds of refusals that somebody acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The agent has seen a later term.
    OldTerm,
    /// Its server is, or would be, what the term does not allow.
    NotAllowed,
    /// Another order is being carried out.
    Busy,
    /// It was tried and failed.
    Failed,
    /// No such order.
    Nonsense,
}

/// What an agent says of itself and its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The highest term it was told of, and whether its server was the primary then.
    pub term: u64,
    pub reigns: bool,
    /// The server was stopped by an order and is not to come back as a primary.
    pub stopped: bool,
    /// The server's process, while it runs.
    pub pid: Option<u32>,
    /// It is a standby, or will be when it is started.
    pub standby: bool,
    /// The database system, as its control file has it.
    pub system: u64,
    pub timeline: u32,
    /// The order that is being carried out.
    pub busy: Option<String>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = if self.pid.is_some() { "runs" } else { "does not run" };
        let role = if self.standby { "standby" } else { "primary" };
        write!(f, "a {role} that {runs}, on timeline {}, term {}", self.timeline, self.term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_one_flat_object() {
        let source = Source { address: "10.0.0.2:5432".into(), follower: "a".into() };
        let order = Order { term: 3, reigns: false, system: 7, what: What::Rewind { source } };
        let text = serde_json::to_string(&order).unwrap();
        let source = r#"{"address":"10.0.0.2:5432","follower":"a"}"#;
        let flat =
            format!(r#"{{"term":3,"reigns":false,"system":7,"order":"rewind","source":{source}}}"#);
        assert_eq!(text, flat);
        assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
    }
}
