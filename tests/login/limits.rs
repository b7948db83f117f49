//! How many clients may come.

use crate::fixture::{PATIENCE, Secrets, log_in, refused, servers, who};
use crate::support::proxy::proxy;
use std::time::{Duration, Instant};

async fn only_two(key: &str, what: &str) {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let limit = format!("{key} = 2");
    let running = proxy(&servers).with("auth", &auth).with("pool", &limit).start().await;
    let come = async || log_in(&running, "app", "pencil", "postgres").await;
    let first = come().await.expect("a client");
    // Failed logins take no place.
    for _ in 0..5 {
        assert_eq!(who(&running, "app", "pen").await, refused("app"));
    }
    let second = come().await.expect("another one");
    let said = come().await.expect_err("one too many");
    assert_eq!(said.code, "53300");
    assert!(said.message.contains(what) && said.message.contains('2'), "{}", said.message);
    first.simple_query("SELECT 1").await.expect("an answer");
    drop(second);
    let started = Instant::now();
    while come().await.is_err() {
        assert!(started.elapsed() < PATIENCE, "the place was not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_full_cluster_says_so_until_somebody_leaves() {
    only_two("max_clients", "cluster test (pool.max_clients)").await;
}

#[tokio::test]
async fn an_address_may_not_take_more_than_its_share() {
    only_two("max_clients_per_address", "address 127.0.0.1 (pool.max_clients_per_address)").await;
}
