//! What a read is promised: its own session's writes, no step back, or everybody's writes.

use crate::support::ask::{route, until, value};
use crate::support::proxy::{Wanted, proxy};
use crate::support::{Cluster, cluster};

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
    let running = wanted(&servers, "session", "300ms").start().await;
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
    let running = wanted(&servers, "session", "300ms").start().await;
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
    let impatient = wanted(&servers, "strong", "300ms").start().await;
    let reader = impatient.connect().await;
    pause(&servers, &[0, 1]).await;
    assert_eq!(value(&writer, COUNT).await, "20");
    let (read, node, why) = read_on(&reader).await;
    assert_eq!((&*read, &*node, &*why), ("20", "a", "no_fresh_replica"));
    reader.batch_execute("SET tidegate.consistency = 'eventual'").await.unwrap();
    assert_eq!(value(&reader, READ).await, "19");
    resume(&servers, &[0, 1]).await;
}
