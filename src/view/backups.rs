//! Backups of clusters, and the archive of their log.

use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The backups of one cluster, as far as this proxy takes them.
#[derive(Clone, Debug, Serialize)]
pub struct Backups {
    pub cluster: Arc<str>,
    /// The newest first.
    pub all: Vec<Backup>,
    /// The one that is being taken.
    pub running: Option<BackupRun>,
    #[serde(serialize_with = "super::rfc3339_if_known")]
    pub next: Option<SystemTime>,
    pub taken: u64,
    pub failures: u64,
    /// Why the last attempt failed; `None`: it did not.
    pub trouble: Option<String>,
    /// `None`: the log is not archived.
    pub archive: Option<LogArchive>,
}

/// A backup that is there.
#[derive(Clone, Debug, Serialize)]
pub struct Backup {
    pub id: Arc<str>,
    pub node: Arc<str>,
    pub because: Arc<str>,
    #[serde(serialize_with = "super::rfc3339")]
    pub finished: SystemTime,
    #[serde(rename = "took_seconds", serialize_with = "super::seconds")]
    pub took: Duration,
    /// Bytes as they were read, and as they are stored.
    pub read: u64,
    pub stored: u64,
    /// Where it is consistent, `timeline:position`.
    pub end: Arc<str>,
    pub held: Option<String>,
}

/// A backup that is being taken.
#[derive(Clone, Debug, Serialize)]
pub struct BackupRun {
    #[serde(rename = "elapsed_seconds", serialize_with = "super::seconds")]
    pub elapsed: Duration,
    /// Bytes that are expected, about; 0: not known yet.
    pub total: u64,
    pub read: u64,
    pub stored: u64,
}

/// The archive of a cluster's log.
#[derive(Clone, Debug, Serialize)]
pub struct LogArchive {
    /// Where the log is taken from; `None`: from nowhere at the moment.
    pub node: Option<Arc<str>>,
    /// All before this is archived, `timeline:position`.
    pub until: Option<Arc<str>>,
    /// Log of the primary that is not archived yet.
    pub behind_bytes: Option<u64>,
    /// How long some of it has been waiting.
    #[serde(rename = "waiting_seconds", serialize_with = "super::seconds_if_known")]
    pub waiting: Option<Duration>,
    pub segments: u64,
    pub bytes: u64,
    /// Times that log was lost before it was archived.
    pub holes: u64,
    pub failures: u64,
    pub trouble: Option<String>,
}
