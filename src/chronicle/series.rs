//! From counters at two instants to rates between them.

use crate::telemetry::Distribution;
use crate::view::{ClusterSample, NodeSample, Sample};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What the counters said at one instant.
#[derive(Clone, Debug)]
pub struct Totals {
    pub at: Instant,
    pub clients: u64,
    pub clusters: Vec<ClusterTotals>,
}

#[derive(Clone, Debug)]
pub struct ClusterTotals {
    pub cluster: Arc<str>,
    pub transactions: u64,
    pub queries: u64,
    pub errors: u64,
    pub retries: u64,
    pub received: u64,
    pub sent: u64,
    /// How long batches took.
    pub took: Distribution,
    pub waits: Distribution,
    pub clients_waiting: u64,
    pub servers: u64,
    pub nodes: Vec<NodeTotals>,
}

#[derive(Clone, Debug)]
pub struct NodeTotals {
    pub node: Arc<str>,
    pub role: Arc<str>,
    pub staleness: Option<Duration>,
    pub reads: u64,
    pub writes: u64,
}

/// The span between two readings of the same proxy; its number is given by who keeps it.
pub fn between(before: &Totals, now: &Totals) -> Sample {
    let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
    let rate = |before: u64, now: u64| match seconds > 0.0 {
        true => now.saturating_sub(before) as f64 / seconds,
        false => 0.0,
    };
    let clusters = before.clusters.iter().zip(&now.clusters);
    let clusters = clusters.map(|(before, now)| cluster(before, now, rate)).collect();
    Sample { number: 0, at: SystemTime::now(), clients: now.clients, clusters }
}

fn cluster(
    before: &ClusterTotals,
    now: &ClusterTotals,
    rate: impl Fn(u64, u64) -> f64,
) -> ClusterSample {
    let took = now.took.since(&before.took);
    let node = |(before, now): (&NodeTotals, &NodeTotals)| NodeSample {
        node: now.node.clone(),
        role: now.role.clone(),
        staleness: now.staleness,
        reads: rate(before.reads, now.reads),
        writes: rate(before.writes, now.writes),
    };
    ClusterSample {
        cluster: now.cluster.clone(),
        transactions: rate(before.transactions, now.transactions),
        queries: rate(before.queries, now.queries),
        errors: rate(before.errors, now.errors),
        retries: rate(before.retries, now.retries),
        received: rate(before.received, now.received),
        sent: rate(before.sent, now.sent),
        p50: took.percentile(50),
        p99: took.percentile(99),
        mean: took.mean(),
        wait: now.waits.since(&before.waits).mean(),
        clients_waiting: now.clients_waiting,
        servers: now.servers,
        nodes: before.nodes.iter().zip(&now.nodes).map(node).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Histogram;

    #[test]
    fn rates_and_latencies_are_of_the_span_alone() {
        let took = Histogram::default();
        took.observe(Duration::from_secs(5));
        let mut before = ClusterTotals {
            cluster: "orders".into(),
            transactions: 100,
            queries: 7,
            errors: 0,
            retries: 0,
            received: 0,
            sent: 0,
            took: took.distribution(),
            waits: Distribution::default(),
            clients_waiting: 0,
            servers: 1,
            nodes: vec![NodeTotals {
                node: "a".into(),
                role: "replica".into(),
                staleness: None,
                reads: 40,
                writes: 0,
            }],
        };
        let at = Instant::now();
        let first = Totals { at, clients: 1, clusters: vec![before.clone()] };
        (0..99).for_each(|_| took.observe(Duration::from_micros(100)));
        took.observe(Duration::from_millis(100));
        before.took = took.distribution();
        before.transactions += 50;
        before.nodes[0].reads += 30;
        before.clients_waiting = 4;
        let then = at + Duration::from_secs(2);
        let sample = between(&first, &Totals { at: then, clients: 2, clusters: vec![before] });
        let cluster = &sample.clusters[0];
        assert_eq!((sample.clients, cluster.clients_waiting), (2, 4));
        assert_eq!((cluster.transactions, cluster.queries), (25.0, 0.0));
        assert_eq!(cluster.nodes[0].reads, 15.0);
        assert_eq!(cluster.p50, Some(Duration::from_micros(128)));
        assert_eq!(cluster.p99, Some(Duration::from_micros(128)));
        assert_eq!(cluster.wait, None);
    }
}
