//! Notifications when the connection that listens is lost, and clients that do not take them.

use crate::notify::{heard, payloads};
use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, How, cluster};
use crate::wire::*;

async fn stage(replicas: usize) -> (Cluster, Running) {
    let servers = cluster().replicas(replicas).start().await.expect("a cluster");
    let running = proxy(&servers).with("pool", "size = 2").start().await;
    (servers, running)
}

fn replaced(running: &Running) -> u64 {
    running.cluster().counters.relistened.get()
}

/// What is notified now is heard.
async fn hears(wire: &mut Wire, notifier: &mut Wire) {
    // Answered when the hub listens again.
    wire.run("SELECT 1").await;
    notifier.run("NOTIFY news, 'x'").await;
    assert_eq!(payloads(wire).await, ["x"]);
}

async fn end_hub(servers: &Cluster) {
    let hub = "FROM pg_stat_activity WHERE application_name = 'tidegate notifications'";
    let ended = servers.sql(&format!("SELECT pg_terminate_backend(pid) {hub}")).await;
    assert_eq!(ended.expect("a superuser").len(), 1);
}

#[tokio::test]
async fn after_the_loss_of_the_connection_it_goes_on() {
    let (servers, running) = stage(0).await;
    let mut wire = Wire::start(running.postgres).await;
    let mut notifier = Wire::start(running.postgres).await;
    wire.run("LISTEN news").await;
    for round in 1..4 {
        hears(&mut wire, &mut notifier).await;
        end_hub(&servers).await;
        eventually("another one", async || replaced(&running) == round).await;
    }
    hears(&mut wire, &mut notifier).await;
    let shown = running.admin("SHOW LISTEN").await;
    let shown: Vec<_> = shown[0].iter().flatten().map(String::as_str).collect();
    assert_eq!(shown, ["test", "postgres", "a", "1", "1"]);
}

#[tokio::test]
async fn after_a_restart_of_the_primary_it_goes_on() {
    let (servers, running) = stage(0).await;
    let mut wire = Wire::start(running.postgres).await;
    wire.run("LISTEN news").await;
    servers.primary().stop(How::Fast).await;
    let gone = running.cluster().hubs.get("postgres").expect("a hub");
    eventually("its loss", async || gone.node().is_none()).await;
    servers.primary().start().await.expect("the primary");
    eventually("another one", async || replaced(&running) == 1).await;
    let mut notifier = Wire::start(running.postgres).await;
    hears(&mut wire, &mut notifier).await;
}

#[tokio::test]
async fn it_moves_with_the_primary() {
    let (servers, running) = stage(1).await;
    let mut wire = Wire::start(running.postgres).await;
    wire.run("LISTEN news").await;
    servers.caught_up().await.expect("a replica");
    servers.primary().kill();
    servers.replica(0).promote().await.expect("a primary");
    eventually("another one", async || replaced(&running) == 1).await;
    assert_eq!(running.admin("SHOW LISTEN").await[0][2].as_deref(), Some("b"));
    let mut notifier = Wire::start(running.postgres).await;
    hears(&mut wire, &mut notifier).await;
}

#[tokio::test]
async fn where_nobody_can_listen_for_it_a_session_listens_by_itself() {
    let servers = cluster().sql("CREATE ROLE few LOGIN CONNECTION LIMIT 1").start().await;
    let servers = servers.expect("a cluster");
    let running = proxy(&servers).start().await;
    let hello = startup(0, &[("user", "few"), ("database", "postgres")]);
    let mut wire = Wire::start_with(running.postgres, &hello).await;
    wire.run("LISTEN news").await;
    let pinned = async || running.admin("SHOW CLIENTS").await[0][13].as_deref() == Some("listen");
    eventually("the pin", pinned).await;
    servers.sql("NOTIFY news, 'x'").await.expect("a notification");
    assert_eq!(heard(&[wire.next().await.expect("a notification")])[0].1, "x");
}

#[tokio::test]
async fn a_user_who_may_not_come_in_any_more_makes_room_for_another() {
    let servers = cluster().sql("CREATE ROLE one LOGIN; CREATE ROLE two LOGIN").start().await;
    let servers = servers.expect("a cluster");
    let running = proxy(&servers).start().await;
    let mut wires = Vec::new();
    for (user, channel) in [("one", "a"), ("two", "news")] {
        let hello = startup(0, &[("user", user), ("database", "postgres")]);
        let mut wire = Wire::start_with(running.postgres, &hello).await;
        wire.run(&format!("LISTEN {channel}")).await;
        wires.push(wire);
    }
    servers.sql("ALTER ROLE one NOLOGIN").await.expect("a superuser");
    end_hub(&servers).await;
    eventually("another one", async || replaced(&running) == 1).await;
    let mut notifier = Wire::start(running.postgres).await;
    hears(&mut wires[1], &mut notifier).await;
}

#[tokio::test]
async fn a_burst_reaches_who_takes_it_and_ends_who_does_not() {
    const COUNT: usize = 8000;
    let (servers, running) = stage(0).await;
    let mut reader = Wire::start(running.postgres).await;
    let mut sleeper = Wire::start(running.postgres).await;
    let mut busy = Wire::start(running.postgres).await;
    for wire in [&mut reader, &mut sleeper, &mut busy] {
        wire.run("LISTEN burst").await;
    }
    busy.run("BEGIN").await;
    let sql = "SELECT pg_notify('burst', g || repeat('x', 7900)) FROM generate_series(1, 8000) g";
    let (notified, ()) = tokio::join!(servers.sql(sql), async {
        for number in 1..=COUNT {
            let got = heard(&[reader.next().await.expect("a notification")]);
            assert!(got[0].1.starts_with(&format!("{number}x")), "{}", &got[0].1[..20]);
        }
    });
    notified.expect("the burst");
    let clients = &running.proxy.console.engine.clients;
    eventually("the end of who does not read", async || clients.len() == 2).await;
    // A transaction may end before its client is sent away.
    assert_eq!(code(&busy.ask(&query("COMMIT")).await), "");
    assert_eq!(clear_error(&busy.rest().await), "54000");
    assert!(reader.is_alive().await);
    assert_eq!(running.cluster().counters.refused.counts()["54000"], 2);
}

#[tokio::test]
async fn nobody_listens_for_clients_that_are_gone() {
    let (_servers, running) = stage(0).await;
    let mut wire = Wire::start(running.postgres).await;
    wire.run("LISTEN news; LISTEN other").await;
    wire.run("UNLISTEN other").await;
    let hub = running.cluster().hubs.get("postgres").expect("a hub");
    assert_eq!(hub.heard().channels, 1);
    drop(wire);
    eventually("silence", async || hub.heard().listeners == 0).await;
}

#[tokio::test]
async fn a_database_that_nobody_listens_in_can_be_dropped() {
    let servers = cluster().sql("CREATE DATABASE brief").start().await.expect("a cluster");
    let running = proxy(&servers).start().await;
    let hello = startup(0, &[("user", "postgres"), ("database", "brief")]);
    let mut wire = Wire::start_with(running.postgres, &hello).await;
    wire.run("LISTEN news").await;
    wire.run("UNLISTEN news").await;
    drop(wire);
    eventually("the end of the client", async || running.proxy.console.engine.clients.is_empty())
        .await;
    let mut other = Wire::start(running.postgres).await;
    other.run("DROP DATABASE brief").await;
}
