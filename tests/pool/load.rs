//! Many clients on few server connections, every answer checked.

use crate::support::ask::{value, words};
use crate::support::cluster;
use crate::support::proxy::{Running, proxy};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const CLIENTS: i64 = 2_000;
const SERVERS: u64 = 20;

/// How long the load lasts; `TIDEGATE_TEST_SECONDS` makes it longer.
fn duration() -> Duration {
    let asked = std::env::var("TIDEGATE_TEST_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(10))
}

/// Both ends of each client's connection are in this process.
fn room_for_sockets() {
    let now = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, ..now });
}

async fn connect(running: &Running, number: i64) -> (i64, Client) {
    let client = running.connect_with(&running.url("postgres", "postgres")).await;
    (number, client.unwrap_or_else(|error| panic!("client {number}: {}", words(&error))))
}

/// One client until `end`; how often it wrote.
async fn work((number, client): (i64, Client), end: Instant) -> i64 {
    let read = client.prepare("SELECT $1::int8 * 1000000 + $2::int8").await.expect("a statement");
    let (mut round, mut written) = (0_i64, 0_i64);
    while Instant::now() < end {
        round += 1;
        let row = client.query_one(&read, &[&number, &round]).await.expect("a read");
        assert_eq!(row.get::<_, i64>(0), number * 1_000_000 + round);
        let text = format!("client {number} round {round}");
        assert_eq!(value(&client, &format!("SELECT '{text}'")).await, text);
        if round % 4 == number % 4 {
            written += 1;
            let sql = format!("UPDATE t SET n = n + 1 WHERE id = {number} RETURNING n");
            assert_eq!(value(&client, &sql).await, written.to_string());
        }
    }
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_on_twenty_servers_all_get_their_own_answers() {
    room_for_sockets();
    let table =
        format!("CREATE TABLE t AS SELECT id, 0 AS n FROM generate_series(1, {CLIENTS}) id");
    let index = "CREATE UNIQUE INDEX ON t (id)";
    let servers = cluster().sql(&table).sql(index).start().await.unwrap();
    let keys = format!("size = {SERVERS}\nquery_wait = \"60s\"");
    let running = proxy(&servers).with("pool", &keys).start().await;
    let arriving = stream::iter(1..=CLIENTS).map(|number| connect(&running, number));
    let clients: Vec<_> = arriving.buffer_unordered(100).collect().await;
    let end = Instant::now() + duration();
    let tasks = clients.into_iter().map(|client| tokio::spawn(work(client, end)));
    let mut written = 0;
    for done in join_all(tasks).await {
        written += done.expect("a client that got its answers");
    }
    assert!(written > 0);
    let sum = servers.primary().value("SELECT sum(n) FROM t").await.unwrap();
    assert_eq!(sum, written.to_string());
    assert!(running.counts(0).opened <= SERVERS, "{:?}", running.counts(0));
}
