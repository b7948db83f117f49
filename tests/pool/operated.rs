//! What an operator tells a running proxy, with real servers behind it.

use crate::support::ask::{route, until};
use crate::support::cluster;
use crate::support::proxy::{Running, proxy};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_postgres::error::SqlState;

/// Who answers reads of one session, over many of them.
async fn readers(running: &Running) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let client = running.connect().await;
        client.simple_query("SELECT 1").await.expect("a read");
        seen.insert(route(&client).await.0);
    }
    seen
}

async fn pids(running: &Running) -> BTreeSet<String> {
    let rows = running.admin("SHOW SERVERS").await;
    rows.into_iter().filter_map(|mut row| row.remove(10)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_replica_gets_no_new_reads_until_it_is_undrained() {
    let servers = cluster().replicas(2).start().await.expect("a cluster");
    let running = proxy(&servers).start().await;
    until("reads of both replicas", || async {
        readers(&running).await == BTreeSet::from(["b".to_owned(), "c".to_owned()])
    })
    .await;
    running.admin("DRAIN test.b").await;
    assert_eq!(readers(&running).await, BTreeSet::from(["c".to_owned()]));
    let drained = running.admin("SHOW NODES WHERE reason = 'drained by an operator'").await;
    assert_eq!(drained.len(), 1);
    assert_eq!((drained[0][1].as_deref(), drained[0][3].as_deref()), (Some("b"), Some("replica")));
    running.admin("UNDRAIN test.b").await;
    until("reads of both again", || async { readers(&running).await.len() == 2 }).await;
    let refused = running.try_admin("DRAIN test.a").await.expect_err("the primary");
    assert!(refused.contains("a is the primary"), "{refused}");
    let refused = running.try_admin("DRAIN test.x").await.expect_err("no node");
    assert!(refused.contains("has no node \"x\""), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_cluster_lets_nobody_new_in_and_keeps_who_is_there() {
    let servers = cluster().start().await.expect("a server");
    let running = proxy(&servers).start().await;
    let inside = running.connect().await;
    running.admin("DISABLE test").await;
    let url = format!("host=127.0.0.1 port={} user=postgres", running.postgres.port());
    let refused = running.connect_with(&url).await.expect_err("refused");
    assert_eq!(refused.code(), Some(&SqlState::CANNOT_CONNECT_NOW));
    inside.simple_query("SELECT 1").await.expect("still served");
    assert_eq!(running.admin("SHOW DATABASES").await[0].last().unwrap().as_deref(), Some("1"));
    running.admin("ENABLE test").await;
    running.connect().await.simple_query("SELECT 1").await.expect("served again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnect_replaces_connections_as_they_become_free() {
    let servers = cluster().start().await.expect("a server");
    let running = proxy(&servers).start().await;
    let (idle, busy) = (running.connect().await, running.connect().await);
    busy.batch_execute("BEGIN; CREATE TABLE kept (a int)").await.expect("a transaction");
    idle.simple_query("SELECT 1").await.expect("another connection");
    let before = pids(&running).await;
    assert_eq!(before.len(), 2);
    running.admin("RECONNECT test").await;
    let running = Arc::new(running);
    let waiting = running.clone();
    let closed = tokio::spawn(async move { waiting.admin("WAIT_CLOSE test").await });
    busy.batch_execute("INSERT INTO kept VALUES (1)").await.expect("its own connection");
    assert!(!closed.is_finished(), "the open transaction keeps its connection");
    busy.batch_execute("COMMIT").await.expect("its own connection");
    closed.await.expect("an end");
    idle.simple_query("SELECT 1").await.expect("a new connection");
    assert!(pids(&running).await.is_disjoint(&before));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_changes_what_needs_no_restart_until_the_next_reload() {
    let servers = cluster().start().await.expect("a server");
    let running = proxy(&servers).with("pool", "size = 7").start().await;
    let size = || async {
        let rows = running.admin("SHOW CONFIG WHERE key = 'clusters.test.pool.size'").await;
        rows[0][1].clone().expect("a size")
    };
    running.admin("SET clusters.test.pool.size = 9").await;
    assert_eq!(size().await, "9");
    running.admin("SET clusters.test.route.max_staleness = '3s'").await;
    let refused = running.try_admin("SET clusters.test.pool.size = 0").await.expect_err("too few");
    assert!(refused.contains("clusters.test.pool.size = 0: must be at least 1"), "{refused}");
    let refused = running.try_admin("SET listen.backlog = 7").await.expect_err("a restart");
    assert!(refused.contains("listen.backlog changes only with a restart"), "{refused}");
    let refused = running.try_admin("SET clusters.test.poll.size = 3").await.expect_err("no key");
    assert!(refused.contains("clusters.test.poll"), "{refused}");
    running.admin("RELOAD").await;
    assert_eq!(size().await, "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_nodes_and_what_operators_do_is_told() {
    let servers = cluster().replicas(1).start().await.expect("a cluster");
    let running = proxy(&servers).start().await;
    running.admin("PAUSE test; RESUME test").await;
    servers.replica(0).kill();
    until("the end of a replica among the events", || async {
        let lost = running.admin("SHOW EVENTS WHERE kind = 'role' AND node = 'b'").await;
        lost.iter().any(|row| row[5].as_deref().is_some_and(|what| what.contains("not served")))
    })
    .await;
    let done = running.admin("SHOW EVENTS WHERE kind = 'operator' ORDER BY number").await;
    let done: Vec<_> = done.iter().filter_map(|row| row[5].as_deref()).collect();
    assert!(done[0].starts_with("PAUSE test, by ") && done[1].starts_with("RESUME test, by "));
}
