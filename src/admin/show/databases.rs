//! SHOW DATABASES: names that clients may ask for, and what is behind them.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Cell, Row};
use crate::view::{Cluster, Proxy};
use std::sync::Arc;

pub(super) const SHOW: Show = Show {
    name: "DATABASES",
    help: "databases that clients may ask for",
    columns: &[
        Text("name"),
        Text("cluster"),
        Text("engine"),
        Text("host"),
        Text("port"),
        Text("database"),
        Text("force_user"),
        Text("pool_mode"),
        Int("pool_size"),
        Int("min_pool_size"),
        Int("reserve_pool"),
        Int("max_connections"),
        Int("max_client_connections"),
        Int("current_connections"),
        Int("paused"),
        Int("disabled"),
    ],
    rows: |view: &Proxy| {
        let mut rows = Vec::new();
        for cluster in &view.clusters {
            rows.extend(cluster.databases.iter().map(|name| row(view, cluster, name)));
        }
        rows
    },
};

fn row(view: &Proxy, cluster: &Cluster, name: &Arc<str>) -> Row {
    let primary = cluster.nodes.iter().find(|node| Some(&node.name) == cluster.primary.as_ref());
    let address = primary.and_then(|node| node.address.rsplit_once(':'));
    let named = |database: &Arc<str>| {
        if **name == *"*" { !cluster.databases.contains(database) } else { database == name }
    };
    let mine = view.servers.iter().filter(|s| s.cluster == cluster.name && named(&s.database));
    let limits = &cluster.limits;
    vec![
        name.into(),
        (&cluster.name).into(),
        (&cluster.engine).into(),
        address.map(|(host, _)| host).into(),
        address.map(|(_, port)| port).into(),
        // Clients reach the database that they name, and no pool has a reserve.
        name.into(),
        Cell::Null,
        (&limits.mode).into(),
        limits.size.into(),
        limits.min_idle.into(),
        0.into(),
        limits.max_per_node.into(),
        limits.max_clients.into(),
        (mine.count() as u64).into(),
        u64::from(cluster.paused).into(),
        u64::from(cluster.disabled).into(),
    ]
}
