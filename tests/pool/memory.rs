//! Whatever flows through, and whoever does not read: the proxy's memory stays flat.

use crate::support::ask::{PATIENCE, until, value};
use crate::support::program::Program;
use crate::support::proxy::proxy;
use crate::support::{Cluster, cluster};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What the proxy may grow by, in bytes: buffers, and what its allocator keeps.
const GROWTH: u64 = 16 << 20;

/// Bytes of a result that must not pile up anywhere: half a GiB, 2 GiB with `TIDEGATE_TEST_SECONDS`.
fn result_bytes() -> u64 {
    let soak = std::env::var_os("TIDEGATE_TEST_SECONDS").is_some();
    if soak { 2 << 30 } else { 512 << 20 }
}

/// Rows of 8 KiB.
fn wide_rows() -> String {
    let rows = result_bytes() / 8192;
    format!("SELECT repeat('x', 8192) FROM generate_series(1, {rows})")
}

async fn started() -> (Cluster, Program) {
    let servers = cluster().sql("CREATE TABLE t (a text)").start().await.unwrap();
    let program = Program::start(&proxy(&servers).text()).await;
    // Its first client makes it as large as it is in daily use.
    let client = program.connect().await;
    value(&client, "SELECT repeat('x', 1000000)").await;
    (servers, program)
}

#[tokio::test]
async fn a_large_result_flows_through_without_piling_up() {
    let (_servers, program) = started().await;
    let client = program.connect().await;
    let before = program.peak_memory();
    let no_parameters: [i32; 0] = [];
    let mut rows = pin!(client.query_raw(&wide_rows(), no_parameters).await.unwrap());
    let mut bytes = 0;
    while let Some(row) = rows.next().await {
        bytes += row.unwrap().get::<_, &str>(0).len() as u64;
    }
    assert_eq!(bytes, result_bytes());
    let grown = program.peak_memory().saturating_sub(before);
    assert!(grown < GROWTH, "grown by {} KiB", grown >> 10);
}

#[tokio::test]
async fn a_client_that_never_reads_stops_its_server_and_nobody_else() {
    let (servers, program) = started().await;
    let other = program.connect().await;
    let before = program.peak_memory();
    let mut mute = TcpStream::connect(program.address("postgres")).await.unwrap();
    let pairs = b"user\0postgres\0database\0postgres\0\0";
    let mut hello = Vec::new();
    hello.extend_from_slice(&(8 + pairs.len() as u32).to_be_bytes());
    hello.extend_from_slice(&0x0003_0000_u32.to_be_bytes());
    hello.extend_from_slice(pairs);
    let sql = wide_rows();
    hello.push(b'Q');
    hello.extend_from_slice(&(5 + sql.len() as u32).to_be_bytes());
    hello.extend_from_slice(sql.as_bytes());
    hello.push(0);
    mute.write_all(&hello).await.unwrap();
    let stuck = "SELECT count(*) FROM pg_stat_activity \
                 WHERE wait_event = 'ClientWrite' AND query LIKE 'SELECT repeat%'";
    until("a server that cannot write", || async {
        servers.primary().value(stuck).await.unwrap() == "1"
    })
    .await;
    assert_eq!(value(&other, "SELECT 1").await, "1");
    let grown = program.peak_memory().saturating_sub(before);
    assert!(grown < GROWTH, "grown by {} KiB", grown >> 10);
    drop(mute);
    until("the end of the statement", || async {
        servers.primary().value(stuck).await.unwrap() == "0"
    })
    .await;
}

#[tokio::test]
async fn copy_into_a_server_that_stands_still_makes_the_client_wait() {
    const CHUNK: usize = 64 << 10;
    const CHUNKS: u64 = 1024;
    let (servers, program) = started().await;
    let client = program.connect().await;
    let before = program.peak_memory();
    let sent = Arc::new(AtomicU64::new(0));
    let copy = tokio::spawn({
        let sent = sent.clone();
        async move {
            let mut line = vec![b'x'; CHUNK];
            line[CHUNK - 1] = b'\n';
            let line = Bytes::from(line);
            let mut sink = Box::pin(client.copy_in("COPY t FROM STDIN").await.unwrap());
            for _ in 0..CHUNKS {
                sink.send(line.clone()).await.unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
            }
            sink.as_mut().finish().await.unwrap()
        }
    });
    until("the first data", || async { sent.load(Ordering::Relaxed) > 8 }).await;
    servers.primary().freeze().unwrap();
    let mut seen = 0;
    until("a client that waits", || {
        let now = sent.load(Ordering::Relaxed);
        let still = std::mem::replace(&mut seen, now) == now;
        async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            still
        }
    })
    .await;
    servers.primary().thaw().unwrap();
    let rows = tokio::time::timeout(PATIENCE, copy).await.unwrap().unwrap();
    assert_eq!(rows, CHUNKS);
    let grown = program.peak_memory().saturating_sub(before);
    assert!(grown < GROWTH, "grown by {} KiB", grown >> 10);
}
