//! Sessions over a pool of mode "session": nothing of one is left for the next, and nobody waits
//! for what another one runs.

use super::fixture::{APP, PASSWORD, one_server, proxy, until, value};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts};

#[tokio::test]
async fn nothing_of_a_session_is_left_for_the_next() {
    let server = one_server().await;
    let proxy = proxy(&server, "size = 1", "").await;
    let mut first = proxy.connect().await;
    for sql in [
        "SET @mine := 1, time_zone = '+03:00', sql_mode = 'ANSI_QUOTES', autocommit = 0",
        "SET NAMES latin1",
        "CREATE TEMPORARY TABLE mine (n int)",
        "PREPARE mine FROM 'SELECT 1'",
        "SELECT GET_LOCK('mine', 0)",
        "CREATE TABLE IF NOT EXISTS shared (n int)",
        "INSERT INTO shared VALUES (1)",
        "USE information_schema",
    ] {
        first.query_drop(sql).await.unwrap();
    }
    let thread = value(&mut first, "SELECT connection_id()").await;
    first.disconnect().await.unwrap();
    proxy.until_idle().await;

    let mut next = proxy.connect().await;
    assert_eq!(value(&mut next, "SELECT connection_id()").await, thread, "another connection");
    let state = "SELECT concat_ws(',', ifnull(@mine, 'none'), @@time_zone, @@sql_mode = '', \
                 @@autocommit, database(), is_free_lock('mine'), \
                 (SELECT count(*) FROM test.shared))";
    assert_eq!(value(&mut next, state).await, "none,SYSTEM,0,ON,test,1,0");
    assert_eq!(value(&mut next, "SELECT @@character_set_client").await, "utf8mb4");
    for sql in ["SELECT * FROM mine", "EXECUTE mine"] {
        assert!(next.query_drop(sql).await.is_err(), "{sql} should fail");
    }
    assert_eq!(proxy.servers().1, 1);
}

#[tokio::test]
async fn a_client_without_a_schema_leaves_none_behind() {
    let server = one_server().await;
    let proxy = proxy(&server, "size = 1", "").await;
    let opts = || Opts::from(proxy.opts(APP, PASSWORD).db_name(None::<String>));
    for _ in 0..2 {
        let mut conn = Conn::new(opts()).await.unwrap();
        assert_eq!(value(&mut conn, "SELECT database()").await, "");
        conn.query_drop("USE test").await.unwrap();
        conn.disconnect().await.unwrap();
        proxy.until_idle().await;
    }
}

#[tokio::test]
async fn kill_means_the_client_that_was_told_the_number() {
    let server = one_server().await;
    let proxy = proxy(&server, "", "").await;
    let mut victim = proxy.connect().await;
    let (mine, theirs) = (victim.id(), value(&mut victim, "SELECT connection_id()").await);
    assert_ne!(mine.to_string(), theirs);
    let slow = tokio::spawn(async move {
        let slept = victim.query_drop("SELECT sleep(600)").await;
        (slept, victim)
    });
    let sleeping = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%sleep(6%' \
                    AND info NOT LIKE '%count%'";
    until("a sleep", || async { server.primary().value(sleeping).await.unwrap() == "1" }).await;
    let mut other = proxy.connect().await;
    other.query_drop(format!("KILL QUERY {mine}")).await.unwrap();
    let (slept, mut victim) = slow.await.unwrap();
    let code = match slept {
        Err(Error::Server(error)) => error.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code, 1317);
    assert_eq!(value(&mut victim, "SELECT 1").await, "1");
    let unknown = other.query_drop("KILL 2000000000").await.unwrap_err().to_string();
    assert!(unknown.contains("1094"), "{unknown}");
    other.query_drop(format!("KILL {mine}")).await.unwrap();
    until("the end", || async { proxy.proxy.console.mysql.clients.len() == 1 }).await;
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_leave_its_query_running() {
    let server = one_server().await;
    let proxy = proxy(&server, "", "").await;
    let mut client = proxy.connect().await;
    let running = tokio::spawn(async move { client.query_drop("SELECT sleep(601)").await });
    let sleeping = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%sleep(601%' \
                    AND info NOT LIKE '%count%'";
    until("a sleep", || async { server.primary().value(sleeping).await.unwrap() == "1" }).await;
    running.abort();
    until("its end", || async { server.primary().value(sleeping).await.unwrap() == "0" }).await;
}

#[tokio::test]
async fn who_finds_no_server_is_told_and_may_try_again() {
    let server = one_server().await;
    let proxy = proxy(&server, "size = 1\nquery_wait = \"100ms\"", "").await;
    let mut first = proxy.connect().await;
    first.query_drop("DO 1").await.unwrap();
    let mut second = proxy.connect().await;
    let refused = second.query_drop("DO 1").await.unwrap_err().to_string();
    assert!(refused.contains("1040") && refused.contains("pool.size = 1"), "{refused}");
    first.disconnect().await.unwrap();
    proxy.until_idle().await;
    second.query_drop("DO 1").await.unwrap();
}

#[tokio::test]
async fn a_lost_server_ends_its_session_with_words() {
    let server = one_server().await;
    let proxy = proxy(&server, "", "").await;
    let mut client = proxy.connect().await;
    client.query_drop("START TRANSACTION").await.unwrap();
    server.primary().kill();
    let told = client.query_drop("SELECT 1").await.unwrap_err().to_string();
    assert!(told.contains("2013") || told.contains("onnection"), "{told}");
    server.primary().start().await.unwrap();
    until("a new primary", || async {
        match Conn::new(Opts::from(proxy.opts(APP, PASSWORD))).await {
            Ok(mut conn) => conn.query_drop("DO 1").await.is_ok(),
            Err(_) => false,
        }
    })
    .await;
}
