//! Texts that the proxy does not understand or does not look at: nobody is pinned wrongly, and
//! nothing leaks to the next client of a server.

use crate::shared;
use crate::support::cluster;
use crate::support::proxy::proxy;
use crate::wire::*;

#[tokio::test]
async fn a_text_that_is_an_error_pins_nobody() {
    let servers = shared::single().await;
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let mut first = Wire::start(running.postgres).await;
    let mut second = Wire::start(running.postgres).await;
    for bytes in [query("SELEC"), [parse("s", "SELEC"), sync()].concat()] {
        assert_eq!(code(&first.ask(&bytes).await), "42601");
        // A pinned session would keep the only server connection.
        assert!(second.is_alive().await);
    }
}

#[tokio::test]
async fn what_a_long_text_set_does_not_reach_the_next_client() {
    let servers = shared::single().await;
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let mut first = Wire::start(running.postgres).await;
    let mut second = Wire::start(running.postgres).await;
    let long = "x".repeat(100_000);
    first.run(&format!("SELECT '{long}'; SET work_mem = '7MB'; SET my.thing = 'x'")).await;
    assert_eq!(second.value("SHOW work_mem").await, "4MB");
    assert_eq!(second.value("SELECT coalesce(current_setting('my.thing', true), '')").await, "");
    assert_eq!(first.value("SHOW work_mem").await, "7MB");
}

#[tokio::test]
async fn without_standard_conforming_strings_all_goes_to_the_primary() {
    let servers = cluster().replicas(1).start().await.expect("a cluster");
    let running = proxy(&servers).start().await;
    let mut wire = Wire::start(running.postgres).await;
    for (value, because) in [("off", "(unparsed)"), ("on", "(fresh_replica)")] {
        servers.caught_up().await.expect("a replica");
        wire.run(&format!("SET standard_conforming_strings = {value}")).await;
        assert_eq!(wire.value("SELECT 'a'").await, "a");
        let route = wire.value("SHOW tidegate.last_route").await;
        assert!(route.contains(because), "{value}: {route}");
    }
}

#[tokio::test]
async fn so_it_is_when_the_server_says_so_at_the_login() {
    let servers = cluster().replicas(1).start().await.expect("a cluster");
    servers.sql("ALTER ROLE postgres SET standard_conforming_strings = off").await.expect("DDL");
    servers.caught_up().await.expect("a replica");
    let running = proxy(&servers).start().await;
    let mut wire = Wire::start(running.postgres).await;
    assert_eq!(wire.value("SELECT 'a'").await, "a");
    let route = wire.value("SHOW tidegate.last_route").await;
    assert!(route.contains("(unparsed)"), "{route}");
}

#[tokio::test]
async fn the_proxy_answers_for_itself_inside_a_transaction_too() {
    let servers = shared::single().await;
    let running = proxy(&servers).start().await;
    let mut wire = Wire::start(running.postgres).await;
    wire.run("BEGIN").await;
    let frames = wire.ask(&query("SHOW tidegate.version")).await;
    assert_eq!((tags(&frames), frames[3].text()), ("TDCZ".into(), "T".into()));
    let show = [unnamed("SHOW tidegate.version"), flush()].concat();
    wire.send(&show).await;
    assert_eq!(tags(&wire.until(b"C").await), "12DC");
    wire.send(&sync()).await;
    assert_eq!(tags(&wire.until_ready().await), "Z");
    wire.run("COMMIT").await;
}
