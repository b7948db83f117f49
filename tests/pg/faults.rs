//! A server connection ends in every phase of a session: what the client is told, and that it
//! goes on where it can.

use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, cluster};
use crate::wire::*;

/// One server, one server connection, a table.
async fn setting() -> (Cluster, Running) {
    let servers = cluster().start().await.expect("a cluster");
    servers.sql("CREATE TABLE t (a int)").await.expect("DDL");
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    (servers, running)
}

const OURS: &str = "FROM pg_stat_activity WHERE backend_type = 'client backend' \
                    AND application_name <> 'tidegate monitor' AND pid <> pg_backend_pid()";

/// The server process that works for the proxy's client with this mark.
async fn backend(servers: &Cluster, mark: &str) -> String {
    let sql = format!("SELECT coalesce(min(pid), 0) {OURS} AND query LIKE '%{mark}%'");
    let mut pid = "0".to_owned();
    eventually(mark, async || {
        pid = servers.primary().value(&sql).await.expect("a pid");
        pid != "0"
    })
    .await;
    pid
}

/// Ends that process and waits until it is gone.
async fn terminate(servers: &Cluster, mark: &str) {
    let pid = backend(servers, mark).await;
    let end = format!("SELECT pg_terminate_backend({pid})");
    servers.sql(&end).await.expect("its end");
    let left = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    eventually("its end", async || servers.primary().value(&left).await.expect("a count") == "0")
        .await;
}

async fn rows(servers: &Cluster) -> String {
    servers.primary().value("SELECT count(*) FROM t").await.expect("a count")
}

#[tokio::test]
async fn a_server_connection_that_ended_in_the_pool_is_noticed_by_nobody() {
    let (servers, running) = setting().await;
    let mut wire = Wire::start(running.postgres).await;
    for round in 0..3 {
        wire.run(&format!("INSERT INTO t VALUES ({round}) /* idle */")).await;
        terminate(&servers, "idle").await;
    }
    wire.run("INSERT INTO t VALUES (3)").await;
    assert_eq!(rows(&servers).await, "4");
}

#[tokio::test]
async fn a_write_that_may_have_happened_is_called_so() {
    let (servers, running) = setting().await;
    let mut wire = Wire::start(running.postgres).await;
    let sql = "INSERT INTO t SELECT 1 FROM pg_sleep(600) /* mark */";
    let mut told = false;
    for bytes in
        [query(sql), [parse("s", sql), bind("", "s", &[]), execute("", 0), sync()].concat()]
    {
        wire.send(&bytes).await;
        terminate(&servers, "mark").await;
        let frames = wire.until_ready().await;
        assert_eq!(clear_error(&frames), "08007");
        assert_eq!(frames.last().map(|f| f.brief()), Some("Z:I".into()));
        assert!(wire.is_alive().await);
        told = frames[0].tag == b'1';
    }
    // The statement is there if the client was told so, and only then.
    let again = [parse("s", "SELECT 'again'"), bind("", "s", &[]), execute("", 0), sync()].concat();
    assert_eq!(code(&wire.ask(&again).await), if told { "42P05" } else { "" });
}

#[tokio::test]
async fn a_read_is_repeated_unseen_as_long_as_nothing_of_it_arrived() {
    let (servers, running) = setting().await;
    let gate = servers.connect().await.expect("a connection");
    gate.batch_execute("BEGIN; LOCK TABLE t").await.expect("a lock");
    let mut wire = Wire::start(running.postgres).await;
    wire.send(&query("SELECT count(*), 'mark' FROM t")).await;
    terminate(&servers, "mark").await;
    gate.batch_execute("COMMIT").await.expect("no lock");
    let frames = wire.until_ready().await;
    assert_eq!(tags(&frames), "TDCZ", "{:?}", brief(&frames));
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_an_error_or_the_connection() {
    let (servers, running) = setting().await;
    for sql in [
        "SELECT repeat('mark', 300), i FROM generate_series(1, 3000000) i",
        "COPY (SELECT repeat('mark', 300) FROM generate_series(1, 3000000)) TO STDOUT",
    ] {
        let mut wire = Wire::start(running.postgres).await;
        wire.send(&query(sql)).await;
        assert!(wire.next().await.is_some());
        terminate(&servers, "mark").await;
        let frames = wire.until(b"Z").await;
        assert!(frames.iter().all(|f| f.tag != b'C'), "a broken answer looks complete");
        if let Some(error) = frames.iter().find(|f| f.tag == b'E') {
            assert_ne!((error.field(b'C'), error.field(b'H')), (String::new(), String::new()));
        } else {
            assert_ne!(frames.last().map(|f| f.tag), Some(b'Z'), "{sql}");
        }
        assert!(Wire::start(running.postgres).await.is_alive().await);
    }
}

#[tokio::test]
async fn a_transaction_ends_with_its_server_and_takes_the_client_along() {
    let (servers, running) = setting().await;
    // What a client sends after BEGIN must not run outside of the transaction.
    for statement in [None, Some("SELECT pg_sleep(600) /* mark */")] {
        let mut wire = Wire::start(running.postgres).await;
        wire.run("BEGIN").await;
        wire.run("INSERT INTO t VALUES (1) /* mark */").await;
        if let Some(sql) = statement {
            wire.send(&query(sql)).await;
        }
        terminate(&servers, if statement.is_some() { "pg_sleep" } else { "mark" }).await;
        let frames = wire.rest().await;
        assert_eq!(clear_error(&frames), "57P01", "{statement:?}");
        assert_eq!(frames.last().map(|f| f.field(b'V')), Some("FATAL".into()));
    }
    let mut at_once = Wire::start(running.postgres).await;
    at_once.send(&query("BEGIN; INSERT INTO t SELECT 1 FROM pg_sleep(600)")).await;
    terminate(&servers, "pg_sleep").await;
    assert_eq!(clear_error(&at_once.rest().await), "57P01");
    assert_eq!(rows(&servers).await, "0");
}

#[tokio::test]
async fn a_server_lost_inside_an_open_batch_fails_the_batch_only() {
    let (servers, running) = setting().await;
    let mut wire = Wire::start(running.postgres).await;
    wire.send(&[unnamed("SELECT 'mark'"), flush()].concat()).await;
    assert_eq!(tags(&wire.until(b"C").await), "12DC");
    terminate(&servers, "mark").await;
    assert_eq!(clear_error(&wire.until(b"E").await), "57P01");
    wire.send(&[parse("s", "SELECT 1"), unnamed("INSERT INTO t VALUES (1)"), flush()].concat())
        .await;
    wire.send(&sync()).await;
    assert_eq!(tags(&wire.until_ready().await), "Z");
    assert_eq!(rows(&servers).await, "0");
    let again = [parse("s", "SELECT 'again'"), bind("", "s", &[]), execute("", 0), sync()].concat();
    assert_eq!(code(&wire.ask(&again).await), "");
}

#[tokio::test]
async fn a_copy_that_never_ended_was_not_committed() {
    let (servers, running) = setting().await;
    let extended = [unnamed("COPY t FROM STDIN /* mark */"), sync()].concat();
    for begin in [query("COPY t FROM STDIN /* mark */"), extended] {
        let mut wire = Wire::start(running.postgres).await;
        wire.send(&begin).await;
        assert_eq!(wire.until(b"G").await.last().map(|f| f.tag), Some(b'G'));
        wire.send(&copy_data("1\n")).await;
        terminate(&servers, "mark").await;
        let frames = wire.until(b"E").await;
        assert_eq!(clear_error(&frames), "57P01");
        // What is left of the COPY, and of its batch, means nothing any more.
        wire.send(&[copy_data("2\n"), copy_done()].concat()).await;
        if begin[0] == b'P' {
            wire.send(&[query("SELECT 'skipped'"), sync()].concat()).await;
        }
        assert_eq!(tags(&wire.until_ready().await), "Z");
        assert!(wire.is_alive().await);
    }
    assert_eq!(rows(&servers).await, "0");
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_called_unknown() {
    let (servers, running) = setting().await;
    servers
        .sql(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$",
        )
        .await
        .expect("a function");
    servers
        .sql(
            "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await
        .expect("a trigger");
    let mut wire = Wire::start(running.postgres).await;
    wire.run("BEGIN").await;
    wire.run("INSERT INTO t VALUES (1)").await;
    wire.send(&query("COMMIT /* mark */")).await;
    terminate(&servers, "mark").await;
    assert_eq!(clear_error(&wire.rest().await), "08007");
}

#[tokio::test]
async fn a_write_waits_for_a_primary_that_crashed_to_come_back() {
    let (servers, running) = setting().await;
    let mut idle = Wire::start(running.postgres).await;
    idle.run("INSERT INTO t VALUES (1)").await;
    let mut busy = Wire::start(running.postgres).await;
    busy.send(&query("INSERT INTO t SELECT 1 FROM pg_sleep(600) /* mark */")).await;
    backend(&servers, "mark").await;
    servers.primary().kill();
    assert_eq!(clear_error(&busy.until_ready().await), "08007");
    idle.send(&query("INSERT INTO t VALUES (2)")).await;
    servers.primary().start().await.expect("a start");
    let frames = idle.until_ready().await;
    assert_eq!(code(&frames), "", "{:?}", brief(&frames));
    assert_eq!(rows(&servers).await, "2");
    assert!(busy.is_alive().await);
}
