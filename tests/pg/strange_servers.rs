//! Behind the proxy is something that is not PostgreSQL, or no longer: clients get a clear error,
//! and those of another cluster do not notice.

use crate::shared;
use crate::support::proxy::{Running, proxy, proxy_to};
use crate::wire::*;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// Answers every connection with these bytes; `None`: hangs up at once.
async fn strange(says: Option<&'static [u8]>) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut tcp, _)) = listener.accept().await {
            if let Some(bytes) = says {
                let _ = tcp.write_all(bytes).await;
                open.push(tcp);
            }
        }
    });
    address
}

#[tokio::test]
async fn what_is_not_postgresql_is_a_clear_error_at_the_login() {
    let servers = shared::single().await;
    let closed = listener().await.1;
    for (what, address) in [
        ("HTTP", strange(Some(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await),
        ("a short length", strange(Some(b"R\0\0\0\x03")).await),
        ("a huge length", strange(Some(b"R\x7f\xff\xff\xff")).await),
        ("an unknown kind of authentication", strange(Some(b"R\0\0\0\x08\0\0\0\x63")).await),
        ("a stray message", strange(Some(b"Z\0\0\0\x05I")).await),
        ("an empty error", strange(Some(b"E\0\0\0\x05\0")).await),
        ("silence", strange(Some(b"")).await),
        ("a hang-up", strange(None).await),
        ("nobody", closed),
    ] {
        let strange = format!(
            "[clusters.strange]\ndatabases = [\"strange\"]\n\
             nodes = [{{ name = \"x\", address = \"{address}\" }}]\n\
             monitor = {{ user = \"postgres\" }}\n\
             auth = {{ method = \"trust\" }}\n\
             failover = {{ hold = \"300ms\" }}\n\
             pool = {{ connect_timeout = \"1s\" }}"
        );
        let running = proxy(&servers).top(&strange).start().await;
        let mut beside = Wire::start(running.postgres).await;
        let mut wire = Wire::open(running.postgres).await;
        wire.send(&startup(0, &[("user", "postgres"), ("database", "strange")])).await;
        let frames = wire.rest().await;
        let code = clear_error(&frames);
        assert!(["57P03", "08006", "08004"].contains(&&*code), "{what}: {:?}", brief(&frames));
        assert!(beside.is_alive().await, "{what}");
    }
}

/// A relay to a real server that turns strange at a word of the client.
async fn relay(server: SocketAddr) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(server).await.expect("the server");
            tokio::spawn(pump(client, server));
        }
    });
    address
}

async fn pump(client: TcpStream, server: TcpStream) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        to_client
    });
    let mut buffer = vec![0; 65536];
    while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
        let said = String::from_utf8_lossy(&buffer[..n]).into_owned();
        let Some(at) = said.find("strange:") else {
            let _ = to_server.write_all(&buffer[..n]).await;
            continue;
        };
        drop(to_server);
        let Ok(mut to_client) = back.await else { return };
        let word: String = said[at + 8..].chars().take_while(char::is_ascii_alphabetic).collect();
        let _ = to_client.write_all(&answer(&word)).await;
        if word != "close" {
            // Stays open until the proxy has had enough.
            while let Ok(1..) = from_client.read(&mut buffer).await {}
        }
        return;
    }
}

fn answer(word: &str) -> Vec<u8> {
    match word {
        "close" => vec![],
        "garbage" => b"\xff\xfe\xfd\xfc\xfb\xfa and so on".to_vec(),
        "short" => b"T\0\0\0\x03".to_vec(),
        "huge" => b"D\x7f\xff\xff\xff".to_vec(),
        "unknown" => frame(b'!', b""),
        // An answer to a function call.
        "unowed" => frame(b'V', b"\0\0\0\0"),
        "status" => frame(b'Z', b"?"),
        "twice" => [frame(b'Z', b"I"), frame(b'Z', b"I")].concat(),
        other => panic!("no answer for {other}"),
    }
}

async fn relayed() -> (Running, std::sync::Arc<crate::support::Cluster>) {
    let servers = shared::single().await;
    let server = servers.primary().address().parse().expect("an address");
    let running = proxy_to(&[("a", relay(server).await)])
        .with("pool", "size = 2")
        .with("failover", "hold = \"1s\"")
        .start()
        .await;
    (running, servers)
}

#[tokio::test]
async fn a_server_that_loses_its_mind_is_left_and_the_session_goes_on() {
    let (running, _servers) = relayed().await;
    let mut wire = Wire::start(running.postgres).await;
    for word in ["garbage", "short", "huge", "unknown", "unowed", "status"] {
        let mark = format!("'strange:{word}'");
        for bytes in [
            query(&format!("SELECT {mark}")),
            query(&format!("CREATE TABLE {mark}")),
            [unnamed(&format!("SELECT {mark}")), sync()].concat(),
        ] {
            let frames = wire.ask(&bytes).await;
            let code = clear_error(&frames);
            assert_eq!((&*code, tags(&frames)), ("08P01", "EZ".into()), "{word}");
            assert!(wire.is_alive().await, "{word}");
        }
        wire.run("BEGIN").await;
        wire.send(&query(&format!("SELECT {mark}"))).await;
        assert_eq!(clear_error(&wire.rest().await), "08P01", "{word}");
        wire = Wire::start(running.postgres).await;
    }
}

#[tokio::test]
async fn an_answer_too_many_never_reaches_the_next_client() {
    let (running, _servers) = relayed().await;
    for _ in 0..5 {
        let mut first = Wire::start(running.postgres).await;
        let mut second = Wire::start(running.postgres).await;
        first.send(&query("SELECT 'strange:twice'")).await;
        // Whether both came in one piece decides what the first one hears.
        let frames = first.until_ready().await;
        assert!(["Z", "EZ"].contains(&&*tags(&frames)), "{:?}", brief(&frames));
        for wire in [&mut second, &mut first] {
            assert_eq!(wire.value("SELECT 'mine'").await, "mine");
        }
    }
}

#[tokio::test]
async fn a_read_that_ends_every_server_is_given_up() {
    let (running, _servers) = relayed().await;
    let mut wire = Wire::start(running.postgres).await;
    let frames = wire.ask(&query("SELECT 'strange:close'")).await;
    let code = clear_error(&frames);
    assert!(["08006", "57P03"].contains(&&*code), "{:?}", brief(&frames));
    let frames = wire.ask(&query("CREATE TABLE 'strange:close'")).await;
    assert_eq!(clear_error(&frames), "08007");
    assert!(wire.is_alive().await);
}
