//! SHOW LEASES: by which right this proxy decides who the primary of a cluster is.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::Row;
use crate::view::{Proxy, Reign};

pub(super) const SHOW: Show = Show {
    name: "LEASES",
    help: "by which right this proxy decides about each cluster: its term, and the record it has locked",
    columns: &[
        Text("cluster"),
        Text("kind"),
        Text("holder"),
        Int("term"),
        Text("record"),
        Int("expires_ms"),
    ],
    rows: |view: &Proxy| view.reigns.iter().map(row).collect(),
};

/// The record of a proxy that stands alone is a file, locked as long as the process lives: that lease
/// never expires.
fn row(reign: &Reign) -> Row {
    vec![
        (&reign.cluster).into(),
        "file lock".into(),
        reign.holder.as_ref().into(),
        reign.term.into(),
        reign.record.as_str().into(),
        None::<u64>.into(),
    ]
}
