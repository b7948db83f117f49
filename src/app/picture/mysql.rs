//! The MySQL engine's part of the view.

use super::{Seen, cluster_view, pool_view, shapes, stats, wall};
use crate::app::control::Console;
use crate::mysql::registry::{self, ClientEntry, ServerEntry};
use crate::view::{self, ClientState, ServerState};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) fn add(proxy: &mut view::Proxy, console: &Console) {
    let engine = &console.mysql;
    for cluster in &engine.clusters {
        let pool = cluster.pool_settings.load();
        let seen = Seen {
            name: &cluster.name,
            monitor: &cluster.monitor,
            pool: &pool,
            paused: cluster.is_paused(),
            disabled: cluster.is_disabled(),
        };
        let databases = cluster.databases.as_deref();
        proxy.clusters.push(cluster_view(&seen, cluster.flavour.name(), databases));
        proxy.stats.push(stats(&cluster.name, &cluster.counters));
        proxy.shapes.extend(shapes(&cluster.name, cluster.classifier.used()));
        for pools in cluster.all_pools() {
            let of = (&cluster.name, &pools.user, &pools.database);
            let all = cluster.nodes.iter().zip(&pools.nodes);
            let views = all.map(|(node, one)| pool_view(of, &node.name, &pool, one.counts()));
            proxy.pools.extend(views);
        }
    }
    proxy.clients.extend(engine.clients.all().iter().map(|c| client(c, console)));
    proxy.servers.extend(engine.servers.all().iter().map(|s| server(s, console)));
}

fn client(client: &Arc<ClientEntry>, console: &Console) -> view::Client {
    let state = match client.state() {
        registry::ClientState::Idle => ClientState::Idle,
        registry::ClientState::Waiting => ClientState::Waiting,
        registry::ClientState::Active => ClientState::Active,
    };
    let who = client.identity.lock().clone();
    let cluster = console.mysql.clusters.iter().find(|c| c.name == who.cluster);
    let route = (*client.last_route.lock()).and_then(|last| {
        let node = cluster?.node_name(last.node);
        Some(view::Route { node, because: last.because.name().into() })
    });
    view::Client {
        id: client.id,
        user: who.user,
        database: who.database,
        cluster: Some(who.cluster),
        address: client.address.to_string().into(),
        state,
        tls: client.tls.then(|| "tls".into()),
        application_name: Some(client.application.clone()).filter(|name| !name.is_empty()),
        pin: client.pin().name().map(Into::into),
        transaction: client.transaction().into(),
        connected: wall(client.since),
        requests: client.requests.load(Ordering::Relaxed),
        last_route: route,
        server: client.link.target().map(|target| target.server),
        replication: "none".into(),
    }
}

fn server(server: &Arc<ServerEntry>, console: &Console) -> view::Server {
    let lent_to = Some(server.client.load(Ordering::Relaxed)).filter(|id| *id != 0);
    let cluster = console.mysql.clusters.iter().find(|c| c.name == server.cluster);
    let node = cluster.and_then(|c| c.nodes.iter().find(|n| n.name == server.node));
    view::Server {
        id: server.id,
        pid: Some(server.thread),
        cluster: server.cluster.clone(),
        node: server.node.clone(),
        address: node.map_or_else(|| "".into(), |n| n.address.clone()),
        user: server.user.clone(),
        database: server.database.clone(),
        state: if lent_to.is_some() { ServerState::Active } else { ServerState::Idle },
        connected: wall(server.since),
        prepared: server.prepared.load(Ordering::Relaxed),
        client: lent_to,
    }
}
