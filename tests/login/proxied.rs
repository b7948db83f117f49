//! Behind a load balancer that speaks the PROXY protocol: rules and limits see the client.

use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, cluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::{Client, NoTls};

/// Who is not from the network of the documentation stays outside.
async fn behind_a_balancer(servers: &Cluster) -> Running {
    let rule = "rules = [{ from = [\"192.0.2.0/24\"], method = \"trust\" }]";
    let speakers = "proxy_protocol = [\"127.0.0.0/8\"]";
    proxy(servers).top(speakers).with("auth", rule).start().await
}

/// A connection that begins with these bytes.
async fn come(running: &Running, header: &[u8]) -> Result<Client, tokio_postgres::Error> {
    let mut tcp = TcpStream::connect(running.postgres).await.expect("a connection");
    tcp.write_all(header).await.expect("writing");
    let mut config = tokio_postgres::Config::new();
    config.user("postgres").dbname("postgres");
    let (client, connection) = config.connect_raw(tcp, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

#[tokio::test]
async fn a_client_is_known_by_the_address_that_the_balancer_tells() {
    let servers = cluster().start().await.expect("a cluster");
    let running = behind_a_balancer(&servers).await;
    let text = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 6432\r\n";
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc0\0\x02\x01\x9c\x40\x19\x20";
    let (first, second) = (come(&running, text).await, come(&running, binary).await);
    let both = [first.expect("a client"), second.expect("a client")];
    let mut addresses: Vec<String> =
        running.proxy.console.engine.clients.all().iter().map(|c| c.address.to_string()).collect();
    addresses.sort();
    assert_eq!(addresses, ["192.0.2.7:40000", "192.0.2.8:40000"]);
    for client in both {
        client.simple_query("SELECT 1").await.expect("an answer");
    }
    // The balancer itself, and a client from elsewhere.
    for outside in [&b"PROXY UNKNOWN\r\n"[..], b"PROXY TCP4 198.51.100.7 192.0.2.1 40000 6432\r\n"]
    {
        let told = come(&running, outside).await.map(drop).expect_err("no rule");
        assert_eq!(told.code().map(|code| code.code()), Some("28000"), "{told:?}");
    }
}

#[tokio::test]
async fn who_has_to_speak_for_others_and_does_not_is_refused() {
    let servers = cluster().start().await.expect("a cluster");
    let running = behind_a_balancer(&servers).await;
    let mut tcp = TcpStream::connect(running.postgres).await.expect("a connection");
    tcp.write_all(b"not a header").await.expect("writing");
    let mut told = Vec::new();
    tcp.read_to_end(&mut told).await.expect("an answer");
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("08P01") && told.contains("does not begin with a header"), "{told}");
}
