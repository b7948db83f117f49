//! SHOW ARCHIVE: the log of each cluster in its store, and when the next backup is due.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, millis};
use crate::view::{Backups, Proxy, timestamp};

pub(super) const SHOW: Show = Show {
    name: "ARCHIVE",
    help: "the archived log of each cluster, its next backup, and what is wrong with either",
    columns: &[
        Text("cluster"),
        Text("node"),
        Text("until"),
        Int("behind_bytes"),
        Int("waiting_ms"),
        Int("segments"),
        Int("holes"),
        Text("next_backup"),
        Text("trouble"),
    ],
    rows: |view: &Proxy| view.backups.iter().map(row).collect(),
};

fn row(of: &Backups) -> Row {
    let log = of.archive.as_ref();
    let troubles = [of.trouble.as_deref(), log.and_then(|log| log.trouble.as_deref())];
    let troubles: Vec<&str> = troubles.into_iter().flatten().collect();
    vec![
        (&of.cluster).into(),
        log.and_then(|log| log.node.as_ref()).into(),
        log.and_then(|log| log.until.as_ref()).into(),
        log.and_then(|log| log.behind_bytes).into(),
        log.and_then(|log| log.waiting).map(millis).into(),
        log.map(|log| log.segments).into(),
        log.map(|log| log.holes).into(),
        of.next.map(timestamp).into(),
        troubles.join("; ").into(),
    ]
}
