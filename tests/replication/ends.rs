//! How a replication connection ends, and what else reaches it.

use crate::fixture::{BACKUP, fill, replicate, servers};
use crate::support::proxy::{Running, proxy};
use crate::wire::*;

/// Column `at` of all rows of SHOW CLIENTS.
async fn shown(running: &Running, at: usize) -> Vec<String> {
    let clients = running.admin("SHOW CLIENTS").await;
    clients.iter().map(|client| client[at].clone().unwrap_or_default()).collect()
}

fn told(frames: &[Frame]) -> (String, String) {
    let last = frames.last().expect("a frame");
    assert_eq!(last.tag, b'E', "{:?}", brief(frames));
    assert_eq!(last.field(b'S'), "FATAL");
    (last.field(b'C'), last.field(b'M'))
}

#[tokio::test]
async fn it_is_shown_with_its_kind_and_killed_with_57p01() {
    let servers = servers().start().await.expect("a cluster");
    let running = proxy(&servers).with_cluster("replication = \"primary\"").start().await;
    let _ordinary = Wire::start(running.postgres).await;
    let _logical = replicate(&running, "database").await;
    let mut physical = replicate(&running, "true").await;
    assert_eq!(shown(&running, 16).await, ["none", "logical", "physical"]);
    assert_eq!(shown(&running, 3).await, ["postgres", "postgres", "replication"]);
    assert_eq!(shown(&running, 5).await, ["idle", "active", "active"]);
    assert_eq!(running.admin("SHOW SERVERS").await.len(), 3);
    physical.send(&query("START_REPLICATION 0/1000000")).await;
    physical.until(b"W").await;
    let id = shown(&running, 1).await.pop().expect("a client");
    running.admin(&format!("KILL {id}")).await;
    let (code, message) = told(&physical.rest().await);
    assert_eq!((&*code, &*message), ("57P01", "terminated by an administrator"));
    eventually("the walsender is gone", async || {
        let count = "SELECT count(*) FROM pg_stat_replication WHERE state <> 'startup'";
        servers.primary().value(count).await.expect("a count") == "0"
    })
    .await;
    eventually("its entries are gone", async || running.admin("SHOW SERVERS").await.len() == 2)
        .await;
}

#[tokio::test]
async fn in_the_middle_of_a_frame_the_frame_is_ended_first() {
    let servers = servers().start().await.expect("a cluster");
    fill(&servers, 30).await;
    let running = proxy(&servers).with_cluster("replication = \"primary\"").start().await;
    let mut wire = replicate(&running, "true").await;
    wire.send(&query(BACKUP)).await;
    until_stuck(&servers).await;
    let id = shown(&running, 1).await.pop().expect("a client");
    running.admin(&format!("KILL {id}")).await;
    let frames = wire.rest().await;
    assert!(wire.input.is_empty(), "half a frame is left");
    assert!(frames.len() > 100, "{}", frames.len());
    assert_eq!(told(&frames).0, "57P01");
}

/// Until the server cannot send any more, because nobody reads.
pub(crate) async fn until_stuck(servers: &crate::support::Cluster) {
    let sql = "SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'walsender'";
    let mut seen = 0;
    eventually("a server that waits for its client", async || {
        let waits = servers.primary().value(sql).await.expect("an event");
        seen = if waits == "ClientWrite" { seen + 1 } else { 0 };
        seen >= 20
    })
    .await;
}

#[tokio::test]
async fn a_drain_ends_it_at_once() {
    let servers = servers().start().await.expect("a cluster");
    let running = proxy(&servers).with_cluster("replication = \"primary\"").start().await;
    let mut wire = replicate(&running, "true").await;
    wire.send(&query("START_REPLICATION 0/1000000")).await;
    wire.until(b"W").await;
    let stopping = tokio::spawn(running.proxy.stop());
    assert_eq!(told(&wire.rest().await).0, "57P01");
    stopping.await.expect("stopped");
}

#[tokio::test]
async fn a_cancel_request_reaches_its_server() {
    let servers = servers().start().await.expect("a cluster");
    let running = proxy(&servers).with_cluster("replication = \"primary\"").start().await;
    let mut wire = replicate(&running, "database").await;
    wire.send(&query("SELECT pg_sleep(600)")).await;
    let running_now = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    eventually("a statement", async || {
        servers.primary().value(running_now).await.expect("a count") == "1"
    })
    .await;
    let mut other = Wire::open(running.postgres).await;
    other.send(&cancel(wire.pid, &wire.secret)).await;
    assert_eq!(other.rest().await, []);
    assert_eq!(code(&wire.until_ready().await), "57014");
    assert!(wire.is_alive().await);
}

#[tokio::test]
async fn the_end_of_the_server_is_the_end_of_the_connection() {
    let servers = servers().start().await.expect("a cluster");
    let running = proxy(&servers).with_cluster("replication = \"primary\"").start().await;
    let mut wire = replicate(&running, "database").await;
    assert!(wire.is_alive().await);
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE backend_type = 'walsender'";
    servers.primary().sql(sql).await.expect("terminated");
    let (code, message) = told(&wire.rest().await);
    assert_eq!(code, "57P01");
    assert!(message.contains("due to administrator command"), "{message}");
}

#[tokio::test]
async fn a_connection_to_the_primary_ends_with_its_reign_one_to_a_node_does_not() {
    let servers = servers().replicas(1).start().await.expect("a cluster");
    let to_primary = proxy(&servers).with_cluster("replication = \"primary\"").start().await;
    let to_a = proxy(&servers).with_cluster("replication = \"a\"").start().await;
    let mut follows = replicate(&to_primary, "database").await;
    let mut stays = replicate(&to_a, "database").await;
    assert_eq!(follows.value("SHOW cluster_name").await, "a");
    servers.caught_up().await.expect("a replica");
    servers.replica(0).promote().await.expect("a promotion");
    let (code, message) = told(&follows.rest().await);
    assert_eq!((&*code, &*message), ("57P01", "node a is no longer the primary"));
    let mut next = replicate(&to_primary, "database").await;
    assert_eq!(next.value("SHOW cluster_name").await, "b");
    assert_eq!(stays.value("SHOW cluster_name").await, "a");
}
