//! The first bytes of a connection: encryption, protocol versions, startup parameters.

use crate::shared;
use crate::support::proxy::{Running, proxy};
use crate::wire::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const USER: [(&str, &str); 2] = [("user", "postgres"), ("database", "postgres")];

fn ssl_request() -> Vec<u8> {
    packet(80_877_103, b"")
}

fn gssenc_request() -> Vec<u8> {
    packet(80_877_104, b"")
}

/// A proxy with a certificate of its own, and a client that trusts it.
struct Secured {
    running: Running,
    trust: RootCertStore,
    _servers: Arc<crate::support::Cluster>,
    _folder: tempfile::TempDir,
}

async fn secured(mode: &str) -> Secured {
    let servers = shared::single().await;
    let folder = tempfile::tempdir().expect("a folder");
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (crt, key) = (folder.path().join("crt.pem"), folder.path().join("key.pem"));
    std::fs::write(&crt, cert.pem()).expect("writing it");
    std::fs::write(&key, signing_key.serialize_pem()).expect("writing it");
    let (crt, key) = (crt.display(), key.display());
    let tls = format!("[tls]\nmode = \"{mode}\"\ncert = \"{crt}\"\nkey = \"{key}\"");
    let running = proxy(&servers).top(&tls).start().await;
    let mut trust = RootCertStore::empty();
    trust.add(cert.der().clone()).expect("a root");
    Secured { running, trust, _servers: servers, _folder: folder }
}

impl Secured {
    async fn handshake(&self, tcp: TcpStream, alpn: &[&str]) -> std::io::Result<Wire> {
        let mut config = ClientConfig::builder()
            .with_root_certificates(self.trust.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(Wire::over(tls))
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.running.postgres).await.expect("a TCP connection")
    }
}

async fn byte(wire: &mut Wire) -> char {
    wire.stream.read_u8().await.expect("one byte") as char
}

#[tokio::test]
async fn requests_for_encryption_are_declined_where_there_is_none() {
    let servers = shared::single().await;
    let running = proxy(&servers).start().await;
    let mut wire = Wire::open(running.postgres).await;
    wire.send(&gssenc_request()).await;
    assert_eq!(byte(&mut wire).await, 'N');
    wire.send(&ssl_request()).await;
    assert_eq!(byte(&mut wire).await, 'N');
    wire.send(&startup(0, &USER)).await;
    wire.greet().await;
    assert!(wire.is_alive().await);
}

#[tokio::test]
async fn tls_after_a_request_for_it() {
    let secured = secured("require").await;
    let mut tcp = secured.tcp().await;
    tokio::io::AsyncWriteExt::write_all(&mut tcp, &gssenc_request()).await.expect("a request");
    assert_eq!(tcp.read_u8().await.expect("a byte"), b'N');
    tokio::io::AsyncWriteExt::write_all(&mut tcp, &ssl_request()).await.expect("a request");
    assert_eq!(tcp.read_u8().await.expect("a byte"), b'S');
    let mut wire = secured.handshake(tcp, &[]).await.expect("a handshake");
    wire.send(&startup(0, &USER)).await;
    wire.greet().await;
    assert!(wire.is_alive().await);
    let mut bare = Wire::open(secured.running.postgres).await;
    bare.send(&startup(0, &USER)).await;
    assert_eq!(clear_error(&bare.rest().await), "28000");
}

#[tokio::test]
async fn bytes_ahead_of_the_handshake_are_refused() {
    let secured = secured("allow").await;
    let mut wire = Wire::open(secured.running.postgres).await;
    wire.send(&[ssl_request(), startup(0, &USER)].concat()).await;
    let frames = wire.rest().await;
    assert_eq!(clear_error(&frames), "08P01");
    assert!(message(&frames).contains("unencrypted"), "{}", message(&frames));
}

#[tokio::test]
async fn direct_tls_needs_its_protocol_name() {
    let secured = secured("allow").await;
    let tcp = secured.tcp().await;
    let mut wire = secured.handshake(tcp, &["postgresql"]).await.expect("a handshake");
    wire.send(&startup(0, &USER)).await;
    wire.greet().await;
    assert!(wire.is_alive().await);
    for wrong in [&[][..], &["http/1.1"]] {
        let tcp = secured.tcp().await;
        // TLS 1.3 tells the client after its own part of the handshake.
        if let Ok(mut wire) = secured.handshake(tcp, wrong).await {
            wire.send(&startup(0, &USER)).await;
            assert_eq!(wire.next().await, None, "with {wrong:?}");
        }
    }
}

#[tokio::test]
async fn unknown_minor_versions_and_options_are_negotiated() {
    let servers = shared::single().await;
    let running = proxy(&servers).start().await;
    let plain = Wire::start(running.postgres).await;
    assert_eq!(plain.secret.len(), 4);
    assert!(plain.greeting.iter().all(|f| f.tag != b'v'));

    let newest = Wire::start_with(running.postgres, &startup(2, &USER)).await;
    assert!(newest.secret.len() > 4, "protocol 3.2 has long keys");
    assert!(newest.greeting.iter().all(|f| f.tag != b'v'));

    let mut future = Wire::start_with(running.postgres, &startup(9, &USER)).await;
    let told = &future.greeting[0];
    assert_eq!((told.tag, &told.body[..]), (b'v', &[0, 3, 0, 2, 0, 0, 0, 0][..]));
    assert!(future.is_alive().await);

    let with_option = [USER[0], USER[1], ("_pq_.sky", "blue")];
    let mut option = Wire::start_with(running.postgres, &startup(0, &with_option)).await;
    let told = &option.greeting[0];
    assert_eq!((told.tag, &told.body[..]), (b'v', &b"\0\x03\0\0\0\0\0\x01_pq_.sky\0"[..]));
    assert!(option.is_alive().await);
}

#[tokio::test]
async fn startup_parameters_are_those_of_the_session() {
    let servers = shared::single().await;
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let hello = startup(
        0,
        &[
            USER[0],
            USER[1],
            ("options", "-c work_mem=3MB -cgeqo=off --enable-seqscan=off"),
            ("application_name", "a b"),
            ("DateStyle", "German"),
        ],
    );
    let mut wire = Wire::start_with(running.postgres, &hello).await;
    assert!(brief(&wire.greeting).contains(&"S:DateStyle=German, DMY".to_owned()));
    let mut other = Wire::start(running.postgres).await;
    for _ in 0..2 {
        assert_eq!(wire.value("SHOW work_mem").await, "3MB");
        assert_eq!(wire.value("SHOW geqo").await, "off");
        assert_eq!(wire.value("SHOW enable_seqscan").await, "off");
        assert_eq!(wire.value("SHOW application_name").await, "a b");
        assert_eq!(other.value("SHOW work_mem").await, "4MB");
        assert_eq!(other.value("SHOW DateStyle").await, "ISO, MDY");
    }
    for (name, value, code) in
        [("nonsense", "1", "42704"), ("work_mem", "x", "22023"), ("replication", "true", "0A000")]
    {
        let mut wrong = Wire::open(running.postgres).await;
        wrong.send(&startup(0, &[USER[0], USER[1], (name, value)])).await;
        let frames = wrong.rest().await;
        assert_eq!(crate::wire::code(&frames), code, "{name}: {:?}", brief(&frames));
    }
}
