//! The staleness proof: one counts on the primary and notes when that was acknowledged; others
//! read at every level, with every fallback, while replicas stop, lag, restart and lose their
//! network. No read is older than its level allows.
//!
//! `TIDEGATE_TEST_SECONDS` (60) says how long, `TIDEGATE_TEST_READS` how many reads it takes,
//! `TIDEGATE_TEST_READERS` (1) how many clients do so at each level with each fallback.
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../support/mod.rs"]
mod support;

mod faults;
mod reader;
mod relay;
mod truth;

use faults::{Fault, Wires};
use reader::{Course, MARK, Reader, Seen};
use relay::Relay;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::dice::Dice;
use support::proxy::{Running, proxy};
use support::{Cluster, cluster};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use truth::Truth;

/// `route.max_staleness` of all proxies.
const MAX_STALENESS: Duration = Duration::from_millis(250);
const LEVELS: [&str; 5] = ["eventual", "bounded", "session", "strong", "primary"];
const FALLBACKS: [&str; 3] = ["primary", "wait", "error"];
/// Which replica the proxies reach through a wire that can be cut, by its place among the nodes.
const WIRED: usize = 2;

fn asked_for(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// How many clients read at each level with each fallback.
fn readers_of_a_kind() -> usize {
    asked_for("TIDEGATE_TEST_READERS").unwrap_or(1) as usize
}

/// Three servers, the replicas behind a wire, a row for everybody.
async fn servers() -> (Cluster, Wires) {
    let rows = LEVELS.len() * FALLBACKS.len() * readers_of_a_kind();
    let table = format!(
        "CREATE TABLE marks AS SELECT id, 0::int8 AS n FROM generate_series(0, {rows}) AS id"
    );
    let cluster = cluster()
        .replicas(2)
        .sql(&table)
        .sql("ALTER TABLE marks ADD PRIMARY KEY (id)")
        .start()
        .await
        .expect("a cluster");
    let replication = Relay::start(cluster.primary().address().parse().expect("an address")).await;
    let wired = cluster.nodes()[WIRED].address().parse().expect("an address");
    let to_replica = Relay::start(wired).await;
    for replica in 0..2 {
        let node = cluster.replica(replica);
        let port = replication.address.port();
        let primary = node.value("SHOW primary_conninfo").await.expect("its primary");
        let through =
            primary.replace(&format!("port={}", cluster.primary().port()), &format!("port={port}"));
        assert_ne!(primary, through);
        node.sql(&format!("ALTER SYSTEM SET primary_conninfo = '{through}'")).await.expect("it");
        let mark = format!("ALTER SYSTEM SET {MARK} = {}", 0.5 + replica as f64 / 10.0);
        node.sql(&mark).await.expect("a mark");
        node.sql("SELECT pg_reload_conf()").await.expect("a reload");
    }
    cluster.caught_up().await.expect("replicas");
    (cluster, Wires { replication, to_replica })
}

async fn proxies(servers: &Cluster, wires: &Wires) -> Vec<Arc<Running>> {
    let mut all = Vec::new();
    for fallback in FALLBACKS {
        let keys = format!(
            "consistency = \"session\"\nmax_staleness = \"{}ms\"\nread_wait = \"20ms\"\n\
             fallback = \"{fallback}\"",
            MAX_STALENESS.as_millis()
        );
        let wanted =
            proxy(servers).with("route", &keys).reached_at(WIRED, wires.to_replica.address);
        all.push(Arc::new(wanted.start().await));
    }
    all
}

/// Counts through a proxy until it is told to stop.
async fn write(running: Arc<Running>, course: Arc<Course>) {
    let client = running.connect().await;
    for value in 1.. {
        course.truth.begin(value);
        client.batch_execute("UPDATE marks SET n = n + 1 WHERE id = 0").await.expect("a write");
        course.truth.acknowledge(value);
        if course.stop.load(Ordering::Relaxed) {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// One thing goes wrong after the other, with a pause between them, until it was enough or a
/// reader saw what it must not.
async fn break_things(
    servers: &Cluster,
    wires: &Wires,
    course: &Course,
    readers: &Readers,
) -> BTreeMap<Fault, u32> {
    let began = Instant::now();
    let seconds = Duration::from_secs(asked_for("TIDEGATE_TEST_SECONDS").unwrap_or(60));
    let reads = asked_for("TIDEGATE_TEST_READS");
    let (mut dice, mut happened) = (Dice::new(7), BTreeMap::new());
    let enough = || match reads {
        Some(reads) => course.reads.load(Ordering::Relaxed) >= reads,
        None => began.elapsed() >= seconds,
    };
    let all_read = || readers.iter().all(|(_, _, reader)| !reader.is_finished());
    while !enough() && all_read() {
        for fault in Fault::ALL {
            course.calm.store(true, Ordering::Relaxed);
            sleep(Duration::from_millis(200)).await;
            course.calm.store(false, Ordering::Relaxed);
            *course.fault.lock().expect("a sound mutex") = Some(fault);
            fault.happen(servers, wires, &mut dice).await;
            *happened.entry(fault).or_default() += 1;
        }
        if reads.is_some() {
            let seconds = began.elapsed().as_secs();
            eprintln!("{} reads in {seconds} s", course.reads.load(Ordering::Relaxed));
        }
    }
    happened
}

type Readers = Vec<(&'static str, &'static str, JoinHandle<Seen>)>;

fn readers(running: &[Arc<Running>], course: &Arc<Course>) -> Readers {
    let mut readers = Vec::new();
    for (fallback, running) in FALLBACKS.into_iter().zip(running) {
        for level in LEVELS {
            for _ in 0..readers_of_a_kind() {
                let row = readers.len() + 1;
                let reader = Reader { level, row, fallback, course: course.clone() };
                readers.push((fallback, level, tokio::spawn(reader.run(running.clone()))));
            }
        }
    }
    readers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_its_level_allows() {
    let (servers, wires) = servers().await;
    let running = proxies(&servers, &wires).await;
    let course = Arc::new(Course {
        truth: Truth::default(),
        stop: AtomicBool::new(false),
        calm: AtomicBool::new(false),
        reads: AtomicU64::new(0),
        fault: Mutex::new(None),
    });
    let writer = tokio::spawn(write(running[0].clone(), course.clone()));
    let readers = readers(&running, &course);
    let happened = break_things(&servers, &wires, &course, &readers).await;
    course.stop.store(true, Ordering::Relaxed);
    writer.await.expect("a writer without an error");
    println!("{} writes, {happened:?}", course.truth.most());
    let mut kinds: BTreeMap<_, Seen> = BTreeMap::new();
    for (fallback, level, reader) in readers {
        let seen = reader.await.expect("no read that is too old, and no error");
        kinds.entry((fallback, level)).or_default().add(seen);
    }
    for ((fallback, level), seen) in kinds {
        println!("fallback {fallback:7} {level:8}: {}", seen.said());
        assert!(seen.reads > 0, "{fallback} {level}");
        assert!(level == "primary" || seen.by_replicas > 0, "{fallback} {level}: {seen:?}");
    }
    println!("{} reads", course.reads.load(Ordering::Relaxed));
}
