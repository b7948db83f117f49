//! SHOW RATES: the last second of each cluster.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, micros};
use crate::view::ClusterSample;

pub(super) const SHOW: Show = Show {
    name: "RATES",
    help: "what happened in the last second; times in microseconds, within a factor of two",
    columns: &[
        Text("cluster"),
        Int("transactions"),
        Int("queries"),
        Int("errors"),
        Int("retries"),
        Int("received"),
        Int("sent"),
        Int("p50_us"),
        Int("p99_us"),
        Int("waiting"),
        Int("servers"),
    ],
    rows: |view| {
        let clusters = view.latest.iter().flat_map(|sample| &sample.clusters);
        clusters.map(row).collect()
    },
};

fn row(of: &ClusterSample) -> Row {
    let count = |rate: f64| (rate.round() as u64).into();
    vec![
        (&of.cluster).into(),
        count(of.transactions),
        count(of.queries),
        count(of.errors),
        count(of.retries),
        count(of.received),
        count(of.sent),
        of.p50.map(micros).into(),
        of.p99.map(micros).into(),
        of.clients_waiting.into(),
        of.servers.into(),
    ]
}
