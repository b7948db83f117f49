//! Logins that never end: each is ended, and gives its place back.

use crate::authority::Authority;
use crate::fixture::{PATIENCE, Secrets, servers, tls, who};
use crate::support::ask::until;
use crate::support::proxy::proxy;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const STARTUP: &[u8] = b"\0\0\0\x24\0\x03\0\0user\0app\0database\0postgres\0\0";
const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";

/// The first message of SCRAM-SHA-256.
fn sasl_initial() -> Vec<u8> {
    let first = "n,,n=,r=abcdefgh";
    let mut body = b"SCRAM-SHA-256\0".to_vec();
    body.extend(u32::try_from(first.len()).expect("short").to_be_bytes());
    body.extend(first.as_bytes());
    let length = u32::try_from(body.len() + 4).expect("short");
    [&b"p"[..], &length.to_be_bytes(), &body].concat()
}

/// Says this and no more; all that comes until the other side hangs up.
async fn until_the_end(address: SocketAddr, says: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(address).await.expect("TCP");
    tcp.write_all(says).await.expect("written");
    let mut answer = Vec::new();
    let end = tcp.read_to_end(&mut answer);
    // A reset is an end as well: what was sent last may not have been read.
    let _ = tokio::time::timeout(PATIENCE, end).await.expect("the end");
    answer
}

#[tokio::test]
async fn every_half_login_ends_in_time_and_gives_its_place_back() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let authority = Authority::new();
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let top = tls("allow", &authority.issue(&["localhost"]), None);
    let running = proxy(&servers)
        .top(&format!("login_timeout = \"1s\"\n{top}"))
        .with("auth", &auth)
        .with("pool", "max_clients = 1")
        .start()
        .await;
    let half_sasl = [STARTUP, &sasl_initial()].concat();
    // A record that says it has 512 bytes of a ClientHello.
    let half_hello = [SSL_REQUEST, b"\x16\x03\x01\x02\x00\x01"].concat();
    let direct_hello = b"\x16\x03\x01\x02\x00\x01".to_vec();
    for (says, told) in [
        (STARTUP[..20].to_vec(), "login took longer"),
        (STARTUP.to_vec(), "login took longer"),
        (half_sasl[..half_sasl.len() - 3].to_vec(), "login took longer"),
        (half_sasl, "login took longer"),
        (SSL_REQUEST.to_vec(), "S"),
        (half_hello, "S"),
        (direct_hello, ""),
    ] {
        let answer = until_the_end(running.postgres, &says).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains(told), "{says:?}: {answer:?}");
    }
    until("the place", || async { who(&running, "app", "pencil").await.is_ok() }).await;
}
