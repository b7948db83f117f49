//! A client's bytes mean the same wherever the network cuts them.

use crate::shared;
use crate::support::Cluster;
use crate::support::proxy::{Running, proxy};
use crate::wire::*;
use std::sync::Arc;
use std::time::Duration;

/// A conversation with some of everything, and the number of ReadyForQuery that answer it.
/// It leaves the session as it found it.
fn conversation() -> (Vec<u8>, usize) {
    let parts = [
        (query("SELECT 1; SELECT 'two'"), 1),
        ([parse("a", "SELECT $1::int"), describe('S', "a"), sync()].concat(), 1),
        ([bind("", "a", &["7"]), execute("", 0), bind("p", "a", &["8"]), sync()].concat(), 1),
        ([unnamed("SELECT 1/0"), unnamed("SELECT 3"), sync()].concat(), 1),
        (query("BEGIN"), 1),
        ([parse("", "SELECT generate_series(1, 3)"), bind("p", "", &[])].concat(), 0),
        ([execute("p", 2), flush(), execute("p", 2), sync()].concat(), 1),
        (query("CREATE TEMP TABLE c (a int) ON COMMIT DROP"), 1),
        ([query("COPY c FROM STDIN"), copy_data("1\n2"), copy_data("\n"), copy_done()].concat(), 1),
        ([query("COPY c FROM STDIN"), copy_data("1\n"), copy_fail("enough")].concat(), 1),
        (query("ROLLBACK"), 1),
        ([close('S', "a"), close('S', "b"), sync()].concat(), 1),
        (function(2077, "server_version_num"), 1),
        (query(""), 1),
    ];
    let times = parts.iter().map(|(_, times)| times).sum();
    (parts.into_iter().flat_map(|(bytes, _)| bytes).collect(), times)
}

/// A cluster, the proxy with one server connection, the conversation, and its direct answers.
async fn setting() -> (Arc<Cluster>, Running, Vec<u8>, usize, Vec<String>) {
    let servers = shared::single().await;
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let (bytes, times) = conversation();
    let mut direct = Wire::start(servers.primary().address().parse().expect("an address")).await;
    direct.send(&bytes).await;
    let expected = answers(&mut direct, times).await;
    (servers, running, bytes, times, expected)
}

async fn answers(wire: &mut Wire, times: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..times {
        lines.extend(brief(&wire.until_ready().await));
    }
    lines
}

#[tokio::test]
async fn a_conversation_is_the_same_wherever_its_bytes_are_cut() {
    let (_servers, running, bytes, times, expected) = setting().await;
    for cut in 1..bytes.len() {
        let mut wire = Wire::start(running.postgres).await;
        wire.send(&bytes[..cut]).await;
        // Long enough for the proxy to see the parts apart, most of the time.
        tokio::time::sleep(Duration::from_millis(2)).await;
        wire.send(&bytes[cut..]).await;
        assert_eq!(answers(&mut wire, times).await, expected, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_conversation_byte_by_byte() {
    let (_servers, running, bytes, times, expected) = setting().await;
    let mut wire = Wire::open(running.postgres).await;
    for byte in startup(0, &[("user", "postgres"), ("database", "postgres")]) {
        wire.send(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    wire.greet().await;
    for byte in bytes {
        wire.send(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(answers(&mut wire, times).await, expected);
}
