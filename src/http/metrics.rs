//! The view as Prometheus reads it.

use super::table::*;
use crate::telemetry::{Exposition, Metric};
use crate::view::{
    Client, ClientState, Cluster, Listening, Node, Pool, Proxy, Reign, Spans, Stats,
};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// A metric, and where its number is in a `T`.
type Number<T> = (&'static Metric, fn(&T) -> f64);
type Counts = fn(&Stats) -> &BTreeMap<String, u64>;

/// The page, without what was recorded elsewhere.
pub(super) fn render(view: &Proxy) -> String {
    let mut page = Exposition::default();
    page.metric(&INFO);
    page.sample(&INFO, &[&view.version], 1.0);
    page.metric(&UPTIME);
    page.sample(&UPTIME, &[], view.uptime.as_secs_f64());
    page.metric(&LISTENER_UP);
    for listener in &view.listeners {
        page.sample(&LISTENER_UP, &[&listener.name, &listener.address], yes(listener.open));
    }
    of_configuration(&mut page, view);
    clusters(&mut page, &view.clusters);
    reigns(&mut page, &view.reigns);
    super::backups::put(&mut page, &view.backups);
    nodes(&mut page, &view.clusters);
    pools(&mut page, &view.pools);
    clients(&mut page, &view.clients);
    listening(&mut page, &view.listening);
    stats(&mut page, &view.stats);
    spans(&mut page, view.spans.as_ref());
    page.finish()
}

fn yes(fact: bool) -> f64 {
    f64::from(u8::from(fact))
}

fn of_configuration(page: &mut Exposition, view: &Proxy) {
    page.metric(&CERTIFICATE_ENDS);
    for of in &view.certificates {
        let ends = of.ends.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        page.sample(&CERTIFICATE_ENDS, &[&of.listener], ends.as_secs_f64());
    }
    page.metric(&RELOADS);
    page.sample(&RELOADS, &["done"], view.reloads.done as f64);
    page.sample(&RELOADS, &["refused"], view.reloads.refused as f64);
    page.metric(&RELOAD_REFUSED);
    page.sample(&RELOAD_REFUSED, &[], yes(view.reloads.last_was_refused));
}

fn clusters(page: &mut Exposition, clusters: &[Cluster]) {
    let all: [Number<Cluster>; 3] = [
        (&CLUSTER_PRIMARY, |c| yes(c.primary.is_some())),
        (&CLUSTER_PAUSED, |c| yes(c.paused)),
        (&CLUSTER_EPOCH, |c| c.epoch as f64),
    ];
    for (metric, value) in all {
        page.metric(metric);
        for cluster in clusters {
            page.sample(metric, &[&cluster.name], value(cluster));
        }
    }
}

fn reigns(page: &mut Exposition, reigns: &[Reign]) {
    type Value = fn(&Reign) -> Option<f64>;
    let all: [(&Metric, Value); 5] = [
        (&TERM, |r| r.term.map(|term| term as f64)),
        (&TERM_ACTIVE, |r| r.phase.as_ref().map(|phase| yes(&**phase == "active"))),
        (&LATCHED, |r| Some(yes(r.latch.is_some()))),
        (&HEARTBEAT_AGE, |r| r.beat_age.map(|age| age.as_secs_f64())),
        (&DEPOSED, |r| Some(r.deposed.len() as f64)),
    ];
    for (metric, value) in all {
        page.metric(metric);
        for reign in reigns {
            if let Some(value) = value(reign) {
                page.sample(metric, &[&reign.cluster], value);
            }
        }
    }
}

fn nodes(page: &mut Exposition, clusters: &[Cluster]) {
    let each = || clusters.iter().flat_map(|c| c.nodes.iter().map(move |n| (&*c.name, n)));
    page.metric(&NODE_ROLE);
    for (cluster, node) in each() {
        for role in ["primary", "replica", "fenced", "unknown"] {
            page.sample(&NODE_ROLE, &[cluster, &node.name, role], yes(&*node.role == role));
        }
    }
    let seconds = |d: Option<Duration>| d.map(|d| d.as_secs_f64());
    type Value<'a> = &'a dyn Fn(&Node) -> Option<f64>;
    let all: [(&Metric, Value<'_>); 5] = [
        (&NODE_STALENESS, &|n| seconds(n.staleness)),
        (&NODE_BEHIND, &|n| n.bytes_behind.map(|bytes| bytes as f64)),
        (&NODE_CLAIMED_LAG, &|n| seconds(n.claimed_lag)),
        (&NODE_WEIGHT, &|n| Some(f64::from(n.weight))),
        (&NODE_OUTSTANDING, &|n| Some(n.outstanding as f64)),
    ];
    for (metric, value) in all {
        page.metric(metric);
        for (cluster, node) in each() {
            if let Some(value) = value(node) {
                page.sample(metric, &[cluster, &node.name], value);
            }
        }
    }
    page.metric(&NODE_SERVED);
    for (cluster, node) in each() {
        page.sample(&NODE_SERVED, &[cluster, &node.name, "read"], node.served_reads as f64);
        page.sample(&NODE_SERVED, &[cluster, &node.name, "write"], node.served_writes as f64);
    }
}

fn pools(page: &mut Exposition, pools: &[Pool]) {
    page.metric(&POOL_SERVERS);
    for pool in pools {
        let by_state = [
            ("active", pool.servers_active),
            ("idle", pool.servers_idle),
            ("used", pool.servers_used),
            ("connecting", pool.servers_connecting),
        ];
        for (state, count) in by_state {
            let [cluster, node, user, database] = labels(pool);
            page.sample(&POOL_SERVERS, &[cluster, node, user, database, state], count as f64);
        }
    }
    let all: [Number<Pool>; 5] = [
        (&POOL_SIZE, |p| p.size as f64),
        (&POOL_WAITING, |p| p.clients_waiting as f64),
        (&POOL_LONGEST_WAIT, |p| p.longest_wait.as_secs_f64()),
        (&POOL_OPENED, |p| p.opened as f64),
        (&POOL_CLOSED, |p| p.closed as f64),
    ];
    for (metric, value) in all {
        page.metric(metric);
        for pool in pools {
            page.sample(metric, &labels(pool), value(pool));
        }
    }
}

fn labels(pool: &Pool) -> [&str; 4] {
    [&pool.cluster, &pool.node, &pool.user, &pool.database]
}

fn clients(page: &mut Exposition, clients: &[Client]) {
    let mut states: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut pins: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for client in clients {
        let cluster = client.cluster.as_deref().unwrap_or("");
        for state in
            [ClientState::Login, ClientState::Idle, ClientState::Active, ClientState::Waiting]
        {
            let count = states.entry((cluster, state.name())).or_default();
            *count += u64::from(client.state == state);
        }
        if let Some(pin) = client.pin.as_deref() {
            *pins.entry((cluster, pin)).or_default() += 1;
        }
    }
    for (metric, counts) in [(&CLIENTS, states), (&CLIENTS_PINNED, pins)] {
        page.metric(metric);
        for ((cluster, label), count) in counts {
            page.sample(metric, &[cluster, label], count as f64);
        }
    }
}

fn listening(page: &mut Exposition, listening: &[Listening]) {
    let all: [Number<Listening>; 2] =
        [(&LISTEN_CHANNELS, |l| l.channels as f64), (&LISTENERS, |l| l.listeners as f64)];
    for (metric, value) in all {
        page.metric(metric);
        for of in listening {
            page.sample(metric, &[&of.cluster, &of.database], value(of));
        }
    }
}

fn stats(page: &mut Exposition, stats: &[Stats]) {
    let all: [Number<Stats>; 4] = [
        (&TRANSACTIONS, |s| s.transactions as f64),
        (&QUERIES, |s| s.queries as f64),
        (&RECEIVED, |s| s.bytes_received as f64),
        (&SENT, |s| s.bytes_sent as f64),
    ];
    for (metric, value) in all {
        page.metric(metric);
        for of in stats {
            page.sample(metric, &[&of.cluster, &of.database], value(of));
        }
    }
    let labelled: [(&Metric, Counts); 4] = [
        (&ERRORS, |s| &s.errors),
        (&ROUTED, |s| &s.routed),
        (&RETRIES, |s| &s.retries),
        (&OUTCOMES, |s| &s.outcomes),
    ];
    for (metric, counts) in labelled {
        page.metric(metric);
        for of in stats {
            for (label, count) in counts(of) {
                page.sample(metric, &[&of.cluster, &of.database, label], *count as f64);
            }
        }
    }
    let counted: [Number<Stats>; 3] = [
        (&NOTIFICATIONS, |s| s.notifications as f64),
        (&RELISTENED, |s| s.relistened as f64),
        (&LOST_POSITIONS, |s| s.lost_positions as f64),
    ];
    for (metric, value) in counted {
        page.metric(metric);
        for of in stats {
            page.sample(metric, &[&of.cluster, &of.database], value(of));
        }
    }
    page.metric(&LOGINS);
    for of in stats {
        for (result, count) in [("ok", of.logins_ok), ("failed", of.logins_failed)] {
            page.sample(&LOGINS, &[&of.cluster, &of.database, result], count as f64);
        }
    }
    page.metric(&LOGINS_THROTTLED);
    for of in stats {
        let count = of.logins_throttled as f64;
        page.sample(&LOGINS_THROTTLED, &[&of.cluster, &of.database], count);
    }
    page.metric(&TOOK);
    for of in stats {
        page.distribution(&TOOK, &[&of.cluster, &of.database], &of.took);
    }
    page.metric(&WAIT);
    for of in stats {
        page.distribution(&WAIT, &[&of.cluster, &of.database], &of.wait);
    }
}

fn spans(page: &mut Exposition, spans: Option<&Spans>) {
    page.metric(&SPANS);
    let Some(Spans { sent, queue_full, refused }) = spans else { return };
    for (result, count) in [("sent", sent), ("queue_full", queue_full), ("refused", refused)] {
        page.sample(&SPANS, &[result], *count as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Kind;

    #[test]
    fn every_metric_of_the_table_is_on_the_page_once_and_in_its_order() {
        let empty = Proxy::empty("1", SystemTime::UNIX_EPOCH, Duration::ZERO);
        let page = render(&empty);
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let wanted = METRICS.iter().map(|m| format!("{} {}", m.name, m.kind.name()));
        assert_eq!(types.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    }

    #[test]
    fn names_follow_the_conventions() {
        for metric in METRICS {
            assert!(metric.name.starts_with("tidegate_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
