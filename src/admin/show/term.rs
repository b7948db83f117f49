//! SHOW TERM: who reigns in each cluster, and what is thought of it.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, millis};
use crate::view::{Proxy, Reign};

pub(super) const SHOW: Show = Show {
    name: "TERM",
    help: "whose term it is in each cluster with failover, and what is thought of the primary",
    columns: &[
        Text("cluster"),
        Int("term"),
        Text("phase"),
        Text("primary"),
        Int("timeline"),
        Text("mode"),
        Text("guarantee"),
        Text("quorum"),
        Text("opinion"),
        Text("says"),
        Int("heartbeat_age_ms"),
        Text("deposed"),
        Text("latch"),
        Text("rejoin"),
    ],
    rows: |view: &Proxy| view.reigns.iter().map(row).collect(),
};

fn row(reign: &Reign) -> Row {
    vec![
        (&reign.cluster).into(),
        reign.term.into(),
        reign.phase.as_ref().into(),
        reign.primary.as_ref().into(),
        reign.timeline.into(),
        (&reign.mode).into(),
        (&reign.guarantee).into(),
        reign.quorum.clone().into(),
        (&reign.opinion).into(),
        reign.says.as_str().into(),
        reign.beat_age.map(millis).into(),
        reign.deposed.join(", ").into(),
        reign.latch.clone().into(),
        reign.rejoin.clone().into(),
    ]
}
