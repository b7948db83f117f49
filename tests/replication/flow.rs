//! Much data and slow readers: the proxy holds none of it.

use crate::ends::until_stuck;
use crate::fixture::{BACKUP, fill, servers};
use crate::support::program::Program;
use crate::support::proxy::proxy;
use crate::wire::*;

const MEGABYTE: u64 = 1 << 20;

#[tokio::test]
async fn memory_stays_flat_under_a_slow_reader_and_nothing_is_lost() {
    let servers = servers().start().await.expect("a cluster");
    fill(&servers, 100).await;
    let config = proxy(&servers).with_cluster("replication = \"primary\"").text();
    let program = Program::start(&config).await;
    let hello = startup(0, &[("user", "postgres"), ("replication", "true")]);
    let mut wire = Wire::start_with(program.address("postgres"), &hello).await;
    let before = program.peak_memory();
    wire.send(&query(BACKUP)).await;
    // That the server waits shows that nobody in between takes what the client does not.
    until_stuck(&servers).await;
    let mut bytes = 0;
    let last = loop {
        let frame = wire.next().await.expect("a frame");
        bytes += frame.body.len() as u64;
        if frame.tag == b'Z' || frame.tag == b'E' {
            break frame;
        }
    };
    assert_eq!(last.tag, b'Z', "{}", last.brief());
    assert!(bytes > 100 * MEGABYTE, "{bytes} bytes");
    let grown = program.peak_memory().saturating_sub(before);
    assert!(grown < 4 * MEGABYTE, "it grew by {grown} bytes");
}
