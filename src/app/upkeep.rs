//! What is done for the pools while clients are served.

use crate::pg::cluster::Cluster;
use crate::pg::engine::Engine;
use crate::task::Stop;
use crate::topology::{Role, Snapshot};
use std::sync::Arc;
use std::time::Duration;

/// Once a second: connections that are too old or too idle are closed, minima are kept.
pub(super) async fn tend_pools(engine: Arc<Engine>, mut stop: Stop) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            () = stop.stopped() => return,
            _ = tick.tick() => {}
        }
        for pools in engine.clusters.iter().flat_map(|cluster| cluster.all_pools()) {
            pools.nodes.iter().for_each(|pool| pool.tend());
        }
    }
}

/// A node whose role changed keeps no connection of its former life; reads that wait for one that
/// is not reached any more go elsewhere.
pub(super) async fn follow_roles(engine: Arc<Engine>, stop: Stop) {
    let follow = |cluster: Arc<Cluster>| {
        let (mut stop, engine) = (stop.clone(), engine.clone());
        async move {
            let mut changes = cluster.monitor.published().changes();
            let mut lives = vec![None; cluster.nodes.len()];
            let mut reached = vec![false; cluster.nodes.len()];
            loop {
                // Both branches are cancel-safe.
                tokio::select! {
                    () = stop.stopped() => return,
                    changed = changes.changed() => if changed.is_err() { return },
                }
                let now = cluster.monitor.snapshot();
                retire_changed(&cluster, &mut lives, &now);
                for (before, node) in reached.iter_mut().zip(&now.nodes) {
                    let is_reached = !matches!(node.role, Role::Unknown(_));
                    if std::mem::replace(before, is_reached) && !is_reached {
                        engine.wake_clients_of(&cluster.name, node.id);
                    }
                }
            }
        }
    };
    let followers = engine.clusters.iter().cloned().map(follow);
    futures_util::future::join_all(followers).await;
}

/// `lives`: the last role of each node that it served in or was fenced from.
fn retire_changed(cluster: &Cluster, lives: &mut [Option<Role>], now: &Snapshot) {
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
            for pools in cluster.all_pools() {
                pools.nodes[usize::from(node.id.0)].retire_all();
            }
        }
    }
}
