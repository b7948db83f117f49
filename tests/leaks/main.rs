//! Hundreds of clients, each with a state of its own, on five server connections: nobody ever
//! sees another's, whoever vanishes, is cancelled or loses its server meanwhile.
//! `TIDEGATE_TEST_SECONDS` says how long (8).
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod client;
mod state;

use client::{Client, Tally};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use support::proxy::{Running, proxy};
use support::{Cluster, cluster};

const CLIENTS: usize = 200;
const SERVERS: usize = 5;

/// How often one of the server connections is ended.
const TERMINATE_EVERY: Duration = Duration::from_millis(300);

fn duration() -> Duration {
    let asked = std::env::var("TIDEGATE_TEST_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(8))
}

async fn start() -> (Cluster, Running) {
    let mut servers = cluster().replicas(1);
    for role in 0..state::ROLES {
        servers = servers.sql(&format!("CREATE ROLE r{role} LOGIN"));
    }
    let servers = servers.start().await.expect("a cluster");
    // In time for the first client.
    servers.caught_up().await.expect("a replica");
    let keys = format!("size = {SERVERS}\nquery_wait = \"60s\"");
    let running = proxy(&servers).with("pool", &keys).start().await;
    (servers, running)
}

/// Ends a server connection that serves somebody, time and again.
async fn terminate(servers: &Cluster, end: Instant) -> usize {
    let one = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() \
               AND (state <> 'idle' OR random() < 0.2) AND usename = 'postgres' \
               ORDER BY random() LIMIT 1";
    let mut times = 0;
    while Instant::now() < end {
        tokio::time::sleep(TERMINATE_EVERY).await;
        servers.sql(one).await.expect("a superuser");
        times += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_the_state_of_another_client() {
    let (servers, running) = start().await;
    let (end, tally) = (Instant::now() + duration(), Arc::new(Tally::default()));
    let work = (0..CLIENTS).map(|number| {
        let client = Client::new(number, running.url("postgres", "postgres"), tally.clone());
        tokio::spawn(client.run(end))
    });
    let work: Vec<_> = work.collect();
    let (ends, terminated) = tokio::join!(join_all(work), terminate(&servers, end));
    for ended in ends {
        ended.expect("a client that saw its own state only");
    }
    let [checks, vanished, cancelled, lost] =
        [&tally.checks, &tally.vanished, &tally.cancelled, &tally.lost].map(|n| n.load(Relaxed));
    eprintln!(
        "{checks} looks at the whole state, {vanished} clients vanished, {cancelled} statements \
         cancelled, {terminated} server connections ended, {lost} sessions lost by it"
    );
    assert!(checks > CLIENTS && vanished > 0 && cancelled > 0, "the load was too light");
    running.proxy.stop().await;
}
