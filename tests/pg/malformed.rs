//! Clients that break the protocol are told so, and nobody beside them notices.

use crate::shared;
use crate::support::proxy::proxy;
use crate::wire::*;

fn broken() -> Vec<(&'static str, Vec<u8>)> {
    let length = |tag: u8, len: u32| [&[tag][..], &len.to_be_bytes(), b"xxxx"].concat();
    vec![
        ("a length of 0", length(b'Q', 0)),
        ("a length of 3", length(b'P', 3)),
        ("a negative length", length(b'Q', u32::MAX)),
        ("a length beyond 1 GB", length(b'Q', 0x4000_0000)),
        ("a long Sync", length(b'S', 0x3fff_0000)),
        ("a long Parse", length(b'P', 0x3fff_0000)),
        ("a message of no known type", frame(b'!', b"")),
        ("a password nobody asked for", frame(b'p', b"secret\0")),
        ("a message of servers", frame(b'Z', b"I")),
        ("a query without its end", frame(b'Q', b"SELECT 1")),
        ("a query with two ends", frame(b'Q', b"SELECT 1\0;\0")),
        ("an empty Parse", frame(b'P', b"")),
        ("a Parse without types", frame(b'P', b"a\0SELECT 1\0")),
        ("a Parse with too few types", frame(b'P', b"a\0SELECT 1\0\0\x02\0\0\0\x17")),
        ("a Bind without names", frame(b'B', b"no end")),
        ("a Describe of nothing", frame(b'D', b"")),
        ("a Describe of something else", frame(b'D', b"Xa\0")),
        ("a Close with more than a name", frame(b'C', b"Sa\0b\0")),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ]
}

#[tokio::test]
async fn a_broken_message_ends_its_client_with_a_clear_error() {
    let servers = shared::single().await;
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    for (what, bytes) in broken() {
        // Alone, and after something that is half a batch already.
        for before in [vec![], unnamed("SELECT 1"), query("BEGIN")] {
            let mut wire = Wire::start(running.postgres).await;
            wire.send(&[before, bytes.clone()].concat()).await;
            let frames = wire.rest().await;
            assert_eq!(clear_error(&frames), "08P01", "{what}: {:?}", brief(&frames));
            assert_eq!(frames.last().map(|f| f.tag), Some(b'E'), "{what}");
        }
    }
    assert!(Wire::start(running.postgres).await.is_alive().await);
}

#[tokio::test]
async fn whoever_is_beside_a_broken_client_does_not_notice() {
    let servers = shared::single().await;
    let running = proxy(&servers).with("pool", "size = 2").start().await;
    let mut beside = Wire::start(running.postgres).await;
    beside.run("BEGIN; CREATE TEMP TABLE mine (a int)").await;
    for (what, bytes) in broken() {
        let mut wire = Wire::start(running.postgres).await;
        wire.send(&bytes).await;
        assert_eq!(code(&wire.rest().await), "08P01", "{what}");
        assert_eq!(beside.value("INSERT INTO mine VALUES (1) RETURNING 'x'").await, "x");
    }
    assert_eq!(beside.value("SELECT count(*) FROM mine").await, broken().len().to_string());
    beside.run("COMMIT").await;
}

#[tokio::test]
async fn what_the_server_itself_must_judge_is_an_error_of_the_server() {
    let servers = shared::single().await;
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let server = servers.primary().address().parse().expect("an address");
    for bytes in [
        [parse("", "SELECT 1"), frame(b'B', b"\0\0\0\x01"), sync()].concat(),
        [parse("", "SELECT 1"), frame(b'B', b"\0\0\0\0\0\0\0\x05\0\0"), sync()].concat(),
        [parse("a", "SELECT 1"), frame(b'B', b"\0a\0\0\0\0\0\0\x05\0\0"), sync()].concat(),
        [unnamed("SELECT 1"), frame(b'E', b"no end"), sync()].concat(),
        frame(b'F', b"\0"),
        query("SELECT '\u{0}x'"),
    ] {
        let mut direct = Wire::start(server).await;
        direct.send(&bytes).await;
        let mut through = Wire::start(running.postgres).await;
        through.send(&bytes).await;
        let expected = direct.until(b"ZE").await;
        let got = through.until(b"ZE").await;
        assert_eq!(code(&got), code(&expected), "{}", bytes.escape_ascii());
    }
    assert!(Wire::start(running.postgres).await.is_alive().await);
}

#[tokio::test]
async fn nonsense_before_the_login() {
    let servers = shared::single().await;
    let running = proxy(&servers).start().await;
    for (what, bytes) in [
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("zeros", vec![0; 64]),
        ("a length of 7", b"\0\0\0\x07\0\0\0\0".to_vec()),
        ("a length of 1 GB", b"\x40\0\0\0\0\x03\0\0".to_vec()),
        ("protocol 2", packet(2 << 16, b"postgres\0")),
        ("protocol 4", packet(4 << 16, b"user\0postgres\0\0")),
        ("no end", packet(3 << 16, b"user\0postgres")),
        ("a name alone", packet(3 << 16, b"user\0")),
        ("bytes after the end", packet(3 << 16, b"user\0postgres\0\0x")),
        ("no user", startup(0, &[("database", "postgres")])),
        ("a user that is not UTF-8", packet(3 << 16, b"user\0\xff\0\0")),
        ("a long cancel", cancel(1, &[1; 300])),
        ("a short cancel", packet(80_877_102, b"\0\0")),
        ("a request for TLS with a tail", packet(80_877_103, b"tail")),
    ] {
        let mut wire = Wire::open(running.postgres).await;
        wire.send(&bytes).await;
        let frames = wire.rest().await;
        assert_eq!(clear_error(&frames), "08P01", "{what}");
    }
    assert!(Wire::start(running.postgres).await.is_alive().await);
}

#[tokio::test]
async fn a_goodbye_before_the_login_is_not_answered() {
    let servers = shared::single().await;
    let running = proxy(&servers).start().await;
    let mut wire = Wire::open(running.postgres).await;
    wire.send(&frame(b'X', b"")).await;
    assert_eq!(wire.rest().await, []);
}
