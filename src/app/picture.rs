//! Fills the one view that console, HTTP and terminal render.

mod backups;
mod memory;
mod mysql;
mod reigns;

use super::control::Console;
use crate::config::Config;
use crate::counters::Counters;
use crate::monitor::Handle;
use crate::net::tls::Acceptor;
use crate::pg::catalog::Shown;
use crate::pg::cluster::{Cluster, UserPools};
use crate::pg::listen::Hub;
use crate::pg::registry::{self, ClientEntry, ServerEntry};
use crate::pg::statement::Statement;
use crate::pool::{self, Mode};
use crate::sql::Counted;
use crate::topology::{NodeView, Role};
use crate::view::{self, ClientState, PoolLimits, ServerState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// The proxy as it is now.
pub(super) fn draw(console: &Console) -> view::Proxy {
    let engine = &console.engine;
    let (started, since) = console.started;
    let mut proxy = view::Proxy::empty(env!("CARGO_PKG_VERSION"), started, since.elapsed());
    let open = !engine.gate.is_draining();
    proxy.listeners = console.listening.iter().map(|l| listener(l, open)).collect();
    proxy.certificates = certificates(console);
    proxy.reloads = console.reloads();
    let config = console.config();
    proxy.config = settings(&config);
    let servers = engine.servers.all();
    for cluster in &engine.clusters {
        let pool = cluster.pool_settings.load();
        let seen = Seen {
            name: &cluster.name,
            monitor: &cluster.monitor,
            pool: &pool,
            paused: cluster.is_paused(),
            disabled: cluster.is_disabled(),
        };
        proxy.clusters.push(cluster_view(&seen, "postgres", cluster.databases.as_deref()));
        proxy.stats.push(stats(&cluster.name, &cluster.counters));
        proxy.listening.extend(cluster.hubs.all().iter().map(|hub| listening(cluster, hub)));
        proxy.prepared.extend(prepared(cluster));
        proxy.shapes.extend(shapes(&cluster.name, cluster.classifier.used()));
        proxy.catalogs.extend(cluster.catalogs.shown().iter().map(|shown| catalog(cluster, shown)));
        let pools = cluster.all_pools();
        proxy.pools.extend(pools.iter().flat_map(|pools| pool_views(cluster, pools)));
    }
    proxy.clients = engine.clients.all().iter().map(|c| client(c, console)).collect();
    proxy.servers = servers.iter().map(|s| server(s, console)).collect();
    proxy.reigns = reigns::all(console);
    proxy.memory = memory::memory(console);
    let kept = engine.clusters.iter().filter_map(|c| Some((c, console.backups.get(&c.name)?)));
    proxy.backups = kept.map(|(cluster, kept)| backups::backups(cluster, kept)).collect();
    mysql::add(&mut proxy, console);
    proxy.events = console.chronicle.events_after(0);
    let mut tracers = engine.clusters.iter().map(|cluster| &cluster.tracer);
    let tracer = tracers.next().or(console.mysql.clusters.first().map(|cluster| &cluster.tracer));
    proxy.spans = tracer.and_then(|tracer| tracer.counts()).map(spans);
    proxy.latest = console.chronicle.latest();
    proxy.average = console.chronicle.average();
    proxy.clients.sort_by_key(|c| c.id);
    proxy.servers.sort_by_key(|s| s.id);
    proxy
}

/// A proxy that sends its clients away is not open for new ones, whoever still can look at it.
fn listener((name, at): &(&'static str, std::net::SocketAddr), open: bool) -> view::Listener {
    view::Listener { name: (*name).into(), address: at.to_string().into(), open }
}

fn certificates(console: &Console) -> Vec<view::Certificate> {
    let sides = [("postgres", &console.engine.acceptor), ("mysql", &console.mysql.acceptor)];
    let shown = |(name, acceptor): (&str, &Option<Acceptor>)| {
        Some(view::Certificate { listener: name.into(), ends: acceptor.as_ref()?.ends()? })
    };
    sides.into_iter().filter_map(shown).collect()
}

fn settings(config: &Config) -> Vec<view::Setting> {
    let setting = |(key, effective): (&String, &crate::config::Effective)| view::Setting {
        key: key.clone(),
        value: effective.value.clone(),
        default: effective.default.clone(),
        changeable: !effective.restart,
    };
    config.effective().iter().map(setting).collect()
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Transaction => "transaction",
        Mode::Session => "session",
    }
}

/// What clusters of every engine have.
struct Seen<'a> {
    name: &'a Arc<str>,
    monitor: &'a Handle,
    pool: &'a pool::Settings,
    paused: bool,
    disabled: bool,
}

fn cluster_view(cluster: &Seen<'_>, engine: &str, databases: Option<&[Arc<str>]>) -> view::Cluster {
    let seen = cluster.monitor.snapshot();
    let pool = cluster.pool;
    let now = Instant::now();
    view::Cluster {
        name: cluster.name.clone(),
        engine: engine.into(),
        primary: seen.primary().map(|node| node.name.clone()),
        epoch: seen.epoch,
        paused: cluster.paused,
        disabled: cluster.disabled,
        databases: databases.map_or_else(|| vec!["*".into()], <[Arc<str>]>::to_vec),
        limits: PoolLimits {
            mode: mode_name(pool.mode).into(),
            size: pool.size as u64,
            min_idle: pool.min_idle as u64,
            max_per_node: pool.max_per_node as u64,
            max_clients: pool.max_clients as u64,
        },
        nodes: seen.nodes.iter().map(|n| node(n, now)).collect(),
    }
}

fn node(node: &NodeView, now: Instant) -> view::Node {
    let reason = match &node.role {
        Role::Unknown(why) => Some(why.clone()),
        _ if node.drained => Some("drained by an operator".into()),
        _ => node.trouble.clone(),
    };
    view::Node {
        name: node.name.clone(),
        address: node.address.clone(),
        role: node.role.name().into(),
        reason,
        position: node.position.as_ref().map(|p| p.to_string()),
        staleness: node.fresh_as_of.map(|at| now.saturating_duration_since(at)),
        bytes_behind: node.bytes_behind,
        claimed_lag: node.claimed_lag_us.map(Duration::from_micros),
        weight: node.weight,
        outstanding: node.load.outstanding().into(),
        served_reads: node.load.reads.load(Ordering::Relaxed),
        served_writes: node.load.writes.load(Ordering::Relaxed),
        version: node.version.clone(),
    }
}

fn spans(counts: crate::spans::Counts) -> view::Spans {
    let crate::spans::Counts { sent, queue_full, refused } = counts;
    view::Spans { sent, queue_full, refused }
}

/// Shapes that are shown of each cluster.
const MOST_SHAPES: usize = 500;

fn shapes(cluster: &Arc<str>, mut used: Vec<Counted>) -> Vec<view::Shape> {
    used.sort_by_key(|(_, _, used)| std::cmp::Reverse(used.primary + used.replicas));
    used.truncate(MOST_SHAPES);
    let shape = |(shape, primary, used): Counted| view::Shape {
        cluster: cluster.clone(),
        shape,
        kind: primary.map_or("read", |why| why.name()),
        primary: used.primary,
        replicas: used.replicas,
        retries: used.retries,
        average: used.average,
        median: used.median,
        p99: used.p99,
        longest: used.longest,
    };
    used.into_iter().map(shape).collect()
}

fn stats(cluster: &Arc<str>, counters: &Counters) -> view::Stats {
    view::Stats {
        cluster: cluster.clone(),
        database: "*".into(),
        transactions: counters.transactions.get(),
        queries: counters.queries.get(),
        bytes_received: counters.received.get(),
        bytes_sent: counters.sent.get(),
        took: counters.took.distribution(),
        wait: counters.waits.distribution(),
        errors: counters.refused.counts(),
        routed: counters.routes().map(|(name, n)| (name.to_owned(), n)).collect(),
        retries: counters.retries.counts(),
        notifications: counters.notifications.get(),
        relistened: counters.relistened.get(),
        outcomes: counters.outcomes.counts(),
        lost_positions: counters.lost_positions.get(),
        logins_ok: counters.logins.get(),
        logins_failed: counters.failed_logins.get(),
        logins_throttled: counters.throttled_logins.get(),
    }
}

fn listening(cluster: &Cluster, hub: &Hub) -> view::Listening {
    let heard = hub.heard();
    view::Listening {
        cluster: cluster.name.clone(),
        database: hub.database.clone(),
        node: hub.node().map(|node| cluster.node_name(node)),
        channels: heard.channels as u64,
        listeners: heard.listeners as u64,
    }
}

fn pool_views(cluster: &Cluster, pools: &Arc<UserPools>) -> Vec<view::Pool> {
    let settings = cluster.pool_settings.load();
    let of = (&cluster.name, &pools.user, &pools.database);
    let all = cluster.nodes.iter().zip(&pools.nodes);
    all.map(|(node, pool)| pool_view(of, &node.name, &settings, pool.counts())).collect()
}

fn pool_view(
    (cluster, user, database): (&Arc<str>, &Arc<str>, &Arc<str>),
    node: &Arc<str>,
    settings: &pool::Settings,
    counts: pool::Counts,
) -> view::Pool {
    view::Pool {
        cluster: cluster.clone(),
        node: node.clone(),
        user: user.clone(),
        database: database.clone(),
        mode: mode_name(settings.mode).into(),
        size: settings.size as u64,
        min_idle: settings.min_idle as u64,
        servers_active: counts.lent as u64,
        servers_idle: (counts.idle - counts.used) as u64,
        servers_used: counts.used as u64,
        servers_connecting: counts.connecting as u64,
        clients_waiting: counts.waiting as u64,
        longest_wait: counts.longest_wait,
        opened: counts.opened,
        closed: counts.closed,
    }
}

/// More of the statements of a cluster are not shown, nor more bytes of their texts.
const PREPARED: usize = 1000;
const PREPARED_TEXT: usize = 200;

fn prepared(cluster: &Cluster) -> Vec<view::Prepared> {
    let mut used = cluster.statements.used();
    used.sort_by_key(|(statement, clients)| (std::cmp::Reverse(*clients), statement.id));
    used.truncate(PREPARED);
    let one = |(statement, clients): (Arc<Statement>, usize)| {
        let query = statement.query();
        let start = &query[..query.len().min(PREPARED_TEXT)];
        view::Prepared {
            cluster: cluster.name.clone(),
            name: statement.server_name().to_string(),
            clients: clients as u64,
            bytes: statement.bytes() as u64,
            primary: statement.primary().map(|why| why.name()),
            query: String::from_utf8_lossy(start).into_owned(),
        }
    };
    used.into_iter().map(one).collect()
}

fn catalog(cluster: &Cluster, shown: &Shown) -> view::Catalog {
    let (harmless, functions) = shown.catalog.functions();
    view::Catalog {
        cluster: cluster.name.clone(),
        database: shown.database.clone(),
        known: shown.catalog.number() != 0,
        age: shown.age,
        functions: functions as u64,
        harmless: harmless as u64,
        harmful: shown.catalog.harmful() as u64,
        failure: shown.failure.clone(),
    }
}

/// A moment of the monotonic clock as wall-clock time.
fn wall(at: Instant) -> SystemTime {
    SystemTime::now().checked_sub(at.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn client(client: &Arc<ClientEntry>, console: &Console) -> view::Client {
    let state = match client.state() {
        registry::ClientState::Idle => ClientState::Idle,
        registry::ClientState::Waiting => ClientState::Waiting,
        registry::ClientState::Active => ClientState::Active,
    };
    let cluster = console.engine.clusters.iter().find(|c| c.name == client.cluster);
    let route = (*client.last_route.lock()).and_then(|last| {
        let node = cluster?.node_name(last.node);
        Some(view::Route { node, because: last.because.name().into() })
    });
    let linked = client.link.target().map(|target| target.server);
    view::Client {
        id: client.id,
        user: client.user.clone(),
        database: client.database.clone(),
        cluster: Some(client.cluster.clone()),
        address: client.address.to_string().into(),
        state,
        tls: client.tls.then(|| "tls".into()),
        application_name: Some(client.application.lock().clone()).filter(|a| !a.is_empty()),
        pin: client.pin().map(Into::into),
        transaction: client.transaction().into(),
        connected: wall(client.since),
        requests: client.requests.load(Ordering::Relaxed),
        last_route: route,
        server: linked,
        replication: client.replication.map_or("none", |kind| kind.name()).into(),
    }
}

fn server(server: &Arc<ServerEntry>, console: &Console) -> view::Server {
    let lent_to = Some(server.client.load(Ordering::Relaxed)).filter(|id| *id != 0);
    let cluster = console.engine.clusters.iter().find(|c| c.name == server.cluster);
    let node = cluster.and_then(|c| c.nodes.iter().find(|n| n.name == server.node));
    view::Server {
        id: server.id,
        pid: Some(server.pid),
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
