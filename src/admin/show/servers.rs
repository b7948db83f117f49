//! SHOW SERVERS: connections to nodes.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::Row;
use crate::view::{Proxy, Server, timestamp};

pub(super) const SHOW: Show = Show {
    name: "SERVERS",
    help: "connections to database servers",
    columns: &[
        Text("type"),
        Int("id"),
        Text("user"),
        Text("database"),
        Text("cluster"),
        Text("node"),
        Text("state"),
        Text("addr"),
        Text("connect_time"),
        Int("link"),
        Int("remote_pid"),
        Int("prepared_statements"),
    ],
    rows: |view: &Proxy| view.servers.iter().map(row).collect(),
};

fn row(server: &Server) -> Row {
    vec![
        "S".into(),
        server.id.into(),
        (&server.user).into(),
        (&server.database).into(),
        (&server.cluster).into(),
        (&server.node).into(),
        server.state.name().into(),
        (&server.address).into(),
        timestamp(server.connected).into(),
        server.client.into(),
        server.pid.map(u64::from).into(),
        server.prepared.into(),
    ]
}
