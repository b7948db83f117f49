//! The metrics of backups.

use super::table::*;
use crate::telemetry::{Exposition, Metric};
use crate::view::Backups;
use std::time::SystemTime;

pub(super) fn put(page: &mut Exposition, backups: &[Backups]) {
    type Value = fn(&Backups) -> Option<f64>;
    let all: [(&Metric, Value); 20] = [
        (&BACKUPS, |b| Some(b.all.len() as f64)),
        (&BACKUP_AGE, |b| since(b.all.first()?.finished)),
        (&BACKUP_STORED, |b| Some(b.all.first()?.stored as f64)),
        (&BACKUP_READ, |b| Some(b.all.first()?.read as f64)),
        (&BACKUP_TIME, |b| Some(b.all.first()?.took.as_secs_f64())),
        (&BACKUP_RUNNING, |b| Some(f64::from(u8::from(b.running.is_some())))),
        (&BACKUPS_TAKEN, |b| Some(b.taken as f64)),
        (&BACKUP_FAILURES, |b| Some(b.failures as f64)),
        (&BACKUP_PROVEN_AGE, |b| since(b.proven()?.0)),
        (&BACKUP_RECOVERY, |b| Some(b.proven()?.1.as_secs_f64())),
        (&BACKUP_TESTS, |b| Some(b.tests as f64)),
        (&BACKUP_TEST_FAILURES, |b| Some(b.test_failures as f64)),
        (&BACKUP_LATE, |b| Some(f64::from(u8::from(b.late.is_some())))),
        (&BACKUP_HOOK_FAILURES, |b| Some(b.hook_failures as f64)),
        (&ARCHIVE_BEHIND, |b| Some(b.archive.as_ref()?.behind_bytes? as f64)),
        (&ARCHIVE_WAITING, |b| {
            Some(b.archive.as_ref()?.waiting.map_or(0.0, |waiting| waiting.as_secs_f64()))
        }),
        (&ARCHIVE_SEGMENTS, |b| Some(b.archive.as_ref()?.segments as f64)),
        (&ARCHIVE_BYTES, |b| Some(b.archive.as_ref()?.bytes as f64)),
        (&ARCHIVE_HOLES, |b| Some(b.archive.as_ref()?.holes as f64)),
        (&ARCHIVE_FAILURES, |b| Some(b.archive.as_ref()?.failures as f64)),
    ];
    for (metric, value) in all {
        page.metric(metric);
        for of in backups {
            if let Some(value) = value(of) {
                page.sample(metric, &[&of.cluster], value);
            }
        }
    }
}

fn since(moment: SystemTime) -> Option<f64> {
    SystemTime::now().duration_since(moment).ok().map(|age| age.as_secs_f64())
}
