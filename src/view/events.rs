//! What happened to the proxy and its clusters.

use super::rfc3339;
use serde::Serialize;
use std::sync::Arc;
use std::time::SystemTime;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// Another node takes writes, or none.
    Primary,
    /// A node is something else than before, or is lost, or is back.
    Role,
    /// A server says that something is wrong with its replication, or is well again.
    Trouble,
    /// Somebody told the proxy to do something.
    Operator,
    /// The proxy itself: start, reload, end.
    Proxy,
}

impl EventKind {
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Primary => "primary",
            EventKind::Role => "role",
            EventKind::Trouble => "trouble",
            EventKind::Operator => "operator",
            EventKind::Proxy => "proxy",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Grows by one with each event of this process.
    pub number: u64,
    #[serde(serialize_with = "rfc3339")]
    pub at: SystemTime,
    pub kind: EventKind,
    pub cluster: Option<Arc<str>>,
    pub node: Option<Arc<str>>,
    /// For people.
    pub what: String,
}
