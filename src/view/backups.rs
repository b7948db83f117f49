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
    /// How long one has been being restored for a test.
    #[serde(rename = "testing_seconds", serialize_with = "super::seconds_if_known")]
    pub testing: Option<Duration>,
    #[serde(serialize_with = "super::rfc3339_if_known")]
    pub next_test: Option<SystemTime>,
    pub tests: u64,
    pub test_failures: u64,
    /// Why the last test failed; `None`: it did not.
    pub test_trouble: Option<String>,
    /// How much more could be lost than the operator bears; `None`: no more.
    pub late: Option<String>,
    /// Times that somebody could not be told of a failure.
    pub hook_failures: u64,
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
    /// The last test restore of it.
    pub proof: Option<BackupProof>,
}

/// What a test restore showed.
#[derive(Clone, Debug, Serialize)]
pub struct BackupProof {
    #[serde(serialize_with = "super::rfc3339")]
    pub at: SystemTime,
    /// Until a server on the restored files took writes.
    #[serde(rename = "recovered_seconds", serialize_with = "super::seconds_if_known")]
    pub recovered: Option<Duration>,
    /// `None`: the backup is proven.
    pub failure: Option<String>,
}

impl Backups {
    /// When a backup was last proven, and how long recovery took.
    pub fn proven(&self) -> Option<(SystemTime, Duration)> {
        let proofs = self.all.iter().filter_map(|backup| backup.proof.as_ref());
        let good = proofs.filter(|proof| proof.failure.is_none());
        good.filter_map(|proof| Some((proof.at, proof.recovered?))).max()
    }
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
