//! What a test restore of a backup showed, kept beside the catalogue.

use super::{BackupId, Point, Store, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Of the name of a proof: such names sort by time.
const FORM: &str = "%Y%m%dT%H%M%S%3fZ";

/// The object of one test restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Of what is written here: 1.
    pub format: u32,
    pub backup: BackupId,
    pub began: Timestamp,
    pub finished: Timestamp,
    /// Milliseconds until all files were in their place.
    pub restored_ms: Option<u64>,
    /// Milliseconds until a server on them took writes: the time to recover.
    pub recovered_ms: Option<u64>,
    /// Where recovery ended.
    pub reached: Option<Point>,
    pub checks: Vec<Check>,
    /// Why the backup is not proven; `None`: it is.
    pub failure: Option<String>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    /// What came of it.
    pub says: String,
}

impl Proof {
    pub fn recovered(&self) -> Option<Duration> {
        self.recovered_ms.map(Duration::from_millis)
    }

    /// For people, line by line.
    pub fn words(&self) -> Vec<String> {
        let mut lines = vec![match (&self.failure, self.recovered()) {
            (None, Some(time)) => {
                format!("backup {} is proven: recovered in {time:.1?}", self.backup)
            }
            (None, None) => format!("backup {} is proven", self.backup),
            (Some(why), _) => format!("backup {} is not proven: {why}", self.backup),
        }];
        lines.extend(self.checks.iter().map(|check| format!("{}: {}", check.name, check.says)));
        lines
    }

    fn name(&self) -> String {
        format!("proofs/{}/{}.json", self.backup, self.began.strftime(FORM))
    }
}

impl Store {
    pub async fn put_proof(&self, proof: &Proof) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(proof).unwrap_or_default();
        self.create(&proof.name(), text.into()).await
    }

    /// The last proof of each backup that was tested.
    pub(super) async fn proofs(&self) -> Result<BTreeMap<BackupId, Proof>, StoreError> {
        let mut last = BTreeMap::new();
        // In the order of their names, so that the last one stays.
        for (name, _) in self.list("proofs").await? {
            let id = name.split('/').nth(1).and_then(BackupId::parse);
            id.and_then(|id| last.insert(id, name));
        }
        let asked = last.into_iter().map(|(id, name)| async move {
            let proof: Proof = self.json(&name).await?;
            Ok((id, proof))
        });
        let read: Result<Vec<_>, StoreError> = futures_util::future::try_join_all(asked).await;
        Ok(read?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_proof_of_a_backup_counts() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file://{}", folder.path().display())).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let proof = |began: &str, failure: Option<&str>| Proof {
            format: 1,
            backup: BackupId::at(at("2026-11-22T03:00:00Z")),
            began: at(began),
            finished: at(began),
            restored_ms: Some(1),
            recovered_ms: Some(2),
            reached: None,
            checks: Vec::new(),
            failure: failure.map(str::to_owned),
        };
        let late = proof("2026-11-22T05:00:00.25Z", None);
        store.put_proof(&late).await.unwrap();
        store.put_proof(&proof("2026-11-22T05:00:00.125Z", Some("no"))).await.unwrap();
        let found = store.proofs().await.unwrap();
        assert_eq!(found.into_values().collect::<Vec<_>>(), [late]);
    }
}
