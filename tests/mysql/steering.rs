//! What users say of their reads: hints, settings of the session, rules; and the position that one
//! session hands to another.

use super::fixture::{Running, proxy, servers, until, value};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tidegate::lab::mariadb::Cluster;
use tidegate::registry::ClientState;

const READ: &str = "SELECT a FROM t";
const POOL: &str = "mode = \"transaction\"";

async fn three() -> Cluster {
    let servers = servers(2).await;
    servers.sql("CREATE TABLE test.t AS SELECT 7 AS a").await.unwrap();
    servers.caught_up().await.unwrap();
    servers
}

/// Nothing is too old, unless `more` says so.
async fn patient(servers: &Cluster, more: &str) -> Running {
    let wait = if more.contains("read_wait") { "" } else { "read_wait = \"1m\"\n" };
    let route = format!("[clusters.test.route]\nmax_staleness = \"1h\"\n{wait}{more}");
    proxy(servers, POOL, &route).await
}

/// Where the statement went, and why.
async fn sent(conn: &mut Conn, sql: &str) -> (String, String) {
    value(conn, sql).await;
    let told = value(conn, "SELECT @@tidegate_last_route").await;
    let node = told.split(':').next().unwrap().to_owned();
    let why = told.rsplit('(').next().unwrap().trim_end_matches(')').to_owned();
    (node, why)
}

fn at(node: &str, why: &str) -> (String, String) {
    (node.into(), why.into())
}

/// Number and text of the error.
async fn refused(conn: &mut Conn, sql: &str) -> (u16, String) {
    match conn.query_drop(sql).await.expect_err(sql) {
        mysql_async::Error::Server(error) => (error.code, error.message),
        other => panic!("{sql}: {other}"),
    }
}

#[tokio::test]
async fn hints_and_settings_send_reads_where_their_user_wants_them() {
    let servers = three().await;
    let proxy = patient(&servers, "").await;
    let mut a = proxy.connect().await;
    for (hint, node) in [("/* tidegate: route=b */", "b"), ("# tidegate: route=c\n", "c")] {
        assert_eq!(sent(&mut a, &format!("{hint} {READ}")).await, at(node, "asked"));
    }
    let primary = format!("/* tidegate: consistency=primary */ {READ}");
    assert_eq!(sent(&mut a, &primary).await, at("a", "asked"));
    a.query_drop("SET @tidegate_route = 'c'").await.unwrap();
    for _ in 0..3 {
        assert_eq!(sent(&mut a, READ).await, at("c", "asked"));
    }
    assert_eq!(value(&mut a, "SELECT @@tidegate_route AS r").await, "c");
    assert_eq!(sent(&mut proxy.connect().await, &primary).await, at("a", "asked"));
    a.query_drop("SET @tidegate_route = NULL").await.unwrap();
    assert_eq!(value(&mut a, "SELECT @@tidegate_route").await, "any");
    // A replica refuses what its author took for a read.
    let function = "CREATE FUNCTION test.f() RETURNS int DETERMINISTIC MODIFIES SQL DATA \
                    BEGIN DELETE FROM t; RETURN 1; END";
    servers.sql(function).await.unwrap();
    servers.caught_up().await.unwrap();
    let (code, _) = refused(&mut a, "/* tidegate: route=replica */ SELECT f()").await;
    assert_eq!(code, 1792);
    assert_eq!(value(&mut a, READ).await, "7");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name_and_nothing_runs() {
    let servers = three().await;
    let proxy = patient(&servers, "").await;
    let mut a = proxy.connect().await;
    for (sql, code, word) in [
        ("SET @tidegate_consistency = 'storng'", 1231, "strong"),
        ("SET @tidegate_route = 'd'", 1231, "replica, a, b, c"),
        ("SET @tidegate_route = concat('a')", 1231, "a string"),
        ("SET @tidegate_read_after = 'yesterday'", 1231, "SELECT @@tidegate_position"),
        ("SET @tidegate_rout = 'b'", 1193, "@tidegate_rout"),
        ("SET @x = 1, @tidegate_route = 'b'", 1235, "SET @tidegate_…"),
        ("SELECT @@tidegate_rout", 1193, "@@tidegate_rout"),
        ("/* tidegate: consistency=storng */ DELETE FROM t", 1231, "strong"),
        ("/* tidegate: fast=yes */ DELETE FROM t", 1193, "tidegate_fast"),
    ] {
        let (number, message) = refused(&mut a, sql).await;
        assert!(number == code && message.contains(word), "{sql}: {number} {message}");
    }
    let unprepared = a.prep("SELECT @@tidegate_route").await.unwrap_err().to_string();
    assert!(unprepared.contains("1235") && unprepared.contains("COM_QUERY"), "{unprepared}");
    assert_eq!(value(&mut a, READ).await, "7");
    assert_eq!(value(&mut a, "SELECT @x IS NULL").await, "1");
}

#[tokio::test]
async fn rules_name_reads_by_who_asks_and_by_what() {
    let servers = three().await;
    let rules = "[[clusters.test.route.rules]]\nrelation = \"t\"\nto = \"c\"\n\
                 [[clusters.test.route.rules]]\nstatement = \"SELECT 1 + 1\"\nto = \"primary\"\n\
                 [[clusters.test.route.rules]]\nuser = \"app\"\nto = \"b\"\n";
    let proxy = patient(&servers, rules).await;
    let mut a = proxy.connect().await;
    assert_eq!(sent(&mut a, "SELECT x.a FROM (SELECT 1) y, test.t x").await, at("c", "asked"));
    assert_eq!(sent(&mut a, "SELECT 2 + 3").await, at("a", "asked"));
    assert_eq!(sent(&mut proxy.connect().await, "SELECT 'else'").await, at("b", "asked"));
}

#[tokio::test]
async fn who_waits_for_a_replica_gets_its_answer_when_there_is_one() {
    let servers = three().await;
    let proxy = patient(&servers, "read_wait = \"300ms\"\nfallback = \"wait\"").await;
    let mut a = proxy.connect().await;
    for replica in [0, 1] {
        servers.replica(replica).pause_replay().await.unwrap();
    }
    a.query_drop("UPDATE t SET a = 9").await.unwrap();
    let entry = proxy.proxy.console.mysql.clients.get(a.id().into()).unwrap();
    let read = tokio::spawn(async move { (value(&mut a, READ).await, a) });
    until("a client that waits", || async { entry.state() == ClientState::Waiting }).await;
    servers.replica(1).resume_replay().await.unwrap();
    let (answer, mut a) = read.await.unwrap();
    let route = value(&mut a, "SELECT @@tidegate_last_route").await;
    assert_eq!((answer.as_str(), &route[..2]), ("9", "c:"));
}

#[tokio::test]
async fn a_position_makes_another_session_see_what_the_first_one_wrote() {
    let servers = three().await;
    let proxy = patient(&servers, "read_wait = \"300ms\"").await;
    let (mut a, mut b) = (proxy.connect().await, proxy.connect().await);
    for replica in [0, 1] {
        servers.replica(replica).pause_replay().await.unwrap();
    }
    a.query_drop("UPDATE t SET a = 8").await.unwrap();
    let position = value(&mut a, "SELECT @@tidegate_position").await;
    let old = format!("/* tidegate: consistency=eventual */ {READ}");
    assert_eq!(value(&mut b, &old).await, "7", "nobody asked for more");
    b.query_drop(format!("SET @tidegate_read_after = '{position}'")).await.unwrap();
    assert_eq!(value(&mut b, READ).await, "8");
    assert_eq!(sent(&mut b, READ).await, at("a", "no_fresh_replica"));
    servers.replica(1).resume_replay().await.unwrap();
    while sent(&mut b, READ).await != at("c", "fresh_replica") {
        assert_eq!(value(&mut b, READ).await, "8");
    }
    let hinted = format!("/* tidegate: read_after={position} */ {READ}");
    assert_eq!(value(&mut proxy.connect().await, &hinted).await, "8");
    let foreign = format!("/* tidegate: read_after=7:1:0/20 */ {READ}");
    let (code, told) = refused(&mut b, &foreign).await;
    assert!(code == 1231 && told.contains("another database system"), "{told}");
}

#[tokio::test]
async fn explain_says_where_a_statement_would_go_and_routes_where_it_went() {
    let servers = three().await;
    let proxy = patient(&servers, "").await;
    let mut a = proxy.connect().await;
    let explained: Vec<String> =
        a.query("EXPLAIN FORMAT = TIDEGATE SELECT a FROM t WHERE a = 7").await.unwrap();
    assert!(explained[0].contains("(fresh_replica): a read"), "{explained:?}");
    assert_eq!(explained[1], "Reads: consistency session, max_staleness 3600s");
    assert_eq!(explained.len(), 5);
    let explained: Vec<String> = a.query("EXPLAIN FORMAT=TIDEGATE DELETE FROM t").await.unwrap();
    assert!(explained[0].starts_with("Route: a (write): "), "{explained:?}");
    for n in 0..4 {
        value(&mut a, &format!("SELECT a FROM t WHERE a = {n}")).await;
    }
    a.query_drop("UPDATE t SET a = 7 WHERE a = 99").await.unwrap();
    let used = proxy.proxy.console.mysql.clusters[0].classifier.used();
    let of = |shape: &str| {
        let found = used.iter().find(|(known, _, _)| known == shape);
        let (_, why, used) = found.unwrap_or_else(|| panic!("{shape}: {used:?}"));
        (why.map(|why| why.name()), used.primary, used.replicas)
    };
    assert_eq!(of("SELECT a FROM t WHERE a = ?"), (None, 0, 4));
    assert_eq!(of("UPDATE t SET a = ? WHERE a = ?"), (Some("write"), 1, 0));
}
