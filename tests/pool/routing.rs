//! Where statements go, and that the reason is the same word wherever it is shown.

use crate::support::ask::{refused, route, try_value, until, value};
use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, Node, cluster};
use futures_util::future::join_all;
use std::collections::HashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn three() -> Cluster {
    let servers = cluster().replicas(2).sql("CREATE TABLE t AS SELECT 7 AS a").start().await;
    let servers = servers.expect("a cluster");
    servers.caught_up().await.expect("replicas that caught up");
    servers
}

/// How many of so many reads each node answered.
async fn shares(running: &Running, reads: usize) -> HashMap<String, usize> {
    let client = running.connect().await;
    let mut shares = HashMap::new();
    for _ in 0..reads {
        assert_eq!(value(&client, "SELECT a FROM t").await, "7");
        *shares.entry(route(&client).await.0).or_default() += 1;
    }
    shares
}

async fn reads_go_to(running: &Running, what: &str, nodes: &[&str]) {
    let mut wanted = nodes.to_vec();
    wanted.sort_unstable();
    until(&format!("{what}: reads on {nodes:?}"), || async {
        let shares = shares(running, 8).await;
        let mut got: Vec<&str> = shares.keys().map(String::as_str).collect();
        got.sort_unstable();
        got == wanted
    })
    .await;
}

#[tokio::test]
async fn reads_are_spread_over_replicas_by_weight_and_writes_go_to_the_primary() {
    let servers = three().await;
    let nodes: Vec<&Node> = servers.nodes().iter().collect();
    let wanted = proxy(&servers).weight("b", 3).with("route", "max_staleness = \"1h\"");
    // The order of the file says nothing about roles.
    let running = wanted.order(&[nodes[2], nodes[1], nodes[0]]).start().await;
    let shares = shares(&running, 40).await;
    assert_eq!((shares["b"], shares["c"], shares.len()), (30, 10, 2), "{shares:?}");
    let client = running.connect().await;
    client.batch_execute("INSERT INTO t VALUES (7)").await.unwrap();
    assert_eq!(route(&client).await, ("a".into(), "write".into()));
}

#[tokio::test]
async fn reads_go_to_the_replica_with_the_least_outstanding_work() {
    let servers = three().await;
    let running = proxy(&servers).with("route", "max_staleness = \"1h\"").start().await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let client = running.connect().await;
        client.batch_execute("BEGIN READ ONLY; SELECT a FROM t").await.unwrap();
        busy.push((route(&client).await.0, client));
    }
    assert_ne!(busy[0].0, busy[1].0);
    busy[0].1.batch_execute("COMMIT").await.unwrap();
    // One of them is busy as long as the other's transaction is open.
    let shares = shares(&running, 10).await;
    assert_eq!(shares, HashMap::from([(busy[0].0.clone(), 10)]));
}

#[tokio::test]
async fn reads_leave_a_replica_whose_replay_stands_still_and_return() {
    let servers = three().await;
    let running = proxy(&servers).with("route", "max_staleness = \"500ms\"").start().await;
    reads_go_to(&running, "at first", &["b", "c"]).await;
    servers.replica(0).pause_replay().await.unwrap();
    servers.sql("INSERT INTO t VALUES (7)").await.unwrap();
    reads_go_to(&running, "paused", &["c"]).await;
    servers.replica(0).resume_replay().await.unwrap();
    reads_go_to(&running, "resumed", &["b", "c"]).await;
}

#[tokio::test]
async fn with_no_fresh_replica_reads_fall_back_to_the_primary() {
    let servers = three().await;
    let running = proxy(&servers).with("route", "max_staleness = \"300ms\"").start().await;
    for replica in 0..2 {
        servers.replica(replica).pause_replay().await.unwrap();
    }
    servers.sql("INSERT INTO t VALUES (7)").await.unwrap();
    reads_go_to(&running, "both paused", &["a"]).await;
    let client = running.connect().await;
    value(&client, "SELECT a FROM t").await;
    assert_eq!(route(&client).await, ("a".into(), "no_fresh_replica".into()));
    // Who does not mind is still served by replicas.
    client.batch_execute("SET tidegate.consistency = 'eventual'").await.unwrap();
    value(&client, "SELECT a FROM t").await;
    assert_eq!(route(&client).await.1, "fresh_replica");
    client.batch_execute("SET tidegate.consistency = 'primary'").await.unwrap();
    value(&client, "SELECT a FROM t").await;
    assert_eq!(route(&client).await, ("a".into(), "asked".into()));
}

#[tokio::test]
async fn with_no_fresh_replica_reads_fail_where_that_is_configured() {
    let servers = three().await;
    let keys = "max_staleness = \"300ms\"\nread_wait = \"10ms\"\nfallback = \"error\"";
    let running = proxy(&servers).with("route", keys).start().await;
    let client = running.connect().await;
    for replica in 0..2 {
        servers.replica(replica).pause_replay().await.unwrap();
    }
    servers.sql("INSERT INTO t VALUES (7)").await.unwrap();
    let read = || try_value(&client, "SELECT a FROM t");
    until("a refusal", || async { read().await.is_err() }).await;
    let told = refused(&client, "SELECT a FROM t").await;
    assert!(told.starts_with("57P03 cluster test has no replica that is fresh enough"), "{told}");
    assert!(told.contains("route.max_staleness"), "{told}");
    client.batch_execute("INSERT INTO t VALUES (7)").await.unwrap();
    for replica in 0..2 {
        servers.replica(replica).resume_replay().await.unwrap();
    }
    until("reads again", || async { read().await.is_ok() }).await;
}

#[tokio::test]
async fn a_cluster_without_replicas_does_not_let_reads_wait_for_one() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("route", "read_wait = \"1h\"").start().await;
    let client = running.connect().await;
    assert_eq!(value(&client, "SELECT 7").await, "7");
    assert_eq!(route(&client).await, ("a".into(), "no_fresh_replica".into()));
}

#[tokio::test]
async fn a_node_of_another_system_is_never_used() {
    let servers = three().await;
    let foreign = cluster().own_system().sql("CREATE TABLE t AS SELECT 8 AS a").start().await;
    let foreign = foreign.unwrap();
    let wanted = proxy(&servers).also("x", foreign.primary());
    let running = wanted.with("route", "max_staleness = \"1h\"").start().await;
    let shares = shares(&running, 20).await;
    assert_eq!(shares.get("x"), None);
    let client = running.connect().await;
    client.batch_execute("INSERT INTO t VALUES (7)").await.unwrap();
    assert_eq!(route(&client).await.0, "a");
    let nodes = running.admin("SHOW NODES").await;
    let x = nodes.iter().find(|row| row[1].as_deref() == Some("x")).unwrap();
    assert_eq!(x[3].as_deref(), Some("unknown"));
    assert!(x[4].as_deref().unwrap().contains("system"), "{x:?}");
}

#[tokio::test]
async fn what_is_more_than_a_read_goes_to_the_primary_as_a_whole() {
    let servers = three().await;
    servers.sql("CREATE SEQUENCE s").await.unwrap();
    let running = proxy(&servers).with("route", "max_staleness = \"1h\"").start().await;
    let client = running.connect().await;
    for (sql, reason) in [
        ("SELECT a FROM t", "fresh_replica"),
        ("SELECT 1; SELECT 2", "fresh_replica"),
        ("SELECT a FROM t; INSERT INTO t VALUES (7)", "write"),
        ("SELECT nextval('s')", "function"),
        ("SELECT a FROM t FOR UPDATE", "locks"),
        ("WITH x AS (INSERT INTO t VALUES (7) RETURNING a) SELECT a FROM x", "writing_select"),
        ("SELECT random()", "fresh_replica"),
        ("BEGIN READ ONLY; SELECT a FROM t; COMMIT", "fresh_replica"),
        ("BEGIN; SELECT a FROM t; COMMIT", "transaction"),
        ("EXPLAIN SELECT a FROM t", "fresh_replica"),
        ("SET work_mem = '5MB'", "session"),
    ] {
        client.batch_execute(sql).await.unwrap();
        let (node, because) = route(&client).await;
        assert_eq!(because, reason, "{sql}");
        assert_eq!(node == "a", reason != "fresh_replica", "{sql} on {node}");
    }
}

#[tokio::test]
async fn a_read_only_transaction_stays_on_its_replica_and_cannot_write() {
    let servers = three().await;
    let running = proxy(&servers).with("route", "max_staleness = \"1h\"").start().await;
    let mut client = running.connect().await;
    let transaction = client.build_transaction().read_only(true).start().await.unwrap();
    let row = transaction.query_one("SELECT a FROM t", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
    // Only the replica itself can say this.
    let row = transaction.query_one("SELECT pg_is_in_recovery()", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
    let error = transaction.execute("INSERT INTO t VALUES (7)", &[]).await.expect_err("read only");
    assert_eq!(error.code().map(|code| code.code()), Some("25006"));
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn pipelined_statements_before_one_sync_are_one_decision() {
    let servers = three().await;
    let running = proxy(&servers).with("route", "max_staleness = \"1h\"").start().await;
    let client = running.connect().await;
    // Futures polled together are pipelined, each with a Sync of its own: these are decided
    // one by one, and each gets its own answer.
    let read = client.prepare("SELECT a FROM t LIMIT 1").await.unwrap();
    let write = client.prepare("INSERT INTO t VALUES (7) RETURNING a").await.unwrap();
    let statements = [&read, &write, &read, &write, &read];
    let answers = join_all(statements.map(|s| client.query_one(s, &[]))).await;
    for answer in answers {
        assert_eq!(answer.unwrap().get::<_, i32>(0), 7);
    }
    assert_eq!(servers.primary().value("SELECT count(*) FROM t").await.unwrap(), "3");
}

#[tokio::test]
async fn the_reason_is_one_word_for_client_console_and_metric() {
    let servers = three().await;
    let running = proxy(&servers).with("route", "max_staleness = \"1h\"").start().await;
    let client = running.connect().await;
    client.batch_execute("SELECT a FROM t FOR UPDATE").await.unwrap();
    assert_eq!(route(&client).await, ("a".into(), "locks".into()));
    let clients = running.admin("SHOW CLIENTS").await;
    let last: Vec<_> = clients[0][14..16].iter().map(|c| c.as_deref().unwrap()).collect();
    assert_eq!(last, ["a", "locks"]);
    let stats = running.admin("SHOW STATS").await;
    assert!(stats[0].iter().flatten().any(|cell| cell.contains("locks=1")), "{stats:?}");
    let page = get(&running, "/metrics").await;
    let metric = page.lines().find(|line| {
        line.starts_with("tidegate_routed_total{") && line.contains("because=\"locks\"")
    });
    assert!(metric.is_some_and(|line| line.ends_with(" 1")), "{metric:?}");
}

async fn get(running: &Running, path: &str) -> String {
    let mut http = tokio::net::TcpStream::connect(running.http).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    http.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    http.read_to_string(&mut page).await.unwrap();
    page
}
