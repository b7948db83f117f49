//! TLS without a request in plain, and what must not come before a handshake.

use crate::authority::Authority;
use crate::fixture::{Secrets, servers, tls, who};
use crate::support::proxy::{Running, proxy};
use std::net::SocketAddr;
use tidegate::net::Stream;
use tidegate::net::tls::{ALPN_POSTGRESQL, Authorities, Connector, ServerMode, ServerSide};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// TLS from the first byte on.
pub(crate) async fn connect(to: SocketAddr, authority: &Authority) -> Result<Stream, String> {
    offering(to, authority, &[ALPN_POSTGRESQL]).await
}

async fn offering(
    to: SocketAddr,
    authority: &Authority,
    protocols: &[&[u8]],
) -> Result<Stream, String> {
    let settings = ServerSide {
        mode: ServerMode::VerifyFull,
        ca_file: Some(authority.ca()),
        alpn: protocols.iter().map(|p| p.to_vec()).collect(),
        ..ServerSide::default()
    };
    let connector = Connector::new(&settings, &mut Authorities::default()).expect("TLS");
    let tcp = TcpStream::connect(to).await.expect("TCP");
    connector.connect(tcp, "localhost").await.map(|s| s.stream).map_err(|e| e.to_string())
}

async fn start(authority: &Authority) -> (crate::support::Cluster, Running, Secrets) {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let top = tls("allow", &authority.issue(&["localhost"]), None);
    let running = proxy(&servers).top(&top).with("auth", &auth).start().await;
    (servers, running, secrets)
}

/// Nothing but the end may come.
async fn assert_hung_up(mut stream: impl AsyncReadExt + Unpin) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"", "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn direct_tls_needs_our_protocol_by_alpn() {
    let authority = Authority::new();
    let (_servers, running, _secrets) = start(&authority).await;
    let stream = connect(running.postgres, &authority).await.expect("direct TLS");
    let mut config = tokio_postgres::Config::new();
    config.user("app").password("pencil").dbname("postgres");
    let (client, connection) =
        config.connect_raw(stream, tokio_postgres::NoTls).await.expect("a login");
    tokio::spawn(connection);
    client.simple_query("SELECT 1").await.expect("an answer");

    // Another protocol could be made to misread ours (the ALPACA attack).
    if let Ok(mut stream) = offering(running.postgres, &authority, &[b"h2"]).await {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        assert_hung_up(stream).await;
    }
    let stream = offering(running.postgres, &authority, &[]).await;
    assert_hung_up(stream.expect("the end comes after the handshake")).await;
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
}

#[tokio::test]
async fn what_comes_before_the_handshake_is_refused() {
    let authority = Authority::new();
    let (_servers, running, _secrets) = start(&authority).await;
    let mut tcp = TcpStream::connect(running.postgres).await.expect("TCP");
    // An SSLRequest and, in one packet with it, what an attacker would like to be believed.
    let mut bytes = vec![0, 0, 0, 8, 4, 210, 22, 47];
    bytes.extend(b"\0\0\0\x16\0\x03\0\0user\0postgres\0\0");
    tcp.write_all(&bytes).await.expect("written");
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(answer.first() == Some(&b'E') && text.contains("C08P01"), "{text}");
    assert!(text.contains("unencrypted data"), "{text}");
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
}
