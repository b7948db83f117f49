//! What one client leaves behind never reaches the next one on the same server connection.

use crate::support::ask::{backend, until, value};
use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, cluster};

async fn over_one_connection(keys: &str) -> (Cluster, Running) {
    let servers = cluster().sql("CREATE TABLE t (a int)").start().await.unwrap();
    let running = proxy(&servers).with("pool", &format!("size = 1\n{keys}")).start().await;
    (servers, running)
}

/// Runs `dirt` as one client, which must keep its server, and `look` as the next one.
async fn leak(dirt: &str, pin: &str, look: &str) -> String {
    let (_servers, running) = over_one_connection("").await;
    let (first, second) = (running.connect().await, running.connect().await);
    first.batch_execute(dirt).await.unwrap();
    until(pin, async || {
        let clients = running.admin("SHOW CLIENTS").await;
        clients.iter().filter_map(|row| row[13].as_deref()).eq([pin])
    })
    .await;
    drop(first);
    value(&second, look).await
}

#[tokio::test]
async fn temporary_tables_go_with_their_client() {
    let look = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'";
    assert_eq!(leak("CREATE TEMP TABLE x (a int)", "temporary_object", look).await, "0");
}

#[tokio::test]
async fn session_locks_go_with_their_client() {
    let look = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(leak("SELECT pg_advisory_lock(7)", "advisory_lock", look).await, "0");
}

#[tokio::test]
async fn held_cursors_go_with_their_client() {
    let dirt = "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT";
    assert_eq!(leak(dirt, "hold_cursor", "SELECT count(*) FROM pg_cursors").await, "0");
}

#[tokio::test]
async fn statements_prepared_by_sql_go_with_their_client() {
    let look = "SELECT count(*) FROM pg_prepared_statements";
    assert_eq!(leak("PREPARE p AS SELECT 1", "sql_prepare", look).await, "0");
}

#[tokio::test]
async fn subscriptions_go_with_their_client() {
    let look = "SELECT count(*) FROM pg_listening_channels()";
    let dirt = "DO 'BEGIN EXECUTE ''LISTEN news''; END'";
    assert_eq!(leak(dirt, "listen", look).await, "0");
}

#[tokio::test]
async fn parameters_stay_with_their_client_over_one_shared_connection() {
    let (_servers, running) = over_one_connection("").await;
    let (first, second) = (running.connect().await, running.connect().await);
    first.batch_execute("SET work_mem = '1MB'; SET timezone = 'Asia/Tokyo'").await.unwrap();
    for _ in 0..3 {
        assert_eq!(value(&second, "SHOW work_mem").await, "4MB");
        assert_ne!(value(&second, "SHOW timezone").await, "Asia/Tokyo");
        assert_eq!(value(&first, "SHOW work_mem").await, "1MB");
        assert_eq!(value(&first, "SHOW timezone").await, "Asia/Tokyo");
    }
    assert_eq!(backend(&first).await, backend(&second).await);
    assert_eq!(running.counts(0).opened, 1);
}

#[tokio::test]
async fn a_client_that_vanishes_in_a_transaction_leaves_nothing() {
    let (servers, running) = over_one_connection("").await;
    let (first, second) = (running.connect().await, running.connect().await);
    first.batch_execute("BEGIN; INSERT INTO t VALUES (1); SET work_mem = '1MB'").await.unwrap();
    drop(first);
    assert_eq!(value(&second, "SELECT count(*) FROM t").await, "0");
    assert_eq!(value(&second, "SHOW work_mem").await, "4MB");
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    until("the end of the transaction", || async {
        servers.primary().value(open).await.unwrap() == "0"
    })
    .await;
}

#[tokio::test]
async fn a_client_that_vanishes_in_a_statement_leaves_nothing_running() {
    let (servers, running) = over_one_connection("").await;
    let ((first, connection), second) = (running.fragile().await, running.connect().await);
    tokio::spawn(async move { first.batch_execute("SELECT pg_sleep(3600)").await });
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' \
                AND state = 'active'";
    until("the statement", || async { servers.primary().value(busy).await.unwrap() == "1" }).await;
    connection.abort();
    until("its end", || async { servers.primary().value(busy).await.unwrap() == "0" }).await;
    assert_eq!(value(&second, "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_session_pool_lends_for_the_whole_session_and_resets() {
    let (_servers, running) = over_one_connection("mode = \"session\"").await;
    let first = running.connect().await;
    let pid = backend(&first).await;
    first.batch_execute("CREATE TEMP TABLE x (a int); SET work_mem = '1MB'").await.unwrap();
    first.batch_execute("INSERT INTO x VALUES (5)").await.unwrap();
    let second = tokio::spawn({
        let url = running.url("postgres", "postgres");
        let running = running.connect_with(&url).await.unwrap();
        async move {
            let pid = backend(&running).await;
            (pid, value(&running, "SHOW work_mem").await, running)
        }
    });
    running.until_waiting(1).await;
    assert_eq!(value(&first, "SELECT a FROM x").await, "5");
    assert_eq!(value(&first, "SHOW work_mem").await, "1MB");
    assert_eq!(backend(&first).await, pid);
    drop(first);
    let (next, work_mem, second) = second.await.unwrap();
    assert_eq!((next, work_mem.as_str()), (pid, "4MB"));
    let temporary = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'";
    assert_eq!(value(&second, temporary).await, "0");
}
