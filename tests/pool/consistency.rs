//! What a read is promised: its own session's writes, no step back, or everybody's writes.

use crate::support::ask::{route, until, value};
use crate::support::proxy::{Running, Wanted, proxy};
use crate::support::{Cluster, cluster};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const READ: &str = "SELECT n FROM t";
const COUNT: &str = "UPDATE t SET n = n + 1 RETURNING n";

async fn three() -> Cluster {
    let servers = cluster().replicas(2).sql("CREATE TABLE t AS SELECT 0 AS n").start().await;
    let servers = servers.expect("a cluster");
    servers.caught_up().await.expect("replicas that caught up");
    servers
}

/// Replicas of any age are good enough, but for what the level itself asks.
fn wanted(servers: &Cluster, level: &str, read_wait: &str) -> Wanted {
    let keys =
        format!("consistency = \"{level}\"\nmax_staleness = \"1h\"\nread_wait = \"{read_wait}\"");
    proxy(servers).with("route", &keys)
}

async fn pause(servers: &Cluster, replicas: &[usize]) {
    for replica in replicas {
        servers.replica(*replica).pause_replay().await.unwrap();
    }
}

async fn resume(servers: &Cluster, replicas: &[usize]) {
    for replica in replicas {
        servers.replica(*replica).resume_replay().await.unwrap();
    }
}

async fn read_on(client: &tokio_postgres::Client) -> (String, String, String) {
    let read = value(client, READ).await;
    let (node, why) = route(client).await;
    (read, node, why)
}

#[tokio::test]
async fn a_session_sees_its_own_writes_and_others_need_not() {
    let servers = three().await;
    let running = wanted(&servers, "session", "10ms").start().await;
    let (writer, other) = (running.connect().await, running.connect().await);
    pause(&servers, &[0, 1]).await;
    assert_eq!(value(&writer, COUNT).await, "1");
    for _ in 0..3 {
        let (read, node, why) = read_on(&writer).await;
        assert_eq!((&*read, &*node, &*why), ("1", "a", "no_fresh_replica"));
        let (read, _, why) = read_on(&other).await;
        assert_eq!((&*read, &*why), ("0", "fresh_replica"));
    }
    resume(&servers, &[0, 1]).await;
    until("a replica with the write", async || {
        let (read, _, why) = read_on(&writer).await;
        assert_eq!(read, "1");
        why == "fresh_replica"
    })
    .await;
}

#[tokio::test]
async fn a_read_waits_for_a_replica_that_will_have_the_write() {
    let servers = three().await;
    let running = wanted(&servers, "session", "1h").start().await;
    let client = running.connect().await;
    for n in 1..20 {
        assert_eq!(value(&client, COUNT).await, n.to_string());
        let (read, node, why) = read_on(&client).await;
        assert_eq!((read, &*why), (n.to_string(), "fresh_replica"));
        assert_ne!(node, "a");
    }
}

#[tokio::test]
async fn a_session_never_goes_back_in_time() {
    let servers = three().await;
    let running = wanted(&servers, "session", "10ms").start().await;
    pause(&servers, &[1]).await;
    servers.sql("UPDATE t SET n = 1").await.unwrap();
    let reader = running.connect().await;
    // Once the session saw the new value, the replica that stands still is not asked again.
    until("the new value", async || value(&reader, READ).await == "1").await;
    for _ in 0..40 {
        assert_eq!(value(&reader, READ).await, "1");
    }
    resume(&servers, &[1]).await;
    until("reads on both", async || {
        let (read, node, _) = read_on(&reader).await;
        assert_eq!(read, "1");
        node == "c"
    })
    .await;
}

#[tokio::test]
async fn a_strong_read_sees_what_anybody_was_told_before_it() {
    let servers = three().await;
    let running = wanted(&servers, "strong", "1h").start().await;
    let (writer, reader) = (running.connect().await, running.connect().await);
    for n in 1..20 {
        assert_eq!(value(&writer, COUNT).await, n.to_string());
        let (read, node, why) = read_on(&reader).await;
        assert_eq!((read, &*why), (n.to_string(), "fresh_replica"));
        assert_ne!(node, "a");
    }
    let impatient = wanted(&servers, "strong", "10ms").start().await;
    let reader = impatient.connect().await;
    pause(&servers, &[0, 1]).await;
    assert_eq!(value(&writer, COUNT).await, "20");
    let (read, node, why) = read_on(&reader).await;
    assert_eq!((&*read, &*node, &*why), ("20", "a", "no_fresh_replica"));
    reader.batch_execute("SET tidegate.consistency = 'eventual'").await.unwrap();
    assert_eq!(value(&reader, READ).await, "19");
    resume(&servers, &[0, 1]).await;
}

/// Reads of both levels while one writes and replicas stop and go: none is older than its level
/// allows. Returns how many reads there were, and how many of them replicas answered.
async fn watch(running: &Running, level: &str, stop: &AtomicBool, told: &AtomicU64) -> (u64, u64) {
    let client = running.connect().await;
    client.batch_execute(&format!("SET tidegate.consistency = '{level}'")).await.unwrap();
    let (mut seen, mut reads, mut by_replica) = (0, 0, 0);
    while !stop.load(Ordering::Relaxed) {
        let acknowledged = if level == "strong" { told.load(Ordering::SeqCst) } else { 0 };
        let read: u64 = value(&client, READ).await.parse().unwrap();
        assert!(read >= acknowledged, "{level}: {read} after {acknowledged} was acknowledged");
        assert!(read >= seen, "{level}: {read} after {seen} was seen");
        seen = read;
        reads += 1;
        by_replica += u64::from(route(&client).await.1 == "fresh_replica");
        if level == "session" && reads % 10 == 0 {
            seen = value(&client, COUNT).await.parse().unwrap();
            told.fetch_max(seen, Ordering::SeqCst);
        }
    }
    (reads, by_replica)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_its_level_allows() {
    let seconds = std::env::var("TIDEGATE_TEST_SECONDS").ok().and_then(|s| s.parse().ok());
    let servers = three().await;
    let running = Arc::new(wanted(&servers, "session", "50ms").start().await);
    let (stop, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let levels = ["session", "session", "strong", "strong"];
    let readers: Vec<_> = levels
        .map(|level| {
            let (running, stop, told) = (running.clone(), stop.clone(), told.clone());
            tokio::spawn(async move { watch(&running, level, &stop, &told).await })
        })
        .into();
    let mut turn = 0;
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(5));
    while Instant::now() < end {
        let replica = [turn % 2];
        pause(&servers, &replica).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        resume(&servers, &replica).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        turn += 1;
    }
    stop.store(true, Ordering::Relaxed);
    for (level, reader) in levels.iter().zip(readers) {
        let (reads, by_replica) = reader.await.expect("no stale read");
        println!("{level}: {reads} reads, {by_replica} of them by replicas");
        assert!(reads > 0 && by_replica > 0, "{level}: {by_replica} of {reads}");
    }
}
