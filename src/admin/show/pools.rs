//! SHOW POOLS: server connections per node, user and database, and who waits for them.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, micros};
use crate::view::{Pool, Proxy};

pub(super) const SHOW: Show = Show {
    name: "POOLS",
    help: "pools of server connections, and who waits",
    columns: &[
        Text("database"),
        Text("user"),
        Text("cluster"),
        Text("node"),
        Int("cl_active"),
        Int("cl_waiting"),
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
    rows: |view: &Proxy| view.pools.iter().map(row).collect(),
};

fn row(pool: &Pool) -> Row {
    let wait = pool.longest_wait;
    vec![
        (&pool.database).into(),
        (&pool.user).into(),
        (&pool.cluster).into(),
        (&pool.node).into(),
        // A server connection that is lent has exactly one client.
        pool.servers_active.into(),
        pool.clients_waiting.into(),
        pool.servers_active.into(),
        pool.servers_idle.into(),
        pool.servers_used.into(),
        pool.servers_connecting.into(),
        // As in PgBouncer: whole seconds here, the rest of it in the next column.
        wait.as_secs().into(),
        (micros(wait) % 1_000_000).into(),
        (&pool.mode).into(),
        pool.size.into(),
        pool.min_idle.into(),
        pool.opened.into(),
        pool.closed.into(),
    ]
}
