//! What only the server knows is asked of the server: pins end with their reasons, and code of
//! the user's leaves nothing behind for others.

use crate::support::ask::{until, value};
use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, cluster};

const CODE: &str = "
    CREATE FUNCTION keeps_a_table() RETURNS void LANGUAGE sql AS
      'CREATE TEMP TABLE kept (a int)';
    CREATE FUNCTION sets(name text, value text) RETURNS void LANGUAGE sql AS
      'SELECT set_config(name, value, false)';
    CREATE FUNCTION locks() RETURNS void LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_advisory_lock(7); RAISE EXCEPTION ''no''; END';
    CREATE FUNCTION nothing() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
    CREATE ROLE someone LOGIN; CREATE TABLE t (a int)";

async fn over_one_connection() -> (Cluster, Running) {
    let servers = cluster().sql(CODE).start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    (servers, running)
}

/// Waits until the console shows these pins: the server is asked after the client has its answer.
async fn pinned(running: &Running, by: &[&str]) {
    until(&format!("{by:?}"), async || {
        let clients = running.admin("SHOW CLIENTS").await;
        let pins: Vec<_> = clients.iter().filter_map(|row| row[13].as_deref()).collect();
        pins == by
    })
    .await;
}

#[tokio::test]
async fn a_pin_ends_with_its_reason() {
    let (_servers, running) = over_one_connection().await;
    let (first, second) = (running.connect().await, running.connect().await);
    for (begin, pin, end) in [
        ("CREATE TEMP TABLE x (a int)", "temporary_object", "DROP TABLE x"),
        ("CREATE TEMP VIEW x AS SELECT 1", "temporary_object", "DISCARD TEMP"),
        ("SELECT pg_advisory_lock(7)", "advisory_lock", "SELECT pg_advisory_unlock(7)"),
        ("SELECT pg_try_advisory_lock(7)", "advisory_lock", "SELECT pg_advisory_unlock_all()"),
        ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "hold_cursor", "CLOSE c"),
        ("PREPARE p AS SELECT 1", "sql_prepare", "DEALLOCATE p"),
        ("DO 'BEGIN EXECUTE ''LISTEN news''; END'", "listen", "UNLISTEN news"),
    ] {
        first.batch_execute(begin).await.unwrap();
        pinned(&running, &[pin]).await;
        first.batch_execute("SELECT 1").await.unwrap();
        pinned(&running, &[pin]).await;
        first.batch_execute(end).await.unwrap();
        pinned(&running, &[]).await;
        // The only connection is free again.
        assert_eq!(value(&second, "SELECT 1").await, "1");
    }
    assert_eq!(running.counts(0).opened, 1);
}

#[tokio::test]
async fn a_reason_that_another_one_outlives_is_replaced_by_it() {
    let (_servers, running) = over_one_connection().await;
    let client = running.connect().await;
    client.batch_execute("CREATE TEMP TABLE x (a int)").await.unwrap();
    client.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
    client.batch_execute("DROP TABLE x").await.unwrap();
    pinned(&running, &["advisory_lock"]).await;
    client.batch_execute("SELECT pg_advisory_unlock(7)").await.unwrap();
    pinned(&running, &[]).await;
}

#[tokio::test]
async fn what_a_transaction_took_back_pins_nobody() {
    let (_servers, running) = over_one_connection().await;
    let (first, second) = (running.connect().await, running.connect().await);
    for text in [
        "BEGIN; CREATE TEMP TABLE x (a int); ROLLBACK",
        "BEGIN; CREATE TEMP TABLE x (a int) ON COMMIT DROP; COMMIT",
        "BEGIN; DO 'BEGIN EXECUTE ''LISTEN news''; END'; ROLLBACK",
    ] {
        first.batch_execute(text).await.unwrap();
        pinned(&running, &[]).await;
        assert_eq!(value(&second, "SELECT 1").await, "1");
    }
}

#[tokio::test]
async fn code_of_the_user_pins_by_what_it_keeps() {
    let (_servers, running) = over_one_connection().await;
    let (first, second) = (running.connect().await, running.connect().await);
    assert_eq!(value(&first, "SELECT nothing()").await, "1");
    pinned(&running, &[]).await;
    first.batch_execute("SELECT keeps_a_table()").await.unwrap();
    pinned(&running, &["temporary_object"]).await;
    first.batch_execute("INSERT INTO kept VALUES (1); DROP TABLE kept").await.unwrap();
    pinned(&running, &[]).await;
    // It failed, and its lock is there.
    first.batch_execute("SELECT locks()").await.expect_err("it raises");
    pinned(&running, &["advisory_lock"]).await;
    first.batch_execute("SELECT pg_advisory_unlock(7)").await.unwrap();
    pinned(&running, &[]).await;
    first.batch_execute("DO 'BEGIN CREATE TEMP TABLE y (a int); END'").await.unwrap();
    pinned(&running, &["temporary_object"]).await;
    drop(first);
    let look = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'";
    assert_eq!(value(&second, look).await, "0");
}

#[tokio::test]
async fn parameters_set_by_code_stay_with_its_client() {
    let (_servers, running) = over_one_connection().await;
    let (first, second) = (running.connect().await, running.connect().await);
    first.batch_execute("SET statement_timeout = '1h'").await.unwrap();
    first.batch_execute("SELECT sets('work_mem', '7MB')").await.unwrap();
    first.batch_execute("DO 'BEGIN RESET statement_timeout; SET ROLE someone; END'").await.unwrap();
    first.batch_execute("SELECT sets('my.thing', 'secret')").await.unwrap();
    for _ in 0..2 {
        assert_eq!(value(&second, "SHOW work_mem").await, "4MB");
        assert_eq!(value(&second, "SELECT current_user").await, "postgres");
        assert_eq!(value(&second, "SELECT current_setting('my.thing', true)").await, "");
        assert_eq!(value(&first, "SHOW work_mem").await, "7MB");
        assert_eq!(value(&first, "SHOW statement_timeout").await, "0");
        assert_eq!(value(&first, "SELECT current_user").await, "someone");
    }
    until("one connection", async || running.counts(0).opened == 1).await;
}

#[tokio::test]
async fn a_text_that_is_too_long_to_be_read_is_settled_too() {
    let (_servers, running) = over_one_connection().await;
    let (first, second) = (running.connect().await, running.connect().await);
    let long = format!(
        "SELECT 1; SET work_mem = '7MB'; /*{}*/ CREATE TEMP TABLE x (a int)",
        " ".repeat(70_000)
    );
    first.batch_execute(&long).await.unwrap();
    pinned(&running, &["temporary_object"]).await;
    first.batch_execute("DROP TABLE x").await.unwrap();
    assert_eq!(value(&second, "SHOW work_mem").await, "4MB");
    assert_eq!(value(&first, "SHOW work_mem").await, "7MB");
}

#[tokio::test]
async fn without_an_answer_the_connection_stays_until_there_is_one() {
    let (servers, running) = over_one_connection().await;
    let url = running.url("someone", "postgres");
    let client = running.connect_with(&url).await.unwrap();
    let forbid = "REVOKE EXECUTE ON FUNCTION pg_listening_channels() FROM PUBLIC";
    servers.sql(forbid).await.unwrap();
    assert_eq!(value(&client, "SELECT nothing()").await, "1");
    pinned(&running, &["unproven"]).await;
    servers.sql(&forbid.replace("REVOKE", "GRANT").replace("FROM", "TO")).await.unwrap();
    assert_eq!(value(&client, "SELECT nothing()").await, "1");
    pinned(&running, &[]).await;
}
