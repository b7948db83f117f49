//! Prepared statements whose tables change, and the names that SQL knows them by.

use crate::support::ask::{refused, value};
use crate::support::{cluster, proxy::proxy};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

const TABLE: &str = "TABLE t";

/// The type of the first column and the first value, as text.
async fn first(client: &Client) -> (Type, String) {
    let statement = client.prepare(TABLE).await.unwrap();
    let row = client.query_one(&statement, &[]).await.unwrap();
    let kind = statement.columns()[0].type_().clone();
    let value = match kind {
        Type::INT4 => row.get::<_, i32>(0).to_string(),
        _ => row.get(0),
    };
    (kind, value)
}

#[tokio::test]
async fn after_a_change_of_its_table_a_statement_is_prepared_as_on_a_new_connection() {
    let servers = cluster().sql("CREATE TABLE t AS SELECT 7 AS a").start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let (one, two) = (running.connect().await, running.connect().await);
    assert_eq!(first(&one).await, (Type::INT4, "7".into()));
    two.batch_execute("ALTER TABLE t ALTER a TYPE text").await.unwrap();
    assert_eq!(first(&one).await, (Type::TEXT, "7".into()));
    assert_eq!(first(&two).await, (Type::TEXT, "7".into()));
    two.batch_execute("DO $$ BEGIN ALTER TABLE t ALTER a TYPE int USING a::int; END $$")
        .await
        .unwrap();
    assert_eq!(first(&one).await, (Type::INT4, "7".into()));
}

#[tokio::test]
async fn a_change_that_nobody_saw_is_not_noticed_by_who_prepares_after_it() {
    let servers = cluster().sql("CREATE TABLE t AS SELECT 7 AS a").start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let (one, two) = (running.connect().await, running.connect().await);
    assert_eq!(first(&one).await.0, Type::INT4);
    servers.sql("ALTER TABLE t ALTER a TYPE text").await.unwrap();
    assert_eq!(first(&two).await, (Type::TEXT, "7".into()));
    let returning = "INSERT INTO t VALUES ('8') RETURNING *";
    two.prepare(returning).await.unwrap();
    servers.sql("ALTER TABLE t ADD b int DEFAULT 1").await.unwrap();
    // Nothing but the Parse of it was asked of the proxy, so the failed insert is repeated unseen.
    let statement = one.prepare(returning).await.unwrap();
    assert_eq!(statement.columns().len(), 2);
    assert_eq!(one.execute(&statement, &[]).await.unwrap(), 1);
    assert_eq!(value(&one, "SELECT count(*) FROM t").await, "2");
}

#[tokio::test]
async fn rows_are_never_of_other_types_than_the_client_was_told() {
    let servers = cluster().sql("CREATE TABLE t AS SELECT 7 AS a").start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 2").start().await;
    let (one, two) = (running.connect().await, running.connect().await);
    let statement = one.prepare(TABLE).await.unwrap();
    assert_eq!(one.query_one(&statement, &[]).await.unwrap().get::<_, i32>(0), 7);
    servers.sql("ALTER TABLE t ALTER a TYPE float4").await.unwrap();
    // The server that knows the statement is taken: the other one prepares it from nothing.
    two.batch_execute("BEGIN").await.unwrap();
    for _ in 0..2 {
        let error = one.query_one(&statement, &[]).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "0A000");
        assert_eq!(error.message(), "cached plan must not change result type");
    }
    // In a transaction it fails, as it does on PostgreSQL.
    one.batch_execute("BEGIN").await.unwrap();
    one.query_one(&statement, &[]).await.unwrap_err();
    assert!(refused(&one, "SELECT 1").await.starts_with("25P02"));
    one.batch_execute("ROLLBACK").await.unwrap();
    two.batch_execute("COMMIT").await.unwrap();
    assert_eq!(one.query_one(&statement, &[]).await.unwrap_err().code().unwrap().code(), "0A000");
    let again = one.prepare(TABLE).await.unwrap();
    assert_eq!(one.query_one(&again, &[]).await.unwrap().get::<_, f32>(0), 7.0);
    assert_eq!(running.cluster().counters.desyncs.get(), 0);
}

#[tokio::test]
async fn one_text_is_two_statements_where_names_mean_different_tables() {
    let servers = cluster()
        .sql("CREATE SCHEMA x; CREATE TABLE x.t AS SELECT 1 AS a")
        .sql("CREATE SCHEMA y; CREATE TABLE y.t AS SELECT 'one' AS a")
        .start()
        .await
        .unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let (one, two) = (running.connect().await, running.connect().await);
    one.batch_execute("SET search_path = x").await.unwrap();
    two.batch_execute("SET search_path = y").await.unwrap();
    for _ in 0..2 {
        assert_eq!(first(&one).await, (Type::INT4, "1".into()));
        assert_eq!(first(&two).await, (Type::TEXT, "one".into()));
    }
}

#[tokio::test]
async fn sql_knows_the_statements_of_the_session_and_no_others() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let (one, two) = (running.connect().await, running.connect().await);
    let mine = one.prepare("SELECT $1::int4 + 1 AS mine").await.unwrap();
    let theirs = two.prepare("SELECT $1::int4 + 2 AS theirs").await.unwrap();
    const LIST: &str = "SELECT string_agg(statement, '|') FROM pg_prepared_statements";
    assert_eq!(value(&one, LIST).await, "SELECT $1::int4 + 1 AS mine");
    assert_eq!(value(&two, LIST).await, "SELECT $1::int4 + 2 AS theirs");
    let name = value(&one, "SELECT name FROM pg_prepared_statements").await;
    assert_eq!(value(&one, &format!("EXECUTE \"{name}\"(4)")).await, "5");
    // Too long to be looked at as a whole.
    let long = format!("EXPLAIN EXECUTE \"{name}\"(4{})", " ".repeat(100_000));
    assert!(value(&one, &long).await.starts_with("Result"));
    one.batch_execute("PREPARE own AS SELECT 'own'").await.unwrap();
    assert_eq!(value(&one, "EXECUTE own").await, "own");
    // Both kinds beside each other, as long as the session has its server to itself.
    assert_eq!(one.query_one(&mine, &[&1]).await.unwrap().get::<_, i32>(0), 2);
    assert_eq!(value(&one, "SELECT count(*) FROM pg_prepared_statements").await, "2");
    one.batch_execute("DEALLOCATE own").await.unwrap();
    assert_eq!(two.query_one(&theirs, &[&1]).await.unwrap().get::<_, i32>(0), 3);
    assert_eq!(one.query_one(&mine, &[&1]).await.unwrap().get::<_, i32>(0), 2);
    one.batch_execute(&format!("DEALLOCATE \"{name}\"; SELECT 1")).await.unwrap();
    assert_eq!(value(&one, "SELECT count(*) FROM pg_prepared_statements").await, "0");
    assert_eq!(running.cluster().counters.desyncs.get(), 0);
}
