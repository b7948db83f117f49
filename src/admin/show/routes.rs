//! SHOW ROUTES: where statements went, by their shapes.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, micros};
use crate::view::{Proxy, Shape};

pub(super) const SHOW: Show = Show {
    name: "ROUTES",
    help: "where statements went, by shape, the most used first; a batch counts for its first one",
    columns: &[
        Text("cluster"),
        Text("kind"),
        Int("primary"),
        Int("replicas"),
        Int("retries"),
        Int("avg_us"),
        Int("p50_us"),
        Int("p99_us"),
        Int("max_us"),
        Text("shape"),
    ],
    rows: |view: &Proxy| view.shapes.iter().map(row).collect(),
};

fn row(shape: &Shape) -> Row {
    vec![
        (&shape.cluster).into(),
        shape.kind.into(),
        shape.primary.into(),
        shape.replicas.into(),
        shape.retries.into(),
        micros(shape.average).into(),
        micros(shape.median).into(),
        micros(shape.p99).into(),
        micros(shape.longest).into(),
        shape.shape.clone().into(),
    ]
}
