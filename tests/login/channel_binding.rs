//! SCRAM-SHA-256-PLUS: somebody in the middle who ends TLS on both sides gets nowhere.

use crate::authority::{Authority, Pair};
use crate::fixture::{Secrets, psql, servers, tls, who};
use crate::support::proxy::proxy;
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate::net::Stream;
use tidegate::net::tls::{Acceptor, Authorities, ClientMode, ClientSide};
use tidegate::net::tls::{Connector, ServerMode, ServerSide};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Takes TLS connections with a certificate of its own and passes on what it reads, again by TLS.
async fn middle(target: SocketAddr, pair: &Pair) -> SocketAddr {
    let ours = ClientSide {
        mode: ClientMode::Require,
        cert_file: Some(pair.cert.clone()),
        key_file: Some(pair.key.clone()),
        ..ClientSide::default()
    };
    let onward = ServerSide { mode: ServerMode::Require, ..ServerSide::default() };
    let acceptor = Arc::new(Acceptor::new(ours, &mut Authorities::default()).expect("TLS"));
    let connector = Connector::new(&onward, &mut Authorities::default()).expect("TLS");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(pass_on(tcp, target, acceptor.clone(), connector.clone()));
        }
    });
    address
}

async fn pass_on(
    mut tcp: TcpStream,
    target: SocketAddr,
    acceptor: Arc<Acceptor>,
    connector: Connector,
) -> Option<()> {
    let mut asked = [0; 8];
    tcp.read_exact(&mut asked).await.ok()?;
    assert_eq!(asked, SSL_REQUEST);
    tcp.write_all(b"S").await.ok()?;
    let mut near: Stream = acceptor.accept(tcp, false).await.ok()?.stream;
    let mut tcp = TcpStream::connect(target).await.ok()?;
    tcp.write_all(&SSL_REQUEST).await.ok()?;
    assert_eq!(tcp.read_u8().await.ok()?, b'S');
    let mut far = connector.connect(tcp, "localhost").await.ok()?.stream;
    copy_bidirectional(&mut near, &mut far).await.ok()?;
    Some(())
}

#[tokio::test]
async fn a_client_is_bound_to_our_certificate() {
    let servers = servers("scram").start().await.expect("a cluster");
    let (authority, secrets) = (Authority::new(), Secrets::new());
    let top = tls("require", &authority.issue(&["localhost"]), None);
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let running = proxy(&servers).top(&top).with("auth", &auth).start().await;
    let port = running.postgres.port();
    let full = format!("user=app sslmode=verify-full sslrootcert={}", authority.ca().display());
    for bound in ["require", "disable"] {
        for version in ["TLSv1.2", "TLSv1.3"] {
            let options =
                format!("{full} channel_binding={bound} ssl_max_protocol_version={version}");
            assert_eq!(psql(port, &options, "pencil").await, Ok("app".into()), "{options}");
        }
    }
    let other = Authority::new();
    let middle = middle(running.postgres, &other.issue(&["localhost"])).await.port();
    let trusting = "user=app sslmode=require channel_binding";
    let refused = psql(middle, &format!("{trusting}=require"), "pencil").await;
    let refused = refused.expect_err("somebody in the middle");
    assert!(refused.contains("password authentication failed"), "{refused}");
    // Nothing else is wrong with the one in the middle.
    let unbound = psql(middle, &format!("{trusting}=disable"), "pencil").await;
    assert_eq!(unbound, Ok("app".into()));
}

#[tokio::test]
async fn we_are_bound_to_the_certificate_of_a_server() {
    let (authority, secrets) = (Authority::new(), Secrets::new());
    let pair = authority.issue(&["localhost"]);
    let servers = servers("scram").tls(&pair.cert, &pair.key).start().await.expect("a cluster");
    let verifier = crate::fixture::stored(&servers, "app").await;
    let direct: SocketAddr = servers.primary().address().parse().expect("an address");
    let middle = middle(direct, &Authority::new().issue(&["localhost"])).await;
    for listed in ["pencil", &verifier] {
        let auth = format!("method = \"scram\"\n{}", secrets.user("app", listed));
        let wanted = || proxy(&servers).with("auth", &auth).with("tls", "mode = \"require\"");
        assert_eq!(who(&wanted().start().await, "app", "pencil").await, Ok("app".into()));
        let running = wanted().reached_at(0, middle).start().await;
        let said = who(&running, "app", "pencil").await.expect_err("somebody in the middle");
        assert!(said.message.contains("channel binding"), "{said:?}");
        // Nothing else is wrong with the one in the middle.
        let seen = running.admin("SHOW NODES").await;
        assert_eq!(seen[0][3].as_deref(), Some("primary"), "{seen:?}");
    }
}
