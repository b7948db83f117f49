//! What the chronicle is told: how the numbers go, and what happens to nodes.

use super::control::Console;
use crate::chronicle::{ClusterTotals, NodeTotals, Totals, between, differences};
use crate::dispatch::Dispatch;
use crate::monitor::Handle;
use crate::pool::{Counts, Upkeep};
use crate::task::Stop;
use crate::topology::NodeId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Averages are over so many samples, as PgBouncer's `stats_period` has it.
const AVERAGED: usize = 60;

/// Once a second: what happened in it.
pub(super) async fn sample(console: Arc<Console>, mut stop: Stop) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut read: VecDeque<Totals> = VecDeque::new();
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            () = stop.stopped() => return,
            _ = tick.tick() => {}
        }
        let now = totals(&console);
        if let (Some(first), Some(last)) = (read.front(), read.back()) {
            let (average, latest) = (between(first, &now), between(last, &now));
            console.chronicle.sample(latest, average);
        }
        read.push_back(now);
        if read.len() > AVERAGED {
            read.pop_front();
        }
    }
}

/// What happens to the nodes of all clusters.
pub(super) async fn follow_events(console: Arc<Console>, stop: Stop) {
    let postgres = console.engine.clusters.iter().map(|cluster| cluster.monitor.clone());
    let mysql = console.mysql.clusters.iter().map(|cluster| cluster.monitor.clone());
    let all = postgres.chain(mysql).map(|monitor| follow(&console, monitor, stop.clone()));
    futures_util::future::join_all(all).await;
}

async fn follow(console: &Console, monitor: Handle, mut stop: Stop) {
    let mut changes = monitor.published().changes();
    let mut seen = monitor.snapshot();
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            () = stop.stopped() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        let now = monitor.snapshot();
        differences(&seen, &now).into_iter().for_each(|note| console.chronicle.note(note));
        seen = now;
    }
}

fn totals(console: &Console) -> Totals {
    let postgres =
        console.engine.clusters.iter().map(|cluster| of_cluster(cluster, &cluster.upkeep()));
    let mysql = console.mysql.clusters.iter().map(|cluster| of_cluster(cluster, &cluster.upkeep()));
    Totals {
        at: Instant::now(),
        clients: (console.engine.clients.len() + console.mysql.clients.len()) as u64,
        clusters: postgres.chain(mysql).collect(),
    }
}

fn of_cluster(cluster: &Dispatch, pools: &[(NodeId, Arc<dyn Upkeep>)]) -> ClusterTotals {
    let (seen, now) = (cluster.monitor.snapshot(), Instant::now());
    let nodes = seen.nodes.iter().map(|node| NodeTotals {
        node: node.name.clone(),
        role: node.role.name().into(),
        staleness: node.fresh_as_of.map(|at| now.saturating_duration_since(at)),
        reads: node.load.reads.load(Ordering::Relaxed),
        writes: node.load.writes.load(Ordering::Relaxed),
    });
    let counts: Vec<Counts> = pools.iter().map(|(_, pool)| pool.counts()).collect();
    let counters = &cluster.counters;
    ClusterTotals {
        cluster: cluster.name.clone(),
        transactions: counters.transactions.get(),
        queries: counters.queries.get(),
        errors: counters.refused.counts().values().sum(),
        retries: counters.retries.counts().values().sum(),
        received: counters.received.get(),
        sent: counters.sent.get(),
        took: counters.took.distribution(),
        waits: counters.waits.distribution(),
        clients_waiting: counts.iter().map(|pool| pool.waiting as u64).sum(),
        servers: counts.iter().map(|pool| (pool.lent + pool.idle) as u64).sum(),
        nodes: nodes.collect(),
    }
}
