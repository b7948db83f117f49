//! SHOW NODES: what each node is and how fresh.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, millis};
use crate::view::{Cluster, Node, Proxy};

pub(super) const SHOW: Show = Show {
    name: "NODES",
    help: "roles, positions and staleness of all nodes",
    columns: &[
        Text("cluster"),
        Text("node"),
        Text("addr"),
        Text("role"),
        Text("reason"),
        Text("position"),
        Int("staleness_ms"),
        Int("bytes_behind"),
        Int("claimed_lag_ms"),
        Int("weight"),
        Int("outstanding"),
        Int("served_reads"),
        Int("served_writes"),
        Text("version"),
    ],
    rows: |view: &Proxy| {
        let of = |cluster: &Cluster| cluster.nodes.iter().map(|n| row(cluster, n)).collect();
        view.clusters.iter().flat_map(|c| -> Vec<Row> { of(c) }).collect()
    },
};

fn row(cluster: &Cluster, node: &Node) -> Row {
    vec![
        (&cluster.name).into(),
        (&node.name).into(),
        (&node.address).into(),
        (&node.role).into(),
        node.reason.as_ref().into(),
        node.position.clone().into(),
        node.staleness.map(millis).into(),
        node.bytes_behind.into(),
        node.claimed_lag.map(millis).into(),
        u64::from(node.weight).into(),
        node.outstanding.into(),
        node.served_reads.into(),
        node.served_writes.into(),
        node.version.as_ref().into(),
    ]
}
