//! SHOW FAILOVERS: every change of a primary, step by step, the newest first.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, millis};
use crate::view::{Proxy, Reign, ReignChange, timestamp};

pub(super) const SHOW: Show = Show {
    name: "FAILOVERS",
    help: "changes of the primary: cause, steps and what may be lost",
    columns: &[
        Text("cluster"),
        Int("term"),
        Text("kind"),
        Text("from"),
        Text("to"),
        Text("began"),
        Int("held_ms"),
        Text("outcome"),
        Text("cause"),
        Int("lost_bytes"),
        Int("loss_window_ms"),
        Text("steps"),
    ],
    rows: |view: &Proxy| {
        let of = |reign: &Reign| reign.events.iter().map(|e| row(reign, e)).collect();
        view.reigns.iter().flat_map(|reign| -> Vec<Row> { of(reign) }).collect()
    },
};

fn row(reign: &Reign, event: &ReignChange) -> Row {
    let steps = event.steps.iter();
    let steps = steps.map(|s| format!("{} {} ms: {}", s.step, millis(s.took), s.says));
    vec![
        (&reign.cluster).into(),
        event.term.into(),
        (&event.kind).into(),
        (&event.from).into(),
        event.to.as_ref().into(),
        timestamp(event.began).into(),
        event.held.map(millis).into(),
        event.outcome.as_str().into(),
        event.cause.as_str().into(),
        event.lost_bytes.into(),
        event.loss_window.map(millis).into(),
        steps.collect::<Vec<_>>().join("; ").into(),
    ]
}
