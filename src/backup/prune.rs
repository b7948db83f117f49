//! Deletes what nothing that is kept needs, and what broken runs left behind.

use super::{BackupId, Keep, Plan, Segment, Store, StoreError, WalFile, retain};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Objects without an entry in the catalogue that are so old belong to no run.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

/// What was done, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    pub plan: Plan,
    /// Files of the archive of the log that went.
    pub log_files: Vec<String>,
    /// What broken runs left behind, and went.
    pub garbage: Vec<BackupId>,
}

/// `dry`: only says what would go.
pub async fn prune(
    store: &Store,
    keep: &Keep,
    (now, zone): (Timestamp, &TimeZone),
    dry: bool,
) -> Result<Pruned, StoreError> {
    let backups = store.backups().await?;
    let plan = retain(&backups, keep, now, zone);
    let from = plan.log_from.and_then(|from| {
        let size = backups.iter().find(|b| b.entry.start == from)?.entry.segment;
        Some(Segment::of(from.timeline, from.lsn, size))
    });
    let mut log_files = store.log_files().await?;
    log_files.retain(|file| from.is_some_and(|from| is_before(file, from)));
    let known: Vec<&BackupId> = plan.verdicts.iter().map(|verdict| &verdict.id).collect();
    let garbage = garbage(store, &known, now).await?;
    if !dry {
        for verdict in plan.verdicts.iter().filter(|verdict| verdict.keep.is_empty()) {
            let id = &verdict.id;
            // First what makes it a backup: a half deleted one must not look like a whole one.
            store.delete(&format!("catalog/{id}.json")).await?;
            store.delete_all(&format!("proofs/{id}")).await?;
            store.delete_all(&format!("backups/{id}")).await?;
        }
        for id in &garbage {
            store.delete_all(&format!("backups/{id}")).await?;
        }
        for file in &log_files {
            store.delete_log_file(file).await?;
        }
    }
    Ok(Pruned { plan, log_files, garbage })
}

/// Positions mean the same on all timelines of a system, so the number alone decides. The small files
/// that tell the history of timelines stay.
fn is_before(file: &str, from: Segment) -> bool {
    let segment = WalFile::parse(file).and_then(|file| file.segment(from.size));
    segment.is_some_and(|segment| segment.number < from.number)
}

async fn garbage(
    store: &Store,
    known: &[&BackupId],
    now: Timestamp,
) -> Result<Vec<BackupId>, StoreError> {
    let mut found = Vec::new();
    for folder in store.folders("backups").await? {
        let Some(id) = BackupId::parse(&folder).filter(|id| !known.contains(&id)) else { continue };
        let objects = store.list(&format!("backups/{id}")).await?;
        let youngest = objects.iter().map(|(_, written)| *written).max();
        if youngest.is_some_and(|at| now.duration_since(at) > ABANDONED) {
            found.push(id);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Timeline;
    use std::time::Duration;

    #[tokio::test]
    async fn only_what_is_old_and_has_no_entry_is_garbage() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file://{}", folder.path().display())).unwrap();
        store.create("backups/20261122T030000Z/begun", "".into()).await.unwrap();
        let keep = Keep { daily: 7, weekly: 0, monthly: 0, window: Duration::ZERO };
        let at = |hours| Timestamp::now().checked_add(SignedDuration::from_hours(hours)).unwrap();
        let zone = TimeZone::UTC;
        let young = prune(&store, &keep, (at(23), &zone), false).await.unwrap();
        assert_eq!(young.garbage, []);
        let dry = prune(&store, &keep, (at(25), &zone), true).await.unwrap();
        assert_eq!(dry.garbage.len(), 1);
        let old = prune(&store, &keep, (at(25), &zone), false).await.unwrap();
        assert_eq!(old.garbage, dry.garbage);
        assert_eq!(store.folders("backups").await.unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_log_before_the_window_goes_on_every_timeline_but_its_history_stays() {
        let from = Segment { timeline: Timeline(2), number: 5, size: 16 << 20 };
        assert!(is_before("000000020000000000000004", from));
        assert!(is_before("000000010000000000000004", from));
        assert!(!is_before("000000010000000000000005", from));
        assert!(!is_before("000000030000000100000000", from));
        assert!(!is_before("00000002.history", from));
    }
}
