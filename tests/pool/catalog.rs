//! What a database says of its names decides where statements go, as soon as it says it.

use crate::support::ask::{refused, route, until, value};
use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, cluster};
use tokio_postgres::Client;

const SCHEMA: &str = "
    CREATE TABLE t AS SELECT 7 AS a;
    CREATE TABLE log (a int);
    CREATE SEQUENCE s;
    CREATE UNLOGGED TABLE scratch (a int);
    CREATE FUNCTION reads(int) RETURNS int STABLE LANGUAGE plpgsql
        AS 'BEGIN RETURN (SELECT a FROM t WHERE a = $1); END';
    CREATE FUNCTION undeclared(int) RETURNS int LANGUAGE sql AS 'SELECT a FROM t WHERE a = $1';
    CREATE FUNCTION logs() RETURNS int LANGUAGE plpgsql
        AS 'BEGIN INSERT INTO log VALUES (1); RETURN 1; END';
    CREATE FUNCTION lies() RETURNS bigint STABLE LANGUAGE plpgsql
        AS 'DECLARE n bigint; BEGIN EXECUTE ''SELECT nextval(''''s'''')'' INTO n; RETURN n; END';
    CREATE FUNCTION draws() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT nextval(''s'')';
    CREATE VIEW plain AS SELECT a FROM t;
    CREATE VIEW tickets AS SELECT nextval('s') AS n;
    CREATE VIEW deeper AS SELECT n FROM tickets;
    CREATE TABLE parts (a int) PARTITION BY LIST (a);
    CREATE TABLE one PARTITION OF parts FOR VALUES IN (1);
    CREATE UNLOGGED TABLE two PARTITION OF parts FOR VALUES IN (2);
    CREATE TABLE guarded (a int);
    ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
    CREATE POLICY counted ON guarded USING (logs() = 1);
    CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
    CREATE FUNCTION logged_eq(int, int) RETURNS bool LANGUAGE sql
        AS 'INSERT INTO log VALUES (1); SELECT true';
    CREATE OPERATOR ==== (LEFTARG = int, RIGHTARG = int, FUNCTION = logged_eq);
    CREATE DOMAIN logged AS int CHECK (logged_eq(VALUE, 1));";

async fn servers() -> Cluster {
    let servers = cluster().replicas(1).sql(SCHEMA).start().await.expect("a cluster");
    servers.caught_up().await.expect("a replica that caught up");
    servers
}

async fn start(servers: &Cluster) -> Running {
    proxy(servers).with("route", "max_staleness = \"1h\"").start().await
}

async fn until_known(running: &Running) {
    until("a catalog", || async {
        running.admin("SHOW CATALOG").await.iter().any(|row| row[2].as_deref() == Some("known"))
    })
    .await;
}

/// Each statement with the reason for where it goes.
async fn check(client: &Client, table: &[(&str, &str)]) {
    for (sql, because) in table {
        client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(route(client).await.1, *because, "{sql}");
    }
}

#[tokio::test]
async fn functions_and_relations_are_what_the_database_says_they_are() {
    let servers = servers().await;
    let running = start(&servers).await;
    let client = running.connect().await;
    client.simple_query("SELECT 1").await.unwrap();
    until_known(&running).await;
    check(
        &client,
        &[
            ("SELECT reads(7)", "fresh_replica"),
            ("SELECT undeclared(7)", "fresh_replica"),
            ("SELECT public.undeclared(7)", "fresh_replica"),
            ("SELECT logs()", "function"),
            ("SELECT draws()", "function"),
            ("TABLE plain", "fresh_replica"),
            ("TABLE tickets", "relation"),
            ("TABLE deeper", "relation"),
            ("TABLE scratch", "relation"),
            ("TABLE parts", "relation"),
            ("TABLE one", "fresh_replica"),
            ("TABLE guarded", "relation"),
            ("TABLE s", "relation"),
            ("SELECT a FROM t WHERE a === 7", "fresh_replica"),
            ("SELECT a FROM t WHERE a ==== 7", "function"),
            ("SELECT 7::logged", "function"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_definition_that_passes_by_counts_for_everybody_from_then_on() {
    let servers = servers().await;
    let running = start(&servers).await;
    let [one, other] = [running.connect().await, running.connect().await];
    let prepared = other.prepare("SELECT reads(7)").await.unwrap();
    until_known(&running).await;
    other.query_one(&prepared, &[]).await.unwrap();
    assert_eq!(route(&other).await.1, "fresh_replica");
    let define = |body: &str| {
        format!("CREATE OR REPLACE FUNCTION reads(int) RETURNS int LANGUAGE plpgsql AS '{body}'")
    };
    one.batch_execute("BEGIN").await.unwrap();
    one.batch_execute(&define("BEGIN INSERT INTO log VALUES (1); RETURN 1; END")).await.unwrap();
    // Not yet there, but nobody knows what will be.
    assert_eq!(value(&other, "SELECT reads(7)").await, "7");
    assert_eq!(route(&other).await.1, "function");
    one.batch_execute("COMMIT").await.unwrap();
    for _ in 0..2 {
        other.query_one(&prepared, &[]).await.unwrap();
        assert_eq!(route(&other).await.1, "function");
        until_known(&running).await;
    }
    assert_eq!(value(&one, "SELECT count(*) FROM log").await, "2");
}

#[tokio::test]
async fn a_read_that_a_replica_refused_is_not_sent_there_again() {
    let servers = servers().await;
    let running = start(&servers).await;
    let client = running.connect().await;
    client.simple_query("SELECT 1").await.unwrap();
    until_known(&running).await;
    let prepared = client.prepare("SELECT lies() + 0").await.unwrap();
    let retries = || running.cluster().counters.retries.with("25006").get();
    assert_eq!(value(&client, "SELECT lies(), 1").await, "1");
    assert_eq!(retries(), 1);
    check(&client, &[("SELECT lies(), 2", "refused")]).await;
    client.query_one(&prepared, &[]).await.unwrap();
    assert_eq!(retries(), 2);
    client.query_one(&prepared, &[]).await.unwrap();
    assert_eq!((retries(), route(&client).await.1.as_str()), (2, "refused"));
    // What is defined anew may be another matter.
    client.batch_execute("CREATE OR REPLACE VIEW plain AS SELECT a FROM t").await.unwrap();
    until_known(&running).await;
    assert_eq!(value(&client, "SELECT lies(), 1").await, "5");
    assert_eq!(retries(), 3);
}

#[tokio::test]
async fn a_database_that_the_monitor_may_not_enter_is_judged_without_its_catalog() {
    let servers = servers().await;
    for sql in [
        "CREATE DATABASE closed",
        "REVOKE CONNECT ON DATABASE closed FROM public",
        "CREATE ROLE watcher LOGIN IN ROLE pg_monitor",
        "CREATE ROLE app LOGIN",
        "GRANT CONNECT ON DATABASE closed TO app",
    ] {
        servers.sql(sql).await.unwrap();
    }
    servers.caught_up().await.unwrap();
    let running = proxy(&servers)
        .with("route", "max_staleness = \"1h\"")
        .with("route", "harmless_functions = [\"mine\"]")
        .monitored_by("watcher")
        .start()
        .await;
    let client = running.connect_with(&running.url("app", "closed")).await.unwrap();
    until("a reason", || async {
        let shown = running.admin("SHOW CATALOG").await;
        let reason = shown[0][7].clone().unwrap_or_default();
        assert_eq!(shown[0][2].as_deref(), Some("unknown"));
        reason.contains("permission denied for database")
    })
    .await;
    let denied = refused(&client, "SELECT mine()").await;
    assert!(denied.contains("42883"), "{denied}");
    assert_eq!(route(&client).await.1, "fresh_replica");
}
