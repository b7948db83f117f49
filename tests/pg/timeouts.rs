//! Time limits of the server: the codes that applications know, on the connection that they are
//! about, and nobody else's.

use crate::shared::single;
use crate::support::cluster;
use crate::support::proxy::proxy;
use crate::wire::*;

const SLOW: &str = "SELECT pg_sleep(600)";

#[tokio::test]
async fn a_statement_timeout_ends_the_statement_and_no_session() {
    let servers = single().await;
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let mut limited = Wire::start(running.postgres).await;
    let mut free = Wire::start(running.postgres).await;
    let options =
        [("user", "postgres"), ("database", "postgres"), ("options", "-c statement_timeout=30ms")];
    let mut from_the_start = Wire::start_with(running.postgres, &startup(0, &options)).await;
    limited.run("SET statement_timeout = '30ms'").await;
    for client in [&mut limited, &mut from_the_start] {
        assert_eq!(code(&client.ask(&query(SLOW)).await), "57014");
        let batch = [unnamed(SLOW), sync()].concat();
        assert_eq!(code(&client.ask(&batch).await), "57014");
        assert_eq!(client.value("SHOW statement_timeout").await, "30ms");
    }
    assert_eq!(free.value("SHOW statement_timeout").await, "0");
    assert_eq!(free.value("SELECT 'slow' FROM pg_sleep(0.1)").await, "slow");
    limited.run("BEGIN").await;
    assert_eq!(code(&limited.ask(&query(SLOW)).await), "57014");
    assert_eq!(code(&limited.ask(&query("SELECT 1")).await), "25P02");
    limited.run("ROLLBACK").await;
    assert_eq!(limited.value("SELECT 1").await, "1");
}

#[tokio::test]
async fn a_timeout_of_the_role_is_that_of_its_sessions() {
    let servers = cluster()
        .sql("CREATE ROLE hasty LOGIN")
        .sql("ALTER ROLE hasty SET statement_timeout = '30ms'")
        .start()
        .await
        .expect("a cluster");
    let running = proxy(&servers).start().await;
    let hello = startup(0, &[("user", "hasty"), ("database", "postgres")]);
    let mut client = Wire::start_with(running.postgres, &hello).await;
    assert_eq!(code(&client.ask(&query(SLOW)).await), "57014");
    client.run("SET statement_timeout = 0").await;
    assert_eq!(client.value("SHOW statement_timeout").await, "0");
    client.run("RESET statement_timeout").await;
    assert_eq!(code(&client.ask(&query(SLOW)).await), "57014");
}

#[tokio::test]
async fn a_transaction_that_idles_too_long_ends_with_its_client() {
    let servers = single().await;
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let mut idler = Wire::start(running.postgres).await;
    let mut next = Wire::start(running.postgres).await;
    idler.run("SET idle_in_transaction_session_timeout = '50ms'").await;
    idler.run("BEGIN").await;
    let last = idler.rest().await;
    assert_eq!(code(&last), "25P03", "{:?}", brief(&last));
    assert_eq!(last.last().expect("an error").field(b'S'), "FATAL");
    assert_eq!(next.value("SHOW idle_in_transaction_session_timeout").await, "0");
}

#[tokio::test]
async fn a_lock_timeout_is_the_servers_own_error() {
    let servers = single().await;
    let running = proxy(&servers).start().await;
    let mut holder = Wire::start(running.postgres).await;
    let mut waiter = Wire::start(running.postgres).await;
    holder.run("BEGIN; SELECT pg_advisory_xact_lock(424242)").await;
    waiter.run("SET lock_timeout = '30ms'").await;
    assert_eq!(code(&waiter.ask(&query("SELECT pg_advisory_xact_lock(424242)")).await), "55P03");
    assert_eq!(waiter.value("SELECT 1").await, "1");
}
