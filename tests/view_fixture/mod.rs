//! A picture of a proxy with made-up numbers: what renders it is under test, not the numbers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use tidegate::telemetry::Histogram;
use tidegate::view::*;

fn node(name: &str, role: &str, staleness: Option<Duration>) -> Node {
    Node {
        name: name.into(),
        address: format!("10.0.0.{}:5432", name.as_bytes()[0] - b'a' + 1).into(),
        role: role.into(),
        reason: None,
        position: Some("1:0/3000060".into()),
        staleness,
        bytes_behind: staleness.map(|_| 96),
        claimed_lag: None,
        weight: 1,
        outstanding: 2,
        served_reads: 70,
        served_writes: 3,
        version: Some("15.14".into()),
    }
}

fn client(id: u64, state: ClientState) -> Client {
    Client {
        id,
        user: "app".into(),
        database: "orders".into(),
        cluster: Some("orders".into()),
        address: "192.0.2.7:40000".into(),
        state,
        tls: None,
        application_name: Some("worker".into()),
        pin: (id == 7).then(|| "listen".into()),
        transaction: "idle".into(),
        connected: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        requests: 41,
        last_route: Some(Route { node: "b".into(), because: "fresh_replica".into() }),
        server: (state == ClientState::Active).then_some(3),
        replication: "none".into(),
    }
}

fn stats() -> Stats {
    let wait = Histogram::default();
    wait.observe(Duration::from_millis(2));
    let counts = |name: &str, n| BTreeMap::from([(name.to_string(), n)]);
    Stats {
        cluster: "orders".into(),
        database: "orders".into(),
        transactions: 1000,
        queries: 1200,
        bytes_received: 5000,
        bytes_sent: 9000,
        took: wait.distribution(),
        wait: wait.distribution(),
        errors: counts("42P01", 4),
        routed: counts("fresh_replica", 900),
        retries: counts("25006", 1),
        notifications: 5,
        relistened: 1,
        outcomes: BTreeMap::new(),
        lost_positions: 0,
        logins_ok: 12,
        logins_failed: 2,
        logins_throttled: 1,
    }
}

fn orders() -> Cluster {
    let millis = |ms| Some(Duration::from_millis(ms));
    Cluster {
        name: "orders".into(),
        engine: "postgres".into(),
        primary: Some("a".into()),
        epoch: 1,
        paused: false,
        disabled: false,
        databases: vec!["orders".into(), "billing".into()],
        limits: PoolLimits {
            mode: "transaction".into(),
            size: 20,
            min_idle: 0,
            max_per_node: 0,
            max_clients: 5000,
        },
        nodes: vec![
            node("a", "primary", millis(0)),
            node("b", "replica", millis(12)),
            node("c", "unknown", None),
        ],
    }
}

fn pool() -> Pool {
    Pool {
        cluster: "orders".into(),
        node: "b".into(),
        user: "app".into(),
        database: "orders".into(),
        mode: "transaction".into(),
        size: 20,
        min_idle: 0,
        servers_active: 1,
        servers_idle: 2,
        servers_used: 0,
        servers_connecting: 0,
        clients_waiting: 1,
        longest_wait: Duration::from_micros(1_250_000),
        opened: 5,
        closed: 2,
    }
}

fn server() -> Server {
    Server {
        id: 3,
        pid: Some(4711),
        cluster: "orders".into(),
        node: "b".into(),
        address: "10.0.0.2:5432".into(),
        user: "app".into(),
        database: "orders".into(),
        state: ServerState::Active,
        connected: SystemTime::UNIX_EPOCH,
        prepared: 9,
        client: Some(8),
    }
}

fn average() -> Sample {
    let micros = |us| Some(Duration::from_micros(us));
    let cluster = ClusterSample {
        cluster: "orders".into(),
        transactions: 10.2,
        queries: 12.0,
        errors: 0.0,
        retries: 0.0,
        received: 50.0,
        sent: 90.0,
        p50: micros(256),
        p99: micros(1024),
        mean: micros(300),
        wait: None,
        clients_waiting: 0,
        servers: 3,
        nodes: Vec::new(),
    };
    Sample { number: 0, at: SystemTime::UNIX_EPOCH, clients: 2, clusters: vec![cluster] }
}

fn backups() -> Backups {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let backup = Backup {
        id: "20271114T030000Z".into(),
        node: "b".into(),
        because: "marked".into(),
        finished: at(1_826_161_209),
        took: Duration::from_secs(9),
        read: 4096,
        stored: 1024,
        end: "2:0/3000060".into(),
        held: Some("audit".into()),
        proof: Some(BackupProof {
            at: at(1_826_168_400),
            recovered: Some(Duration::from_secs(41)),
            failure: None,
        }),
    };
    let archive = LogArchive {
        node: Some("b".into()),
        until: Some("2:0/3000000".into()),
        behind_bytes: Some(96),
        waiting: Some(Duration::from_millis(1500)),
        segments: 7,
        bytes: 700,
        holes: 0,
        failures: 1,
        trouble: None,
    };
    Backups {
        cluster: "orders".into(),
        all: vec![backup],
        running: None,
        next: Some(at(1_826_247_600)),
        taken: 1,
        failures: 0,
        trouble: None,
        testing: None,
        next_test: Some(at(1_826_254_800)),
        tests: 1,
        test_failures: 0,
        test_trouble: None,
        late: None,
        hook_failures: 0,
        archive: Some(archive),
    }
}

fn reign() -> Reign {
    Reign {
        cluster: "orders".into(),
        mode: "manual".into(),
        guarantee: "strict".into(),
        term: Some(3),
        phase: Some("active".into()),
        holder: Some("me".into()),
        record: "/var/lib/tidegate/orders.term.json".into(),
        primary: Some("a".into()),
        timeline: Some(1),
        quorum: None,
        opinion: "well".into(),
        says: String::new(),
        latch: None,
        deposed: Vec::new(),
        agents: Vec::new(),
        rejoin: None,
        beat_age: None,
        events: Vec::new(),
    }
}

/// A proxy that is ready, with one cluster of three nodes and two clients.
pub(crate) fn proxy() -> Proxy {
    let mut proxy = Proxy::empty("0.1.0", SystemTime::UNIX_EPOCH, Duration::from_secs(90));
    let listener = |name: &str, port| Listener {
        name: name.into(),
        address: format!("127.0.0.1:{port}").into(),
        open: true,
    };
    proxy.listeners = vec![listener("postgres", 6432), listener("console", 6433)];
    proxy.certificates = vec![Certificate {
        listener: "postgres".into(),
        ends: SystemTime::UNIX_EPOCH + Duration::from_secs(1_826_161_209),
    }];
    proxy.reloads.note(true);
    proxy.config = vec![Setting {
        key: "clusters.orders.pool.size".into(),
        value: "20".into(),
        default: Some("20".into()),
        changeable: true,
    }];
    proxy.clusters = vec![orders()];
    proxy.pools = vec![pool()];
    proxy.clients = vec![client(7, ClientState::Idle), client(8, ClientState::Active)];
    proxy.servers = vec![server()];
    proxy.listening = vec![Listening {
        cluster: "orders".into(),
        database: "orders".into(),
        node: Some("a".into()),
        channels: 2,
        listeners: 3,
    }];
    proxy.stats = vec![stats()];
    proxy.events = vec![Event {
        number: 1,
        at: SystemTime::UNIX_EPOCH,
        kind: EventKind::Role,
        cluster: Some("orders".into()),
        node: Some("b".into()),
        what: "replica instead of unknown".into(),
    }];
    proxy.latest = Some(average());
    proxy.average = Some(average());
    proxy.backups = vec![backups()];
    proxy.reigns = vec![reign()];
    let size = 65_536;
    let name = "read_buffer".into();
    proxy.memory = vec![Memory { name, size: Some(size), used: 2, free: 0, total: 2 * size }];
    proxy
}
