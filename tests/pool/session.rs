//! Session parameters: set anywhere, the same on every server, gone when they are reset.

use crate::support::ask::{backend, refused, route, value};
use crate::support::{cluster, proxy::proxy};

#[tokio::test]
async fn a_parameter_follows_its_client_to_another_backend() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 2").start().await;
    let (client, other) = (running.connect().await, running.connect().await);
    client.batch_execute("SET work_mem = '1MB'; SET my.thing = 'it''s'").await.unwrap();
    let first = backend(&client).await;
    // The connection that was used last is lent first.
    other.batch_execute("BEGIN").await.unwrap();
    assert_eq!(backend(&other).await, first);
    assert_ne!(backend(&client).await, first);
    assert_eq!(value(&client, "SHOW work_mem").await, "1MB");
    assert_eq!(value(&client, "SHOW my.thing").await, "it's");
    assert_eq!(value(&other, "SHOW work_mem").await, "4MB");
}

#[tokio::test]
async fn a_parameter_set_on_the_primary_holds_on_replicas() {
    let servers = cluster().replicas(2).start().await.unwrap();
    let running = proxy(&servers).with("route", "max_staleness = \"1h\"").start().await;
    let client = running.connect().await;
    client.batch_execute("SET search_path = pg_catalog, \"My Schema\"").await.unwrap();
    for _ in 0..4 {
        assert_eq!(value(&client, "SHOW search_path").await, "pg_catalog, \"My Schema\"");
        assert_eq!(route(&client).await.1, "fresh_replica");
    }
}

#[tokio::test]
async fn resets_rollbacks_and_local_settings_mean_what_they_mean_in_a_session() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let options = "options='-c work_mem=2MB'";
    let url = format!("{} {options}", running.url("postgres", "postgres"));
    let (client, other) = (running.connect_with(&url).await.unwrap(), running.connect().await);
    let shows = async |expected: &str| {
        assert_eq!(value(&other, "SHOW work_mem").await, "4MB");
        assert_eq!(value(&client, "SHOW work_mem").await, expected);
    };
    shows("2MB").await;
    client.batch_execute("SET work_mem = '1MB'").await.unwrap();
    shows("1MB").await;
    client.batch_execute("BEGIN; SET work_mem = '8MB'; ROLLBACK").await.unwrap();
    shows("1MB").await;
    client.batch_execute("BEGIN; SET LOCAL work_mem = '8MB'; COMMIT").await.unwrap();
    shows("1MB").await;
    client.batch_execute("BEGIN; SET work_mem = '8MB'; COMMIT").await.unwrap();
    shows("8MB").await;
    client.batch_execute("RESET work_mem").await.unwrap();
    shows("2MB").await;
    client.batch_execute("SET work_mem = '1MB'").await.unwrap();
    client.batch_execute("RESET ALL").await.unwrap();
    shows("2MB").await;
    client.batch_execute("SET work_mem = '1MB'").await.unwrap();
    client.batch_execute("DISCARD ALL").await.unwrap();
    shows("2MB").await;
    assert_eq!(running.counts(0).opened, 1);
}

#[tokio::test]
async fn discard_all_forgets_prepared_statements_and_unpins() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let (client, other) = (running.connect().await, running.connect().await);
    let statement = client.prepare("SELECT 1 + $1::int4").await.unwrap();
    client.query_one(&statement, &[&1]).await.unwrap();
    client.batch_execute("CREATE TEMP TABLE x (a int)").await.unwrap();
    client.batch_execute("DISCARD ALL").await.unwrap();
    // The only connection is free again.
    assert_eq!(value(&other, "SELECT 1").await, "1");
    let error = client.query_one(&statement, &[&1]).await.expect_err("it is gone");
    assert_eq!(error.code().map(|c| c.code()), Some("26000"), "{error:?}");
    assert!(refused(&client, "SELECT * FROM x").await.starts_with("42P01"));
}
