//! Prepared statements of the protocol: shared by content, prepared again where they are missing.

use crate::support::ask::route;
use crate::support::cluster;
use crate::support::proxy::{Running, proxy};
use std::collections::HashSet;

/// How many statements the only server connection has.
async fn on_server(running: &Running) -> String {
    const PREPARED: usize = 11;
    let servers = running.admin("SHOW SERVERS").await;
    assert_eq!(servers.len(), 1);
    servers[0][PREPARED].clone().unwrap()
}

#[tokio::test]
async fn equal_statements_of_many_clients_are_one_on_the_server() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let mut clients = Vec::new();
    for number in 0..5_i32 {
        let client = running.connect().await;
        let statement = client.prepare("SELECT $1::int4 * 2").await.unwrap();
        // Of another type, so it must not be taken for the same.
        let text = client.prepare("SELECT $1::text || '2'").await.unwrap();
        clients.push((number, client, statement, text));
    }
    for (number, client, statement, text) in &clients {
        let row = client.query_one(statement, &[number]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), number * 2);
        let row = client.query_one(text, &[&"1"]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "12");
    }
    assert_eq!(on_server(&running).await, "2");
}

#[tokio::test]
async fn a_statement_is_prepared_again_on_a_backend_that_does_not_have_it() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 2").start().await;
    let (client, other) = (running.connect().await, running.connect().await);
    let statement = client.prepare("SELECT 0 + pg_backend_pid(), $1::int4").await.unwrap();
    let ask = async |n: i32| {
        let row = client.query_one(&statement, &[&n]).await.unwrap();
        assert_eq!(row.get::<_, i32>(1), n);
        row.get::<_, i32>(0)
    };
    let first = ask(1).await;
    other.batch_execute("BEGIN").await.unwrap();
    let second = ask(2).await;
    assert_ne!(first, second);
    other.batch_execute("COMMIT").await.unwrap();
    servers
        .sql(&format!(
            "SELECT pg_terminate_backend({first}, 60000), pg_terminate_backend({second}, 60000)"
        ))
        .await
        .unwrap();
    assert!(![first, second].contains(&ask(3).await));
}

#[tokio::test]
async fn the_least_recently_used_statements_leave_the_server_but_not_the_client() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1\nmax_prepared = 3").start().await;
    let client = running.connect().await;
    let mut statements = Vec::new();
    for n in 0..10 {
        statements.push(client.prepare(&format!("SELECT {n} + $1::int4")).await.unwrap());
    }
    for round in 0..3_i32 {
        for (n, statement) in (0_i32..).zip(&statements) {
            let row = client.query_one(statement, &[&round]).await.unwrap();
            assert_eq!(row.get::<_, i32>(0), n + round);
        }
    }
    assert_eq!(on_server(&running).await, "3");
    assert_eq!(running.counts(0).opened, 1);
}

#[tokio::test]
async fn a_prepared_read_runs_on_every_replica() {
    let servers =
        cluster().replicas(2).sql("CREATE TABLE t AS SELECT 7 AS a").start().await.unwrap();
    servers.caught_up().await.unwrap();
    let running = proxy(&servers).with("route", "max_staleness = \"1h\"").start().await;
    let client = running.connect().await;
    let statement = client.prepare("SELECT a FROM t WHERE a = $1").await.unwrap();
    let mut nodes = HashSet::new();
    for _ in 0..8 {
        let row = client.query_one(&statement, &[&7]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 7);
        nodes.insert(route(&client).await.0);
    }
    assert_eq!(nodes, HashSet::from(["b".to_owned(), "c".to_owned()]));
}

#[tokio::test]
async fn the_statements_of_clients_are_listed_and_limited() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "max_client_prepared = 100").start().await;
    let (one, two) = (running.connect().await, running.connect().await);
    let _both =
        (one.prepare("SELECT 'both'").await.unwrap(), two.prepare("SELECT 'both'").await.unwrap());
    let mut kept = Vec::new();
    for n in 1..100 {
        kept.push(one.prepare(&format!("SELECT {n}")).await.unwrap());
    }
    let error = one.prepare("SELECT 100").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "53400");
    let listed = running.admin("SHOW PREPARED").await;
    assert_eq!(listed.len(), 100);
    let first: Vec<&str> = listed[0].iter().map(|v| v.as_deref().unwrap_or("-")).collect();
    assert!(matches!(first[..], ["test", _, "2", _, "-", "SELECT 'both'"]), "{first:?}");
    kept.pop();
    // Closing travels with what comes next.
    let again = one.prepare("SELECT 100").await;
    let again = if again.is_err() { one.prepare("SELECT 100").await } else { again };
    assert_eq!(again.unwrap().columns().len(), 1);
}
