//! Excerpts of longer lists that are asked for often: STATE, LAG, PINS, ERRORS, USERS, SOCKETS.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, millis};
use crate::view::{Proxy, timestamp};
use std::collections::BTreeMap;

pub(super) const STATE: Show = Show {
    name: "STATE",
    help: "whether the proxy serves clients or is paused",
    columns: &[Text("key"), Text("value")],
    rows: |view| {
        let paused = !view.clusters.is_empty() && view.clusters.iter().all(|c| c.paused);
        let open = view.listeners.iter().all(|listener| listener.open);
        let yes = |value: bool| if value { "yes" } else { "no" };
        vec![
            vec!["active".into(), yes(open && !paused).into()],
            vec!["paused".into(), yes(paused).into()],
            vec!["draining".into(), yes(!open).into()],
        ]
    },
};

pub(super) const LAG: Show = Show {
    name: "LAG",
    help: "how late each node may be",
    columns: &[
        Text("cluster"),
        Text("node"),
        Text("role"),
        Int("staleness_ms"),
        Int("bytes_behind"),
        Int("claimed_lag_ms"),
        Text("position"),
    ],
    rows: |view| {
        let nodes = view.clusters.iter().flat_map(|c| c.nodes.iter().map(move |n| (c, n)));
        let row = |(cluster, node): (&crate::view::Cluster, &crate::view::Node)| {
            vec![
                (&cluster.name).into(),
                (&node.name).into(),
                (&node.role).into(),
                node.staleness.map(millis).into(),
                node.bytes_behind.into(),
                node.claimed_lag.map(millis).into(),
                node.position.clone().into(),
            ]
        };
        nodes.map(row).collect()
    },
};

pub(super) const PINS: Show = Show {
    name: "PINS",
    help: "clients that keep their server connection between transactions, and why",
    columns: &[
        Text("pin"),
        Int("id"),
        Text("user"),
        Text("database"),
        Text("cluster"),
        Text("state"),
        Text("transaction"),
        Int("link"),
        Text("application_name"),
    ],
    rows: |view| {
        let pinned = view.clients.iter().filter_map(|client| Some((client.pin.as_ref()?, client)));
        let row = |(pin, client): (_, &crate::view::Client)| -> Row {
            vec![
                Into::into(pin),
                client.id.into(),
                (&client.user).into(),
                (&client.database).into(),
                client.cluster.as_ref().into(),
                client.state.name().into(),
                (&client.transaction).into(),
                client.server.into(),
                client.application_name.as_ref().into(),
            ]
        };
        pinned.map(row).collect()
    },
};

pub(super) const ERRORS: Show = Show {
    name: "ERRORS",
    help: "errors that the proxy itself gave to clients, by their code",
    columns: &[Text("cluster"), Text("database"), Text("code"), Int("count")],
    rows: |view| {
        let counted = view.stats.iter().flat_map(|s| s.errors.iter().map(move |e| (s, e)));
        let seen = counted.filter(|(_, (_, count))| **count > 0);
        let row = |(stats, (code, count)): (&crate::view::Stats, (&String, &u64))| {
            let (cluster, database) = (&stats.cluster, &stats.database);
            vec![cluster.into(), database.into(), code.as_str().into(), (*count).into()]
        };
        seen.map(row).collect()
    },
};

pub(super) const USERS: Show = Show {
    name: "USERS",
    help: "who is connected, with how many clients and server connections",
    columns: &[Text("name"), Text("cluster"), Int("clients"), Int("current_connections")],
    rows: |view| {
        let mut users: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for client in &view.clients {
            if let Some(cluster) = &client.cluster {
                users.entry((&client.user, cluster)).or_default().0 += 1;
            }
        }
        for server in &view.servers {
            users.entry((&server.user, &server.cluster)).or_default().1 += 1;
        }
        let row = |((user, cluster), (clients, servers)): ((&_, &_), (u64, u64))| -> Row {
            vec![Into::into(user), Into::into(cluster), clients.into(), servers.into()]
        };
        users.into_iter().map(row).collect()
    },
};

pub(super) const SOCKETS: Show = Show {
    name: "SOCKETS",
    help: "all connections: of applications (C), and to servers (S)",
    columns: &[
        Text("type"),
        Int("id"),
        Text("user"),
        Text("database"),
        Text("state"),
        Text("addr"),
        Text("connect_time"),
        Int("link"),
    ],
    rows: |view: &Proxy| {
        let clients = view.clients.iter().map(|client| {
            vec![
                "C".into(),
                client.id.into(),
                (&client.user).into(),
                (&client.database).into(),
                client.state.name().into(),
                (&client.address).into(),
                timestamp(client.connected).into(),
                client.server.into(),
            ]
        });
        let servers = view.servers.iter().map(|server| {
            vec![
                "S".into(),
                server.id.into(),
                (&server.user).into(),
                (&server.database).into(),
                server.state.name().into(),
                (&server.address).into(),
                timestamp(server.connected).into(),
                server.client.into(),
            ]
        });
        clients.chain(servers).collect()
    },
};
