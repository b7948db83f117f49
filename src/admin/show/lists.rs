//! SHOW LISTS: how many there are of everything.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::Row;
use crate::view::{ClientState, Proxy, ServerState};
use std::collections::BTreeSet;

pub(super) const SHOW: Show = Show {
    name: "LISTS",
    help: "how many there are of everything",
    columns: &[Text("list"), Int("items")],
    rows,
};

fn rows(view: &Proxy) -> Vec<Row> {
    let clients = |state| view.clients.iter().filter(|c| c.state == state).count();
    let free = |state: ServerState| matches!(state, ServerState::Idle | ServerState::Used);
    let free_servers = view.servers.iter().filter(|s| free(s.state)).count();
    let users: BTreeSet<_> = view.pools.iter().map(|pool| &pool.user).collect();
    let counted = [
        ("databases", view.clusters.iter().map(|c| c.databases.len()).sum()),
        ("users", users.len()),
        ("pools", view.pools.len()),
        ("clusters", view.clusters.len()),
        ("nodes", view.clusters.iter().map(|c| c.nodes.len()).sum()),
        // Nothing is kept for clients to come, and the system resolves names.
        ("free_clients", 0),
        ("used_clients", view.clients.len()),
        ("login_clients", clients(ClientState::Login)),
        ("waiting_clients", clients(ClientState::Waiting)),
        ("free_servers", free_servers),
        ("used_servers", view.servers.len() - free_servers),
        ("dns_names", 0),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ];
    counted.iter().map(|(list, items)| vec![(*list).into(), (*items as u64).into()]).collect()
}
