//! Every limit refuses or lets wait, and says which limit it is.

use crate::support::ask::{refused, until, value, words};
use crate::support::{cluster, proxy::proxy};
use futures_util::future::join_all;
use tokio_postgres::NoTls;

#[tokio::test]
async fn who_waits_too_long_for_a_server_is_told_which_limit_it_was() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1\nquery_wait = \"200ms\"").start().await;
    let (holder, other) = (running.connect().await, running.connect().await);
    holder.batch_execute("BEGIN").await.unwrap();
    let told = refused(&other, "SELECT 1").await;
    assert!(told.starts_with("53300"), "{told}");
    assert!(
        told.contains("user postgres and database postgres on node a (pool.size = 1)"),
        "{told}"
    );
    assert!(told.contains("HINT: Raise the limit named here"), "{told}");
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(value(&other, "SELECT 7").await, "7");
}

#[tokio::test]
async fn waiting_clients_are_served_first_come_first_served() {
    let log = "CREATE TABLE log (place serial, client int)";
    let servers = cluster().sql(log).start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let holder = running.connect().await;
    holder.batch_execute("BEGIN").await.unwrap();
    let mut waiting = Vec::new();
    for number in 1..=5 {
        let client = running.connect().await;
        waiting.push(tokio::spawn(async move {
            client.batch_execute(&format!("INSERT INTO log (client) VALUES ({number})")).await
        }));
        running.until_waiting(number).await;
    }
    holder.batch_execute("COMMIT").await.unwrap();
    for served in join_all(waiting).await {
        served.unwrap().unwrap();
    }
    let order = "SELECT string_agg(client::text, ' ' ORDER BY place) FROM log";
    assert_eq!(servers.primary().value(order).await.unwrap(), "1 2 3 4 5");
}

#[tokio::test]
async fn who_leaves_the_queue_has_nothing_executed() {
    let servers = cluster().sql("CREATE TABLE log (n int)").start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let (holder, after) = (running.connect().await, running.connect().await);
    holder.batch_execute("BEGIN").await.unwrap();
    let (leaver, connection) = running.fragile().await;
    tokio::spawn(async move { leaver.batch_execute("INSERT INTO log VALUES (1)").await });
    running.until_waiting(1).await;
    connection.abort();
    running.until_waiting(0).await;
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(value(&after, "SELECT count(*) FROM log").await, "0");
    assert_eq!(running.counts(0).opened, 1);
}

#[tokio::test]
async fn a_cluster_takes_no_more_clients_than_max_clients() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "max_clients = 2").start().await;
    let (first, _second) = (running.connect().await, running.connect().await);
    let url = running.url("postgres", "postgres");
    let told = running.refused_login(&url).await;
    assert!(told.starts_with("53300 too many clients: cluster test (pool.max_clients)"), "{told}");
    assert!(told.contains("its limit of 2 reached"), "{told}");
    drop(first);
    until("a free place", || async { running.connect_with(&url).await.is_ok() }).await;
}

#[tokio::test]
async fn an_address_takes_no_more_than_its_share() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "max_clients_per_address = 1").start().await;
    let _first = running.connect().await;
    let told = running.refused_login(&running.url("postgres", "postgres")).await;
    assert!(told.contains("address 127.0.0.1 (pool.max_clients_per_address)"), "{told}");
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream = socket.connect(running.postgres).await.unwrap();
    let config: tokio_postgres::Config = running.url("postgres", "postgres").parse().unwrap();
    let (client, connection) = config.connect_raw(stream, NoTls).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(value(&client, "SELECT 1").await, "1");
}

#[tokio::test]
async fn the_limit_of_a_node_is_shared_by_its_pools() {
    let servers = cluster().start().await.unwrap();
    let keys = "size = 1\nmax_per_node = 1\nquery_wait = \"300ms\"";
    let running = proxy(&servers).with("pool", keys).start().await;
    let here = running.connect().await;
    let there = running.connect_with(&running.url("postgres", "template1")).await.unwrap();
    here.batch_execute("BEGIN").await.unwrap();
    let told = refused(&there, "SELECT 1").await;
    assert!(told.starts_with("53300"), "{told}");
    assert!(told.contains("node a (pool.max_per_node = 1) leaves none to the pool"), "{told}");
    here.batch_execute("COMMIT").await.unwrap();
    // The idle connection of the other pool makes room.
    assert_eq!(value(&there, "SELECT current_database()").await, "template1");
    assert_eq!(value(&here, "SELECT current_database()").await, "postgres");
}

#[tokio::test]
async fn a_connection_that_becomes_idle_makes_room_for_who_waits_in_another_pool() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1\nmax_per_node = 1").start().await;
    let here = running.connect().await;
    let there = running.connect_with(&running.url("postgres", "template1")).await.unwrap();
    here.batch_execute("BEGIN").await.unwrap();
    let waiting = tokio::spawn(async move { value(&there, "SELECT current_database()").await });
    running.until_waiting(1).await;
    here.batch_execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap(), "template1");
}

#[tokio::test]
async fn a_storm_of_logins_opens_no_more_servers_than_the_pool_has() {
    let servers = cluster().user("app", "x").start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 4\nconnecting = 2").start().await;
    let url = running.url("app", "postgres");
    let one = async |number: usize| {
        let client = running.connect_with(&url).await.map_err(|e| words(&e)).unwrap();
        let sql = format!("SELECT {number} FROM pg_sleep(0.005)");
        assert_eq!(value(&client, &sql).await, number.to_string());
        client
    };
    let clients = join_all((0..200).map(one)).await;
    assert_eq!(running.counts(0).opened, 4);
    let seen = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
    assert_eq!(servers.primary().value(seen).await.unwrap(), "4");
    assert_eq!(running.admin("SHOW CLIENTS").await.len(), clients.len());
}
