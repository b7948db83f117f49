//! Backups, as they are shown.

use crate::app::backup::Handle;
use crate::backup::Listed;
use crate::pg::backup::Archived;
use crate::pg::cluster::Cluster;
use crate::topology::{Lsn, Position};
use crate::view::{Backup, BackupProof, BackupRun, Backups, LogArchive};
use std::time::{Duration, SystemTime};

pub(super) fn backups(cluster: &Cluster, handle: &Handle) -> Backups {
    let state = handle.state.lock();
    Backups {
        cluster: cluster.name.clone(),
        all: state.backups.iter().rev().map(backup).collect(),
        running: state.progress.as_ref().map(|progress| BackupRun {
            elapsed: progress.elapsed(),
            total: progress.total(),
            read: progress.read(),
            stored: progress.stored(),
        }),
        next: state.next.map(SystemTime::from),
        taken: state.taken,
        failures: state.failures,
        trouble: state.trouble.clone(),
        testing: state.testing.map(|since| since.elapsed()),
        next_test: state.next_test.map(SystemTime::from),
        tests: state.tests,
        test_failures: state.test_failures,
        test_trouble: state.test_trouble.clone(),
        late: state.late.clone(),
        hook_failures: handle.teller.failures(),
        archive: handle.archived.as_ref().map(|board| archive(cluster, &board.lock())),
    }
}

fn backup(Listed { entry, held, proof }: &Listed) -> Backup {
    let took = entry.finished.duration_since(entry.started);
    Backup {
        id: entry.id.as_str().into(),
        node: entry.node.as_str().into(),
        because: entry.because.as_str().into(),
        finished: entry.finished.into(),
        took: Duration::try_from(took).unwrap_or_default(),
        read: entry.raw,
        stored: entry.stored,
        end: format!("{}:{}", entry.end.timeline.0, entry.end.lsn).into(),
        held: held.clone(),
        proof: proof.as_ref().map(|proof| BackupProof {
            at: proof.finished.into(),
            recovered: proof.recovered(),
            failure: proof.failure.clone(),
        }),
    }
}

fn archive(cluster: &Cluster, board: &Archived) -> LogArchive {
    let until = board.timeline.zip(board.until);
    LogArchive {
        node: board.node.clone(),
        until: until.map(|(timeline, lsn)| format!("{}:{lsn}", timeline.0).into()),
        behind_bytes: board.until.zip(written(cluster)).map(|(at, now)| now.0.saturating_sub(at.0)),
        waiting: board.waiting.map(|since| since.elapsed()),
        segments: board.segments,
        bytes: board.bytes,
        holes: board.holes,
        failures: board.failures,
        trouble: board.trouble.clone(),
    }
}

/// How far the primary's log goes.
fn written(cluster: &Cluster) -> Option<Lsn> {
    match cluster.monitor.snapshot().primary()?.position {
        Some(Position::Postgres { lsn, .. }) => Some(lsn),
        _ => None,
    }
}
