//! SHOW BACKUPS: what backups there are, the newest first, and the one that is being taken.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, millis};
use crate::view::{Backup, Backups, Proxy, timestamp};

pub(super) const SHOW: Show = Show {
    name: "BACKUPS",
    help: "backups of each cluster, the newest first; one without an id is being taken",
    columns: &[
        Text("cluster"),
        Text("backup"),
        Text("node"),
        Text("finished"),
        Int("took_ms"),
        Int("read_bytes"),
        Int("stored_bytes"),
        Text("end"),
        Text("held"),
        Text("tested"),
        Int("recovery_ms"),
        Text("test"),
        Text("because"),
    ],
    rows: |view: &Proxy| view.backups.iter().flat_map(rows).collect(),
};

fn rows(of: &Backups) -> Vec<Row> {
    let running = of.running.iter().map(|run| {
        let none = || None::<&str>.into();
        let took = Some(millis(run.elapsed)).into();
        let expected = format!("about {} bytes are expected", run.total);
        let (read, stored) = (run.read.into(), run.stored.into());
        vec![
            (&of.cluster).into(),
            none(),
            none(),
            none(),
            took,
            read,
            stored,
            none(),
            none(),
            none(),
            None::<u64>.into(),
            none(),
            expected.into(),
        ]
    });
    running.chain(of.all.iter().map(|backup| row(of, backup))).collect()
}

fn row(of: &Backups, backup: &Backup) -> Row {
    let proof = backup.proof.as_ref();
    let verdict = proof.map(|proof| match &proof.failure {
        None => "proven".to_owned(),
        Some(why) => format!("failed: {why}"),
    });
    vec![
        (&of.cluster).into(),
        (&backup.id).into(),
        (&backup.node).into(),
        timestamp(backup.finished).into(),
        millis(backup.took).into(),
        backup.read.into(),
        backup.stored.into(),
        (&backup.end).into(),
        backup.held.clone().into(),
        proof.map(|proof| timestamp(proof.at)).into(),
        proof.and_then(|proof| proof.recovered).map(millis).into(),
        verdict.into(),
        (&backup.because).into(),
    ]
}
