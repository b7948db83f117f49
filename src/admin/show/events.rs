//! SHOW EVENTS: what happened last.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::Row;
use crate::view::{Event, timestamp};

pub(super) const SHOW: Show = Show {
    name: "EVENTS",
    help: "what happened to nodes and what operators did, the oldest of the last 1000 first",
    columns: &[
        Int("number"),
        Text("at"),
        Text("kind"),
        Text("cluster"),
        Text("node"),
        Text("what"),
    ],
    rows: |view| view.events.iter().map(row).collect(),
};

fn row(event: &Event) -> Row {
    vec![
        event.number.into(),
        timestamp(event.at).into(),
        event.kind.name().into(),
        event.cluster.as_ref().into(),
        event.node.as_ref().into(),
        event.what.as_str().into(),
    ]
}
