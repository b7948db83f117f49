//! SHOW POOLS and NODE_POOLS: server connections, and who waits for them.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, micros};
use crate::view::{ClientState, Pool, Proxy};
use std::collections::BTreeMap;

/// A pool as PgBouncer means it: what clients of one user and database share, on all nodes.
pub(super) const POOLS: Show = Show {
    name: "POOLS",
    help: "clients and server connections of each user and database",
    columns: &[
        Text("database"),
        Text("user"),
        Text("cluster"),
        Int("cl_active"),
        Int("cl_waiting"),
        Int("sv_active"),
        Int("sv_idle"),
        Int("sv_used"),
        Int("sv_tested"),
        Int("sv_login"),
        Int("maxwait"),
        Int("maxwait_us"),
        Text("pool_mode"),
    ],
    rows: |view: &Proxy| {
        let mut shares: BTreeMap<_, Vec<&Pool>> = BTreeMap::new();
        for pool in &view.pools {
            shares.entry((&pool.cluster, &pool.database, &pool.user)).or_default().push(pool);
        }
        shares.values().map(|pools| shared(view, pools)).collect()
    },
};

pub(super) const NODE_POOLS: Show = Show {
    name: "NODE_POOLS",
    help: "server connections of each user and database to each node, and who waits",
    columns: &[
        Text("database"),
        Text("user"),
        Text("cluster"),
        Text("node"),
        Int("waiting"),
        Int("sv_active"),
        Int("sv_idle"),
        Int("sv_used"),
        Int("sv_login"),
        Int("maxwait"),
        Int("maxwait_us"),
        Text("pool_mode"),
        Int("pool_size"),
        Int("min_pool_size"),
        Int("opened"),
        Int("closed"),
    ],
    rows: |view: &Proxy| view.pools.iter().map(of_node).collect(),
};

fn shared(view: &Proxy, pools: &[&Pool]) -> Row {
    let first = pools[0];
    let sum = |count: fn(&Pool) -> u64| pools.iter().map(|pool| count(pool)).sum::<u64>();
    let wait = pools.iter().map(|pool| pool.longest_wait).max().unwrap_or_default();
    let mine = view.clients.iter().filter(|client| {
        client.cluster.as_ref() == Some(&first.cluster)
            && (&client.database, &client.user) == (&first.database, &first.user)
    });
    let active = mine.filter(|client| client.state != ClientState::Waiting);
    vec![
        (&first.database).into(),
        (&first.user).into(),
        (&first.cluster).into(),
        (active.count() as u64).into(),
        sum(|pool| pool.clients_waiting).into(),
        sum(|pool| pool.servers_active).into(),
        sum(|pool| pool.servers_idle).into(),
        sum(|pool| pool.servers_used).into(),
        // One that is asked for a sign of life is lent to the client that waits for the answer.
        0.into(),
        sum(|pool| pool.servers_connecting).into(),
        // As in PgBouncer: whole seconds here, the rest of it in the next column.
        wait.as_secs().into(),
        (micros(wait) % 1_000_000).into(),
        (&first.mode).into(),
    ]
}

fn of_node(pool: &Pool) -> Row {
    let wait = pool.longest_wait;
    vec![
        (&pool.database).into(),
        (&pool.user).into(),
        (&pool.cluster).into(),
        (&pool.node).into(),
        pool.clients_waiting.into(),
        pool.servers_active.into(),
        pool.servers_idle.into(),
        pool.servers_used.into(),
        pool.servers_connecting.into(),
        wait.as_secs().into(),
        (micros(wait) % 1_000_000).into(),
        (&pool.mode).into(),
        pool.size.into(),
        pool.min_idle.into(),
        pool.opened.into(),
        pool.closed.into(),
    ]
}
