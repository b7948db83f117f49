//! How long a server connection lives, and that a dead one is never given to a client.

use crate::support::ask::{backend, until, value};
use crate::support::{Cluster, cluster, proxy::proxy};
use rustix::process::{Pid, Signal, kill_process};

fn signal(pid: &str, signal: Signal) {
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

async fn one() -> Cluster {
    cluster().start().await.unwrap()
}

#[tokio::test]
async fn min_idle_connections_are_open_before_anyone_asks_for_them() {
    let servers = one().await;
    let running = proxy(&servers).with("pool", "min_idle = 3").start().await;
    let _client = running.connect().await;
    until("three idle connections", || async { running.counts(0).idle == 3 }).await;
}

#[tokio::test]
async fn connections_idle_for_too_long_are_closed_down_to_the_minimum() {
    let servers = one().await;
    let keys = "min_idle = 1\nidle_timeout = \"1s\"";
    let running = proxy(&servers).with("pool", keys).start().await;
    let (a, b) = (running.connect().await, running.connect().await);
    a.batch_execute("BEGIN").await.unwrap();
    b.batch_execute("BEGIN").await.unwrap();
    a.batch_execute("COMMIT").await.unwrap();
    b.batch_execute("COMMIT").await.unwrap();
    assert!(running.counts(0).opened >= 2);
    until("one connection", || async {
        let counts = running.counts(0);
        counts.idle == 1 && counts.opened - counts.closed == 1
    })
    .await;
}

#[tokio::test]
async fn a_connection_older_than_max_lifetime_is_replaced() {
    let servers = one().await;
    let running = proxy(&servers).with("pool", "max_lifetime = \"1s\"").start().await;
    let client = running.connect().await;
    let first = backend(&client).await;
    until("another backend", || async { backend(&client).await != first }).await;
    // A transaction is never cut by it.
    client.batch_execute("BEGIN").await.unwrap();
    let within = backend(&client).await;
    value(&client, "SELECT pg_sleep(1.2)").await;
    assert_eq!(backend(&client).await, within);
    client.batch_execute("COMMIT").await.unwrap();
    assert_ne!(backend(&client).await, within);
}

#[tokio::test]
async fn a_backend_that_was_terminated_while_idle_is_not_given_to_a_client() {
    let servers = one().await;
    let running = proxy(&servers).start().await;
    let client = running.connect().await;
    for _ in 0..3 {
        let pid = backend(&client).await;
        servers.sql(&format!("SELECT pg_terminate_backend({pid}, 60000)")).await.unwrap();
        assert_ne!(backend(&client).await, pid);
    }
}

#[tokio::test]
async fn a_server_that_crashed_while_the_pool_was_idle_is_waited_for() {
    let servers = one().await;
    let running = proxy(&servers).start().await;
    let client = running.connect().await;
    client.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    // One killed backend makes the postmaster end all and recover.
    signal(&backend(&client).await, Signal::KILL);
    let crashed = || servers.primary().log_tail().contains("terminated by signal 9");
    until("the crash", || async { crashed() }).await;
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(value(&client, "SELECT count(*) FROM t").await, "1");
}

#[tokio::test]
async fn a_backend_that_hangs_is_found_by_the_check_before_reuse() {
    let servers = one().await;
    let keys = "check_after = \"0s\"\nconnect_timeout = \"1s\"";
    let running = proxy(&servers).with("pool", keys).start().await;
    let client = running.connect().await;
    let hung = backend(&client).await;
    signal(&hung, Signal::STOP);
    assert_ne!(backend(&client).await, hung);
    signal(&hung, Signal::CONT);
}
