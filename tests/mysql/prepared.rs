//! Prepared statements of sessions that share their servers: they are wherever they are executed,
//! and keep nothing from others.

use super::fixture::{Running, one_server, proxy, servers, until, value};
use super::raw::Raw;
use bytes::BytesMut;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tidegate::lab::mariadb::Cluster;
use tidegate::mysql::wire::capability::{DEPRECATE_EOF, MULTI_RESULTS, PS_MULTI_RESULTS};
use tidegate::mysql::wire::command::{Command, put_command};

/// One server connection for everybody, and no patience.
const ONE: &str = "mode = \"transaction\"\nsize = 1\nquery_wait = \"200ms\"";

fn pin(proxy: &Running, conn: &Conn) -> &'static str {
    let client = proxy.proxy.console.mysql.clients.get(conn.id().into()).unwrap();
    client.pin().name().unwrap_or_default()
}

/// How many statements the server has.
async fn prepared(server: &Cluster) -> String {
    let ask = "SELECT variable_value FROM information_schema.global_status \
               WHERE variable_name = 'prepared_stmt_count'";
    server.primary().value(ask).await.unwrap()
}

#[tokio::test]
async fn clients_that_prepare_the_same_share_one_statement_on_one_connection() {
    let server = one_server().await;
    let proxy = proxy(&server, ONE, "").await;
    let (mut a, mut b) = (proxy.connect().await, proxy.connect().await);
    let of_a = a.prep("SELECT ? + 1").await.unwrap();
    let other = b.prep("SELECT 'first'").await.unwrap();
    let of_b = b.prep("SELECT ? + 1").await.unwrap();
    assert_ne!(of_a.id(), of_b.id(), "each client counts its own");
    for n in 0..3_i64 {
        let sum: Option<i64> = a.exec_first(&of_a, (n,)).await.unwrap();
        assert_eq!(sum, Some(n + 1));
        // The same statement with a parameter of another type.
        let text: Option<f64> = b.exec_first(&of_b, ("41",)).await.unwrap();
        assert_eq!(text, Some(42.0));
        let first: Option<String> = b.exec_first(&other, ()).await.unwrap();
        assert_eq!(first.as_deref(), Some("first"));
    }
    assert_eq!((pin(&proxy, &a), proxy.servers()), ("", (0, 1)));
    assert_eq!(prepared(&server).await, "2");
    // Others still use it.
    a.close(of_a).await.unwrap();
    let sum: Option<i64> = b.exec_first(&of_b, (1,)).await.unwrap();
    assert_eq!(sum, Some(2));
}

#[tokio::test]
async fn a_read_is_executed_on_replicas_and_survives_their_end() {
    let cluster = servers(1).await;
    cluster.sql("CREATE TABLE test.p AS SELECT 5 AS n").await.unwrap();
    cluster.caught_up().await.unwrap();
    let route = "[clusters.test.route]\nmax_staleness = \"1h\"\nread_wait = \"1m\"";
    let proxy = proxy(&cluster, "mode = \"transaction\"", route).await;
    let mut a = proxy.connect().await;
    let read = a.prep("SELECT n FROM p WHERE n > ?").await.unwrap();
    let write = a.prep("INSERT INTO p VALUES (?)").await.unwrap();
    let node = |conn: &Conn| {
        let client = proxy.proxy.console.mysql.clients.get(conn.id().into()).unwrap();
        let last = *client.last_route.lock();
        last.unwrap().node.0
    };
    assert_eq!(a.exec_first::<i64, _, _>(&read, (4,)).await.unwrap(), Some(5));
    assert_eq!(node(&a), 1);
    a.exec_drop(&write, (9,)).await.unwrap();
    assert_eq!(node(&a), 0);
    cluster.replica(0).kill();
    let both: Vec<i64> = a.exec(&read, (4,)).await.unwrap();
    assert_eq!((both, node(&a)), (vec![5, 9], 0));
    assert_eq!(proxy.servers().0, 0);
}

#[tokio::test]
async fn a_statement_means_the_schema_and_the_modes_it_was_prepared_in() {
    let server = one_server().await;
    for sql in [
        "CREATE DATABASE other",
        "GRANT ALL ON other.* TO app@'%'",
        "CREATE TABLE test.s AS SELECT 'test' AS s",
        "CREATE TABLE other.s AS SELECT 'other' AS s",
    ] {
        server.sql(sql).await.unwrap();
    }
    let proxy = proxy(&server, ONE, "").await;
    let mut a = proxy.connect().await;
    let here = a.prep("SELECT s FROM s").await.unwrap();
    let quoted = a.prep("SELECT \"s\" FROM s").await.unwrap();
    a.query_drop("USE other").await.unwrap();
    for _ in 0..2 {
        let found: Option<String> = a.exec_first(&here, ()).await.unwrap();
        assert_eq!(found.as_deref(), Some("test"));
        assert_eq!(value(&mut a, "SELECT s FROM s").await, "other");
    }
    a.query_drop("SET sql_mode = 'ANSI_QUOTES'").await.unwrap();
    let found: Option<String> = a.exec_first(&quoted, ()).await.unwrap();
    assert_eq!((found.as_deref(), pin(&proxy, &a)), (Some("s"), "prepared_statement"));
    let named: Option<String> = a.exec_first("SELECT \"s\" AS s FROM s", ()).await.unwrap();
    assert_eq!(named.as_deref(), Some("other"));
}

/// A client that says what it says byte by byte, and its statement with the number 1.
async fn raw(proxy: &Running, sql: &str, definitions: usize) -> Raw {
    let capabilities = DEPRECATE_EOF | MULTI_RESULTS | PS_MULTI_RESULTS;
    let mut raw = Raw::connect(proxy.mysql, capabilities).await;
    say(&mut raw, Command::StmtPrepare, sql.as_bytes()).await;
    let head = raw.packet().await;
    assert_eq!(head[..5], [0, 1, 0, 0, 0], "a number of the proxy's");
    for _ in 0..definitions {
        raw.packet().await;
    }
    raw
}

async fn say(raw: &mut Raw, command: Command, argument: &[u8]) {
    let mut out = BytesMut::new();
    put_command(&mut out, command, argument);
    raw.send(&out).await;
}

#[tokio::test]
async fn long_data_keeps_the_connection_until_it_is_used() {
    let server = one_server().await;
    let proxy = proxy(&server, ONE, "").await;
    let mut raw = raw(&proxy, "SELECT length(?)", 2).await;
    for _ in 0..2 {
        for part in [&b"some"[..], b" long", b" text"] {
            let argument = [&[1, 0, 0, 0, 0, 0][..], part].concat();
            say(&mut raw, Command::StmtSendLongData, &argument).await;
        }
        until("a kept connection", || async { proxy.servers().0 == 1 }).await;
        // No NULL, bound now: a BLOB.
        let execute = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 252, 0];
        say(&mut raw, Command::StmtExecute, &execute).await;
        raw.packet().await;
        raw.packet().await;
        assert_eq!(raw.packet().await[2], 14, "the length of all parts");
        raw.packet().await;
        proxy.until_idle().await;
    }
}

#[tokio::test]
async fn a_cursor_keeps_the_connection_until_its_last_row() {
    let server = one_server().await;
    let proxy = proxy(&server, ONE, "").await;
    let mut raw = raw(&proxy, "SELECT seq FROM seq_1_to_5", 1).await;
    let fetch = |rows: u8| [1, 0, 0, 0, rows, 0, 0, 0];
    for _ in 0..2 {
        // A cursor, for reading.
        say(&mut raw, Command::StmtExecute, &[1, 0, 0, 0, 1, 1, 0, 0, 0]).await;
        for _ in ["count", "column", "end"] {
            raw.packet().await;
        }
        // Another statement in between does not close it.
        say(&mut raw, Command::Query, b"DO 1").await;
        raw.packet().await;
        for (rows, expected) in [(3, 4), (9, 3)] {
            assert_eq!(proxy.servers().0, 1, "the connection is kept");
            say(&mut raw, Command::StmtFetch, &fetch(rows)).await;
            for n in 1..=expected {
                let packet = raw.packet().await;
                assert_eq!(packet[0] == 0xfe, n == expected, "{packet:?}");
            }
        }
        proxy.until_idle().await;
    }
    // Nothing is left to fetch, and nobody knows a second statement.
    for (id, code) in [(1, 1421_u16), (2, 1243)] {
        say(&mut raw, Command::StmtFetch, &[id, 0, 0, 0, 1, 0, 0, 0]).await;
        let [low, high] = code.to_le_bytes();
        assert_eq!(raw.packet().await[..3], [0xff, low, high]);
    }
}
