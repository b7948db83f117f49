//! What is done for the pools while clients are served.

use super::control::Console;
use crate::monitor::Handle;
use crate::pool::Upkeep;
use crate::task::Stop;
use crate::topology::{NodeId, Role, Snapshot};
use std::sync::Arc;
use std::time::Duration;

/// Once a second: connections that are too old or too idle are closed, minima are kept.
pub(super) async fn tend_pools(console: Arc<Console>, mut stop: Stop) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            () = stop.stopped() => return,
            _ = tick.tick() => {}
        }
        let postgres = console.engine.clusters.iter().flat_map(|cluster| cluster.upkeep());
        let mysql = console.mysql.clusters.iter().flat_map(|cluster| cluster.upkeep());
        postgres.chain(mysql).for_each(|(_, pool)| pool.tend());
    }
}

/// A node whose role changed keeps no connection of its former life; reads that wait for one that
/// is not reached any more go elsewhere.
pub(super) async fn follow_roles(console: Arc<Console>, stop: Stop) {
    let postgres = console.engine.clusters.iter().map(|cluster| {
        let (engine, name) = (console.engine.clone(), cluster.name.clone());
        let wake = move |node| engine.wake_clients_of(&name, node);
        let pools = cluster.clone();
        let retire = move |node| retire_pools(pools.upkeep(), node);
        (cluster.monitor.clone(), Box::new(wake) as Act, Box::new(retire) as Act)
    });
    let mysql = console.mysql.clusters.iter().map(|cluster| {
        let (engine, name) = (console.mysql.clone(), cluster.name.clone());
        let wake = move |node| engine.wake_clients_of(&name, node);
        let pools = cluster.clone();
        let retire = move |node| retire_pools(pools.upkeep(), node);
        (cluster.monitor.clone(), Box::new(wake) as Act, Box::new(retire) as Act)
    });
    let followers = postgres.chain(mysql);
    let followers = followers.map(|(monitor, wake, retire)| {
        let stop = stop.clone();
        follow(monitor, wake, retire, stop)
    });
    futures_util::future::join_all(followers).await;
}

fn retire_pools(pools: Vec<(NodeId, Arc<dyn Upkeep>)>, node: NodeId) {
    let mine = pools.iter().filter(|(of, _)| *of == node);
    mine.for_each(|(_, pool)| pool.retire_all());
}

/// What is done about a node.
type Act = Box<dyn Fn(NodeId) + Send + Sync>;

async fn follow(monitor: Handle, wake: Act, retire: Act, mut stop: Stop) {
    let mut changes = monitor.published().changes();
    let nodes = monitor.snapshot().nodes.len();
    let mut lives = vec![None; nodes];
    let mut reached = vec![false; nodes];
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            () = stop.stopped() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        let now = monitor.snapshot();
        retire_changed(&retire, &mut lives, &now);
        for (before, node) in reached.iter_mut().zip(&now.nodes) {
            let is_reached = !matches!(node.role, Role::Unknown(_));
            if std::mem::replace(before, is_reached) && !is_reached {
                wake(node.id);
            }
        }
    }
}

/// `lives`: the last role of each node that it served in or was fenced from.
fn retire_changed(retire: &Act, lives: &mut [Option<Role>], now: &Snapshot) {
    for (before, node) in lives.iter_mut().zip(&now.nodes) {
        if matches!(node.role, Role::Unknown(_)) || before.as_ref() == Some(&node.role) {
            continue;
        }
        if let Some(before) = before.replace(node.role.clone()) {
            tracing::info!(
                cluster = &*now.cluster,
                node = &*node.name,
                from = before.name(),
                to = node.role.name(),
                "role changed; its server connections are closed"
            );
            retire(node.id);
        }
    }
}
