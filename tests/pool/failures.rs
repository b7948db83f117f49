//! Servers that die under load: what clients see, and what they do not.

use crate::support::ask::{PATIENCE, refused, route, try_value, until, value, words};
use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, How, cluster};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Clients that read as fast as they can; every answer is checked.
struct Readers {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Vec<String>>>,
}

impl Readers {
    async fn start(running: &Running, count: usize) -> Readers {
        let (stop, reads) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut tasks = Vec::new();
        for number in 0..count {
            let client = running.connect().await;
            let (stop, reads) = (stop.clone(), reads.clone());
            tasks.push(tokio::spawn(async move {
                let mut wrong = Vec::new();
                let sql = format!("SELECT a + {number} FROM t");
                while !stop.load(Ordering::Relaxed) {
                    match try_value(&client, &sql).await {
                        Ok(value) if value == (7 + number).to_string() => {}
                        Ok(value) => wrong.push(format!("{sql}: {value}")),
                        Err(error) => wrong.push(words(&error)),
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                wrong
            }));
        }
        Readers { stop, reads, tasks }
    }

    /// Waits until so many more reads were answered.
    async fn go_on(&self, reads: u64) {
        let goal = self.reads.load(Ordering::Relaxed) + reads;
        until("more reads", || async { self.reads.load(Ordering::Relaxed) >= goal }).await;
    }

    /// Whatever was not the right answer.
    async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut wrong = Vec::new();
        for task in self.tasks {
            wrong.extend(task.await.expect("a reader"));
        }
        wrong
    }
}

fn served(running: &Running, node: usize) -> u64 {
    running.cluster().monitor.snapshot().nodes[node].load.reads.load(Ordering::Relaxed)
}

/// Two replicas that eight clients read from.
async fn under_load() -> (Cluster, Running, Readers) {
    let servers = cluster().replicas(2).sql("CREATE TABLE t AS SELECT 7 AS a").start().await;
    let servers = servers.unwrap();
    servers.caught_up().await.unwrap();
    let running = proxy(&servers).start().await;
    let readers = Readers::start(&running, 8).await;
    readers.go_on(200).await;
    (servers, running, readers)
}

/// Starts a replica again, and waits until it is read from.
async fn come_back(servers: &Cluster, running: &Running, replica: usize) {
    servers.replica(replica).start().await.unwrap();
    let before = served(running, replica + 1);
    until("its return", || async { served(running, replica + 1) > before + 20 }).await;
}

#[tokio::test]
async fn a_replica_that_is_killed_under_load_costs_no_client_an_error() {
    let (servers, running, readers) = under_load().await;
    for _ in 0..2 {
        assert!(served(&running, 1) > 0);
        servers.replica(0).kill();
        readers.go_on(200).await;
        come_back(&servers, &running, 0).await;
    }
    assert_eq!(readers.stop().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_replica_that_is_shut_down_costs_no_client_an_error() {
    let (servers, running, readers) = under_load().await;
    servers.replica(1).stop(How::Fast).await;
    readers.go_on(200).await;
    come_back(&servers, &running, 1).await;
    assert_eq!(readers.stop().await, Vec::<String>::new());
}

#[tokio::test]
async fn writes_wait_for_a_primary_that_comes_back_in_time() {
    let servers = cluster().replicas(1).sql("CREATE TABLE t (a int)").start().await.unwrap();
    let running = proxy(&servers).with("failover", "hold = \"60s\"").start().await;
    let clients = [running.connect().await, running.connect().await];
    servers.primary().kill();
    let writes = clients.map(|client| {
        tokio::spawn(async move { client.batch_execute("INSERT INTO t VALUES (1)").await })
    });
    let seen = &running.cluster().monitor;
    seen.wait_for(|seen| seen.primary.is_none()).await;
    assert!(writes.iter().all(|write| !write.is_finished()));
    servers.primary().start().await.unwrap();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    assert_eq!(servers.primary().value("SELECT count(*) FROM t").await.unwrap(), "2");
}

#[tokio::test]
async fn writes_without_a_primary_fail_after_the_hold_and_reads_go_on() {
    let servers = cluster().replicas(1).sql("CREATE TABLE t AS SELECT 7 AS a").start().await;
    let servers = servers.unwrap();
    servers.caught_up().await.unwrap();
    let keys = "max_staleness = \"1h\"";
    let running = proxy(&servers).with("failover", "hold = \"300ms\"").with("route", keys);
    let running = running.start().await;
    let client = running.connect().await;
    servers.primary().kill();
    running.cluster().monitor.wait_for(|seen| seen.primary.is_none()).await;
    let began = Instant::now();
    let told = refused(&client, "INSERT INTO t VALUES (1)").await;
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(told.starts_with("57P03 cluster test has had no primary for"), "{told}");
    assert!(told.contains("Nothing was executed: try again"), "{told}");
    assert_eq!(value(&client, "SELECT a FROM t").await, "7");
    assert_eq!(route(&client).await.0, "b");
    servers.primary().start().await.unwrap();
    let back = running.cluster().monitor.wait_for(|seen| seen.primary.is_some());
    tokio::time::timeout(PATIENCE, back).await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
}

#[tokio::test]
async fn a_promotion_is_followed_without_a_word_in_the_configuration() {
    let servers = cluster().replicas(1).sql("CREATE TABLE t (a int)").start().await.unwrap();
    servers.caught_up().await.unwrap();
    let running = proxy(&servers).start().await;
    let client = running.connect().await;
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    servers.caught_up().await.unwrap();
    servers.primary().kill();
    servers.replica(0).promote().await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(route(&client).await, ("b".into(), "write".into()));
    assert_eq!(value(&client, "SELECT count(*) FROM t").await, "2");
}

#[tokio::test]
async fn a_write_whose_server_dies_is_told_that_its_outcome_is_unknown() {
    let servers = cluster().sql("CREATE TABLE t (a int)").start().await.unwrap();
    let running = proxy(&servers).start().await;
    let client = running.connect().await;
    let asked = tokio::spawn(async move {
        let sql = "INSERT INTO t SELECT 1 FROM pg_sleep(3600)";
        client.batch_execute(sql).await.expect_err("a dead server")
    });
    let busy = "SELECT count(*) FROM pg_stat_activity \
                WHERE query LIKE 'INSERT%' AND state = 'active'";
    until("the statement", || async { servers.primary().value(busy).await.unwrap() == "1" }).await;
    servers.primary().kill();
    let told = words(&asked.await.unwrap());
    assert!(told.starts_with("08007"), "{told}");
    assert!(told.contains("may or may not have been committed"), "{told}");
}

#[tokio::test]
async fn a_read_only_transaction_that_only_began_begins_again_elsewhere() {
    let servers = cluster().replicas(1).sql("CREATE TABLE t AS SELECT 7 AS a").start().await;
    let servers = servers.unwrap();
    servers.sql("CREATE UNLOGGED TABLE u AS SELECT 8 AS a").await.unwrap();
    servers.caught_up().await.unwrap();
    let running = proxy(&servers).with("route", "max_staleness = \"1h\"").start().await;
    let mut client = running.connect().await;
    // What no replica can read.
    client.batch_execute("BEGIN READ ONLY").await.unwrap();
    assert_eq!(route(&client).await.0, "b");
    assert_eq!(value(&client, "SELECT a FROM u").await, "8");
    assert_eq!(route(&client).await.0, "a");
    assert_eq!(value(&client, "SHOW transaction_read_only").await, "on");
    client.batch_execute("COMMIT").await.unwrap();
    // By the extended protocol, with the isolation level that was asked for.
    let begin = client.build_transaction().read_only(true);
    let level = tokio_postgres::IsolationLevel::RepeatableRead;
    let transaction = begin.isolation_level(level).start().await.unwrap();
    let row = transaction.query_one("SELECT a FROM u", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 8);
    let row = transaction.query_one("SHOW transaction_isolation", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "repeatable read");
    transaction.rollback().await.unwrap();
    // Its replica dies before the first question.
    client.batch_execute("BEGIN READ ONLY").await.unwrap();
    assert_eq!(route(&client).await.0, "b");
    servers.replica(0).kill();
    assert_eq!(value(&client, "SELECT a FROM t").await, "7");
    let told = refused(&client, "INSERT INTO t VALUES (8)").await;
    assert!(told.starts_with("25006"), "{told}");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(value(&client, "SELECT count(*) FROM t").await, "1");
}
