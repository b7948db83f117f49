//! Whose term it is in each cluster, and how it came about.

use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The term of a cluster whose primary this proxy decides about.
#[derive(Clone, Debug, Serialize)]
pub struct Reign {
    pub cluster: Arc<str>,
    /// `manual` or `automatic`.
    pub mode: Arc<str>,
    /// `strict` or `available`.
    pub guarantee: Arc<str>,
    /// `None`: not known yet.
    pub term: Option<u64>,
    /// How far a change has got; `active`: there is none.
    pub phase: Option<Arc<str>>,
    /// Whose record it is, as a number chosen by chance.
    pub holder: Option<Arc<str>>,
    /// Where the record is kept.
    pub record: String,
    /// Who reigns, or did before the change under way.
    pub primary: Option<Arc<str>>,
    pub timeline: Option<u64>,
    /// What commits wait for, such as `1 of b, c`.
    pub quorum: Option<String>,
    /// What is thought of the primary, in one word, and why.
    pub opinion: Arc<str>,
    pub says: String,
    /// Why no failover happens by itself.
    pub latch: Option<String>,
    /// Former primaries that serve nothing until they follow.
    pub deposed: Vec<Arc<str>>,
    /// Nodes with an agent beside them, which could bring them back.
    pub agents: Vec<Arc<str>>,
    /// The former primary that is being made a standby, or why it could not be.
    pub rejoin: Option<String>,
    /// Since the last heartbeat that was answered.
    #[serde(rename = "heartbeat_age_seconds", serialize_with = "super::seconds_if_known")]
    pub beat_age: Option<Duration>,
    pub events: Vec<ReignChange>,
}

/// One change of a primary.
#[derive(Clone, Debug, Serialize)]
pub struct ReignChange {
    pub term: u64,
    /// `failover` or `switchover`.
    pub kind: Arc<str>,
    pub from: Arc<str>,
    pub to: Option<Arc<str>>,
    pub cause: String,
    #[serde(serialize_with = "super::rfc3339")]
    pub began: SystemTime,
    /// How long writes waited.
    #[serde(rename = "held_seconds", serialize_with = "super::seconds_if_known")]
    pub held: Option<Duration>,
    /// `done`, `under way`, or why it was given up.
    pub outcome: String,
    /// Bytes of log that the old primary had beyond the fork when it was last seen.
    pub lost_bytes: Option<u64>,
    /// Writes acknowledged earlier than so long before it began are safe.
    #[serde(rename = "loss_window_seconds", serialize_with = "super::seconds_if_known")]
    pub loss_window: Option<Duration>,
    pub steps: Vec<ReignStep>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ReignStep {
    pub step: Arc<str>,
    #[serde(rename = "seconds", serialize_with = "super::seconds")]
    pub took: Duration,
    /// What was observed.
    pub says: String,
}
