//! SHOW CLIENTS: who is connected, and what they are doing.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::Row;
use crate::view::{Client, Proxy, timestamp};

pub(super) const SHOW: Show = Show {
    name: "CLIENTS",
    help: "connections of applications",
    columns: &[
        Text("type"),
        Int("id"),
        Text("user"),
        Text("database"),
        Text("cluster"),
        Text("state"),
        Text("addr"),
        Text("connect_time"),
        Int("requests"),
        Int("link"),
        Text("tls"),
        Text("application_name"),
        Text("transaction"),
        Text("pin"),
        Text("last_node"),
        Text("last_because"),
        Text("replication"),
    ],
    rows: |view: &Proxy| view.clients.iter().map(row).collect(),
};

fn row(client: &Client) -> Row {
    let route = client.last_route.as_ref();
    vec![
        "C".into(),
        client.id.into(),
        (&client.user).into(),
        (&client.database).into(),
        client.cluster.as_ref().into(),
        client.state.name().into(),
        (&client.address).into(),
        timestamp(client.connected).into(),
        client.requests.into(),
        client.server.into(),
        client.tls.as_ref().into(),
        client.application_name.as_ref().into(),
        (&client.transaction).into(),
        client.pin.as_ref().into(),
        route.map(|route| &route.node).into(),
        route.map(|route| &route.because).into(),
        (&client.replication).into(),
    ]
}
