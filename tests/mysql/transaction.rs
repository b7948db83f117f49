//! Sessions over a pool of mode "transaction": each has its own state, whoever used its server
//! connection before, and what cannot move keeps the connection.

use super::fixture::{Running, one_server, proxy, servers, until, value};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

/// One server connection for everybody, and no patience.
const ONE: &str = "mode = \"transaction\"\nsize = 1\nquery_wait = \"200ms\"";

/// Why this client keeps its server connection; empty: it does not.
fn pin(proxy: &Running, conn: &Conn) -> &'static str {
    let client = proxy.proxy.console.mysql.clients.get(conn.id().into()).unwrap();
    client.pin().name().unwrap_or_default()
}

/// The node that answered this client last.
fn node(proxy: &Running, conn: &Conn) -> u8 {
    let client = proxy.proxy.console.mysql.clients.get(conn.id().into()).unwrap();
    let last = *client.last_route.lock();
    last.unwrap().node.0
}

#[tokio::test]
async fn clients_share_a_connection_and_each_has_its_own_variables() {
    let server = one_server().await;
    let proxy = proxy(&server, ONE, "").await;
    let (mut a, mut b) = (proxy.connect().await, proxy.connect().await);
    a.query_drop("SET time_zone = '+03:00', sql_mode = 'ANSI_QUOTES', wait_timeout = 77")
        .await
        .unwrap();
    b.query_drop("SET NAMES latin1").await.unwrap();
    a.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
    let state = "SELECT concat_ws(',', @@time_zone, @@sql_mode, @@wait_timeout, \
                 @@character_set_client, @@tx_isolation)";
    for _ in 0..3 {
        let of_a = value(&mut a, state).await;
        assert_eq!(of_a, "+03:00,ANSI_QUOTES,77,utf8mb4,READ-COMMITTED");
        let of_b = value(&mut b, state).await;
        assert!(of_b.starts_with("SYSTEM,STRICT_TRANS_TABLES"), "{of_b}");
        assert!(of_b.ends_with(",latin1,REPEATABLE-READ"), "{of_b}");
    }
    assert_eq!(proxy.servers(), (0, 1));
}

#[tokio::test]
async fn a_transaction_keeps_its_connection_to_its_end() {
    let server = one_server().await;
    server.sql("CREATE TABLE test.t (n int)").await.unwrap();
    let proxy = proxy(&server, ONE, "").await;
    let (mut a, mut b) = (proxy.connect().await, proxy.connect().await);
    for begin in ["START TRANSACTION", "SET autocommit = 0"] {
        a.query_drop(begin).await.unwrap();
        a.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
        assert!(a.query_drop("SELECT nope").await.is_err());
        assert!(b.query_drop("DO 1").await.unwrap_err().to_string().contains("1040"));
        a.query_drop("ROLLBACK").await.unwrap();
        a.query_drop("SET autocommit = 1").await.unwrap();
        assert_eq!(value(&mut b, "SELECT count(*) FROM t").await, "0");
    }
}

#[tokio::test]
async fn what_cannot_move_keeps_the_connection_and_says_why() {
    let server = one_server().await;
    let proxy = proxy(&server, ONE, "").await;
    let mut b = proxy.connect().await;
    let cases = [
        ("SET @mine := 1", "SELECT @mine", "1", "user_variable"),
        ("CREATE TEMPORARY TABLE mine SELECT 1 AS n", "SELECT n FROM mine", "1", "temporary_table"),
        ("SELECT GET_LOCK('mine', 0)", "SELECT is_used_lock('mine') > 0", "1", "named_lock"),
        ("PREPARE mine FROM 'SELECT 7'", "EXECUTE mine", "7", "sql_prepare"),
        (
            "SELECT SQL_CALC_FOUND_ROWS seq FROM seq_1_to_9 LIMIT 1",
            "SELECT found_rows()",
            "9",
            "found_rows",
        ),
    ];
    for (leaves, asks, answer, why) in cases {
        let mut a = proxy.connect().await;
        a.query_drop(leaves).await.unwrap();
        assert_eq!(pin(&proxy, &a), why, "{leaves}");
        assert!(b.query_drop("DO 1").await.is_err(), "{leaves}");
        assert_eq!(value(&mut a, asks).await, answer, "{asks}");
        a.reset().await.unwrap();
        until("the pin's end", || async { pin(&proxy, &a).is_empty() }).await;
        b.query_drop("DO 1").await.unwrap();
        a.disconnect().await.unwrap();
        proxy.until_idle().await;
    }
    b.query_drop("CREATE OR REPLACE TABLE locked (n int)").await.unwrap();
    b.query_drop("LOCK TABLES locked WRITE").await.unwrap();
    assert_eq!(pin(&proxy, &b), "table_lock");
    b.query_drop("UNLOCK TABLES").await.unwrap();
    assert_eq!(pin(&proxy, &b), "");
}

#[tokio::test]
async fn what_a_session_inserted_has_its_own_number() {
    let server = one_server().await;
    server.sql("CREATE TABLE test.ids (id int AUTO_INCREMENT PRIMARY KEY, n int)").await.unwrap();
    let proxy = proxy(&server, ONE, "").await;
    let (mut a, mut b) = (proxy.connect().await, proxy.connect().await);
    a.query_drop("INSERT INTO ids (n) VALUES (1)").await.unwrap();
    b.query_drop("INSERT INTO ids (n) VALUES (2), (3)").await.unwrap();
    // An explicit number is not one that was generated.
    a.query_drop("INSERT INTO ids VALUES (100, 1)").await.unwrap();
    assert_eq!(value(&mut a, "SELECT last_insert_id()").await, "1");
    assert_eq!(value(&mut b, "SELECT last_insert_id()").await, "2");
    b.query_drop("START TRANSACTION").await.unwrap();
    assert_eq!(value(&mut b, "SELECT last_insert_id()").await, "2");
    b.query_drop("COMMIT").await.unwrap();
    let mut c = proxy.connect().await;
    assert_eq!(value(&mut c, "SELECT last_insert_id()").await, "0");
}

#[tokio::test]
async fn what_belongs_to_the_statement_before_is_right_or_refused() {
    let server = one_server().await;
    server.sql("CREATE TABLE test.r (n int)").await.unwrap();
    let proxy = proxy(&server, ONE, "").await;
    let mut a = proxy.connect().await;
    a.query_drop("INSERT INTO r VALUES (1), (2)").await.unwrap();
    let refused = a.query_drop("SELECT row_count()").await.unwrap_err().to_string();
    assert!(refused.contains("1235") && refused.contains("hint"), "{refused}");
    a.query_drop("INSERT INTO r VALUES (1), (2), (3)").await.unwrap();
    assert_eq!(pin(&proxy, &a), "asked");
    assert_eq!(value(&mut a, "SELECT row_count()").await, "3");
}

#[tokio::test]
async fn warnings_can_be_asked_for() {
    let server = one_server().await;
    let proxy = proxy(&server, ONE, "").await;
    let mut a = proxy.connect().await;
    a.query_drop("SELECT 1 / 0").await.unwrap();
    assert_eq!(pin(&proxy, &a), "warnings");
    let warning: Option<(String, u32, String)> = a.query_first("SHOW WARNINGS").await.unwrap();
    assert_eq!(warning.unwrap().1, 1365);
    a.query_drop("DO 1").await.unwrap();
    assert_eq!(pin(&proxy, &a), "");
}

#[tokio::test]
async fn each_session_is_in_its_own_schema() {
    let server = one_server().await;
    server.sql("CREATE DATABASE other").await.unwrap();
    server.sql("GRANT ALL ON other.* TO app@'%'").await.unwrap();
    let proxy = proxy(&server, ONE, "").await;
    let (mut a, mut b) = (proxy.connect().await, proxy.connect().await);
    a.query_drop("USE other").await.unwrap();
    for _ in 0..2 {
        assert_eq!(value(&mut a, "SELECT database()").await, "other");
        assert_eq!(value(&mut b, "SELECT database()").await, "test");
    }
}

#[tokio::test]
async fn reads_go_to_replicas_and_writes_to_the_primary_and_are_read() {
    let cluster = servers(2).await;
    let proxy = proxy(&cluster, "mode = \"transaction\"", "").await;
    let mut a = proxy.connect().await;
    a.query_drop("CREATE TABLE w (n int)").await.unwrap();
    for n in 0..30 {
        a.query_drop(format!("INSERT INTO w VALUES ({n})")).await.unwrap();
        assert_eq!(value(&mut a, "SELECT max(n) FROM w").await, n.to_string());
    }
    // As soon as one has replayed all that this session did.
    while node(&proxy, &a) == 0 {
        value(&mut a, "SELECT count(*) FROM w").await;
    }
    // Whoever asks on a replica cannot write there.
    a.query_drop("START TRANSACTION READ ONLY").await.unwrap();
    let refused = a.query_drop("INSERT INTO w VALUES (0)").await.unwrap_err().to_string();
    assert!(refused.contains("1792") || refused.contains("1290"), "{refused}");
    a.query_drop("ROLLBACK").await.unwrap();
    let seen = cluster.primary().value("SELECT count(*) FROM test.w").await.unwrap();
    assert_eq!(seen, "30");
}

#[tokio::test]
async fn a_read_survives_the_end_of_its_replica() {
    let cluster = servers(1).await;
    let proxy = proxy(&cluster, "mode = \"transaction\"", "").await;
    let mut a = proxy.connect().await;
    until("a read on the replica", || async {
        // Whoever has not asked the primary for anything may read there.
        let mut fresh = proxy.connect().await;
        value(&mut fresh, "SELECT 1 + 1").await;
        node(&proxy, &fresh) == 1
    })
    .await;
    cluster.replica(0).kill();
    assert_eq!(value(&mut a, "SELECT 1 + 1").await, "2");
    assert_eq!(node(&proxy, &a), 0);
}
