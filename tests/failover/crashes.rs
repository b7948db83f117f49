//! The proxy dies in the middle of a change, at every step of it.

use crate::scene::{PRIMARY, Scene};
use crate::support::proxy::proxy;
use crate::support::{Cluster, cluster};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tidegate::failover::{
    Before, Change, CommandLine, CommitOutcome, Evidence, Executor, FileLedger, Folder, Gate,
    Guarantee, Kind, Ledger, Mode, Name, Record, Rejoin, Settings, State, StoreError, Term, begin,
};
use tidegate::pg::connect::Node;
use tidegate::pg::govern::{Governor, Subject};
use tidegate::topology::Decree;

/// Nobody uses the servers but failover.
struct Nobody;

impl Gate for Nobody {
    async fn decree(&self, _: Decree) {}
    fn users(&self, _: &Name) -> usize {
        0
    }
}

/// Fails after so many records: the last step was taken, and nobody wrote it down.
struct Frail {
    file: FileLedger,
    left: usize,
}

impl Ledger for Frail {
    fn save(&mut self, state: &State) -> Result<(), StoreError> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => {
                let (path, source) = (Path::new("state").to_owned(), io::Error::other("a crash"));
                return Err(StoreError::Io { what: "write", path, source });
            }
        }
        self.file.save(state)
    }
}

fn executor(
    servers: &Cluster,
    state: &TempDir,
    left: usize,
) -> (Executor<Governor, Nobody, Frail>, Option<State>) {
    let folder = Folder::open(state.path()).unwrap();
    let (file, kept) = folder.cluster("test").unwrap();
    let node = |node: &tidegate::lab::postgres::Node| Subject {
        node: Arc::new(Node::plain(node.name(), &node.address())),
        priority: 100,
        agent: None,
    };
    let mut login = tokio_postgres::Config::new();
    login.user("postgres").dbname("postgres");
    let subjects = servers.nodes().iter().map(node).collect();
    let governor = Governor::new(subjects, login, Duration::from_secs(5));
    let nodes = servers.nodes().iter().map(|node| (node.name().into(), node.address()));
    let executor = Executor {
        actuator: Arc::new(governor),
        gate: Nobody,
        ledger: Frail { file, left },
        settings: settings(),
        before: Before::default(),
        nodes: nodes.collect(),
    };
    (executor, kept)
}

fn settings() -> Settings {
    let seconds = Duration::from_secs;
    Settings {
        mode: Mode::Manual,
        guarantee: Guarantee::Available,
        hold: seconds(10),
        write_quorum: 1,
        heartbeat: seconds(1),
        refused: seconds(1),
        silence: seconds(3),
        cooldown: seconds(600),
        drain: seconds(5),
        patience: seconds(60),
        rejoin: Rejoin::Manual,
        commit_outcome: CommitOutcome::Unknown,
        fence_command: CommandLine::default(),
    }
}

async fn system(servers: &Cluster) -> u64 {
    let system = servers.primary().value("SELECT system_identifier FROM pg_control_system()");
    system.await.unwrap().parse::<i64>().unwrap().cast_unsigned()
}

/// A term of `a`, and the start of a switchover to `b`.
fn begun(system: u64) -> State {
    let record = Record::adopt("test".into(), "me".into(), Term(1), ("a".into(), system, 1));
    let (kind, guarantee) = (Kind::Switchover, Guarantee::Available);
    let mut change = Change::new(kind, guarantee, "a".into(), "a test");
    change.to = Some("b".into());
    State { record: begin(&record, change), events: Vec::new() }
}

/// The number of records from the start of a switchover to its end.
const RECORDS: usize = 10;

#[tokio::test]
async fn a_switchover_survives_a_crash_after_each_of_its_steps() {
    for survives in 0..=RECORDS {
        let servers = cluster().replicas(2).sql("CREATE TABLE t (a int)").start().await.unwrap();
        let first = begun(system(&servers).await);
        let state = tempfile::tempdir().unwrap();
        let (mut before, _) = executor(&servers, &state, 1 + survives);
        before.ledger.save(&first).unwrap();
        let ended = before.run(first).await;
        assert_eq!(ended.is_ok(), survives == RECORDS, "after {survives} records");
        drop(before);
        let (mut after, kept) = executor(&servers, &state, usize::MAX);
        let last = after.run(kept.unwrap()).await.unwrap();
        let record = &last.record;
        assert_eq!((record.reigning(), record.timeline), (Some(&"b".into()), 2));
        assert_eq!(record.term, Term(2));
        holds(&servers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_starts_goes_on_with_the_change_that_it_finds() {
    let servers = cluster().replicas(2).sql("CREATE TABLE t (a int)").start().await.unwrap();
    let state = tempfile::tempdir().unwrap();
    let (mut before, _) = executor(&servers, &state, usize::MAX);
    before.ledger.save(&begun(system(&servers).await)).unwrap();
    drop(before);
    let keys = "mode = \"manual\"\nguarantee = \"available\"";
    let running = proxy(&servers).with("failover", keys).state(state.path()).start().await;
    let scene = Scene::of(servers, running, state, keys);
    scene.until(PRIMARY, "b").await;
    let client = scene.running.connect().await;
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    holds(&scene.servers).await;
}

/// `b` takes writes, `c` gets them, and nobody logs in to `a`.
async fn holds(servers: &Cluster) {
    let [a, b, c] = servers.nodes() else { panic!("three servers") };
    b.sql("INSERT INTO t VALUES (7)").await.unwrap();
    let there = "SELECT EXISTS (SELECT FROM t WHERE a = 7)";
    c.until("what was written on b", there).await.unwrap();
    let row = "SELECT term || ' ' || node FROM tidegate.term";
    assert_eq!(b.value(row).await.unwrap(), "2 b");
    let stranger = a.config("replicator", "postgres").connect(tokio_postgres::NoTls).await;
    let refused = stranger.err().expect("a former primary lets nobody in");
    assert_eq!(refused.code().map(|code| code.code()), Some("28000"), "{refused}");
}

#[tokio::test]
async fn evidence_is_what_was_observed() {
    use tidegate::failover::Actuator;
    let servers = cluster().replicas(1).start().await.unwrap();
    let state = tempfile::tempdir().unwrap();
    let (executor, _) = executor(&servers, &state, 0);
    let governor = &executor.actuator;
    let client = servers.primary().config("replicator", "postgres");
    let (client, connection) = client.connect(tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    assert_eq!(governor.fence(&"a".into()).await, Ok(Evidence::LoginsRefused));
    let _ = connection.await;
    assert!(client.is_closed());
    governor.unfence(&"a".into()).await.unwrap();
    let open = servers.primary().config("replicator", "postgres");
    drop(open.connect(tokio_postgres::NoTls).await.unwrap());
    servers.primary().kill();
    assert_eq!(governor.fence(&"a".into()).await, Ok(Evidence::NobodyListens));
}
