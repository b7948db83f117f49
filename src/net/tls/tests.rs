//! Handshakes over real sockets, with certificates made on the spot.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A folder of certificates by one authority.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("ca.crt"), certificate.pem()).expect("written");
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.path().join(name))
    }

    /// Writes `name.crt` and `name.key`, for a common name and DNS names.
    fn issue(&self, name: &str, common_name: &str, dns: &[&str]) {
        let key = KeyPair::generate().expect("a key");
        let dns: Vec<String> = dns.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(dns).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, common_name);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let path = |ext: &str| self.folder.path().join(format!("{name}.{ext}"));
        fs::write(path("crt"), certificate.pem()).expect("written");
        fs::write(path("key"), key.serialize_pem()).expect("written");
    }

    fn listening(&self, mode: ClientMode) -> ClientSide {
        ClientSide {
            mode,
            cert_file: self.file("server.crt"),
            key_file: self.file("server.key"),
            ca_file: (mode == ClientMode::Verify).then(|| self.folder.path().join("ca.crt")),
            alpn: vec![ALPN_POSTGRESQL.to_vec()],
            ..ClientSide::default()
        }
    }

    fn connecting(&self, mode: ServerMode) -> ServerSide {
        let ca_file = self.file("ca.crt");
        let alpn = vec![ALPN_POSTGRESQL.to_vec()];
        ServerSide { mode, ca_file, alpn, ..ServerSide::default() }
    }
}

fn authority_with_server() -> Authority {
    let authority = Authority::new();
    authority.issue("server", "db1", &["db1.example"]);
    authority
}

fn acceptor(settings: ClientSide) -> Acceptor {
    Acceptor::new(settings, &mut Authorities::default()).expect("an acceptor")
}

fn connector(settings: &ServerSide) -> Connector {
    Connector::new(settings, &mut Authorities::default()).expect("a connector")
}

type Result2 = (Result<Secured, HandshakeError>, Result<Secured, HandshakeError>);

/// Both sides of a handshake over loopback, and a byte each way if it went well.
async fn shake(acceptor: &Acceptor, connector: &Connector, host: &str, direct: bool) -> Result2 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let tcp = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("TCP");
    let (peer, _) = listener.accept().await.expect("accepted");
    let (mut server, mut client) =
        tokio::join!(acceptor.accept(peer, direct), connector.connect(tcp, host));
    if let (Ok(server), Ok(client)) = (&mut server, &mut client) {
        let mut byte = [0; 1];
        client.stream.write_all(b"?").await.expect("written");
        client.stream.flush().await.expect("flushed");
        server.stream.read_exact(&mut byte).await.expect("read");
        server.stream.write_all(b"!").await.expect("written");
        server.stream.flush().await.expect("flushed");
        client.stream.read_exact(&mut byte).await.expect("read");
        assert_eq!(&byte, b"!");
    }
    (server, client)
}

#[tokio::test]
async fn both_sides_agree_on_the_channel() {
    let authority = authority_with_server();
    for min_version in [MinVersion::Tls12, MinVersion::Tls13] {
        let acceptor =
            acceptor(ClientSide { min_version, ..authority.listening(ClientMode::Require) });
        let connector = connector(&authority.connecting(ServerMode::VerifyFull));
        let (server, client) = shake(&acceptor, &connector, "db1.example", true).await;
        let (server, client) = (server.expect("server").channel, client.expect("client").channel);
        assert!(server.end_point.is_some());
        assert_eq!(server.end_point, client.end_point);
        assert_eq!(server.end_point, acceptor.end_point());
        assert_eq!(server.alpn.as_deref(), Some(ALPN_POSTGRESQL));
        let named = client.peer.expect("a certificate");
        assert_eq!(named.common_name.as_deref(), Some("db1"));
        assert_eq!(named.dns_names, ["db1.example"]);
        assert_eq!(server.peer, None);
    }
}

#[tokio::test]
async fn each_mode_checks_what_it_says() {
    let ours = authority_with_server();
    let acceptor = acceptor(ours.listening(ClientMode::Allow));
    let strangers = Authority::new();
    for (authority, mode, host, accepted) in [
        (&ours, ServerMode::VerifyFull, "db1.example", true),
        (&ours, ServerMode::VerifyFull, "db2.example", false),
        (&ours, ServerMode::VerifyFull, "127.0.0.1", false),
        (&ours, ServerMode::VerifyCa, "db2.example", true),
        (&ours, ServerMode::VerifyCa, "127.0.0.1", true),
        (&strangers, ServerMode::VerifyCa, "db1.example", false),
        (&strangers, ServerMode::Require, "db1.example", false),
        (&strangers, ServerMode::Prefer, "db1.example", true),
    ] {
        let connector = connector(&authority.connecting(mode));
        let (_, client) = shake(&acceptor, &connector, host, false).await;
        assert_eq!(client.is_ok(), accepted, "{mode:?} {host}: {:?}", client.err());
    }
    let unchecked = ServerSide { ca_file: None, ..strangers.connecting(ServerMode::Require) };
    assert!(shake(&acceptor, &connector(&unchecked), "db1.example", false).await.1.is_ok());
    let off = connector(&ours.connecting(ServerMode::Disable));
    assert!(matches!(shake(&acceptor, &off, "db1", false).await.1, Err(HandshakeError::Off)));
}

/// As PostgreSQL's manual makes them for a start: one certificate, its own authority.
#[tokio::test]
async fn a_self_signed_certificate_is_trusted_if_it_is_listed_itself() {
    let authority = Authority::new();
    let write = |not_after| {
        let key = KeyPair::generate().expect("a key");
        let names = vec!["db1.example".to_owned()];
        let mut params = CertificateParams::new(names).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(not_after, 1, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        let path = |name: &str| authority.folder.path().join(name);
        fs::write(path("server.crt"), certificate.pem()).expect("written");
        fs::write(path("ca.crt"), certificate.pem()).expect("written");
        fs::write(path("server.key"), key.serialize_pem()).expect("written");
    };
    for (not_after, mode, host, accepted) in [
        (4000, ServerMode::VerifyFull, "db1.example", true),
        (4000, ServerMode::VerifyFull, "db2.example", false),
        (4000, ServerMode::VerifyCa, "db2.example", true),
        (2001, ServerMode::VerifyCa, "db1.example", false),
    ] {
        write(not_after);
        let acceptor = acceptor(authority.listening(ClientMode::Allow));
        let connector = connector(&authority.connecting(mode));
        let (_, client) = shake(&acceptor, &connector, host, false).await;
        assert_eq!(client.is_ok(), accepted, "{not_after} {mode:?} {host}: {:?}", client.err());
    }
}

#[tokio::test]
async fn a_wrong_name_is_named_with_the_right_ones() {
    let authority = authority_with_server();
    let acceptor = acceptor(authority.listening(ClientMode::Allow));
    let settings = authority.connecting(ServerMode::VerifyFull);
    let error = shake(&acceptor, &connector(&settings), "db2.example", false).await.1.err();
    let text = error.expect("refused").to_string();
    for part in ["\"db2.example\"", "db1.example", "hint: "] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    let renamed = ServerSide { server_name: Some("db1.example".to_owned()), ..settings };
    assert!(shake(&acceptor, &connector(&renamed), "10.0.0.1", false).await.1.is_ok());
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_and_read() {
    let authority = authority_with_server();
    authority.issue("app", "app", &[]);
    let acceptor = acceptor(authority.listening(ClientMode::Verify));
    let without = authority.connecting(ServerMode::VerifyFull);
    let (server, _) = shake_server(&acceptor, &connector(&without)).await;
    assert!(matches!(server, Err(HandshakeError::Untrusted { .. })));

    let with = ServerSide {
        cert_file: authority.file("app.crt"),
        key_file: authority.file("app.key"),
        ..without.clone()
    };
    let (server, _) = shake_server(&acceptor, &connector(&with)).await;
    let peer = server.expect("accepted").channel.peer.expect("a certificate");
    assert_eq!(peer.common_name.as_deref(), Some("app"));

    let stranger = Authority::new();
    stranger.issue("app", "app", &[]);
    let forged = ServerSide {
        cert_file: stranger.file("app.crt"),
        key_file: stranger.file("app.key"),
        ..without
    };
    let (server, _) = shake_server(&acceptor, &connector(&forged)).await;
    assert!(matches!(server, Err(HandshakeError::Untrusted { .. })));
}

/// As `shake`, but by TLS 1.3 a client learns only after its handshake that its certificate was
/// refused: nothing is sent.
async fn shake_server(acceptor: &Acceptor, connector: &Connector) -> Result2 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let tcp = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("TCP");
    let (peer, _) = listener.accept().await.expect("accepted");
    tokio::join!(acceptor.accept(peer, false), connector.connect(tcp, "db1.example"))
}

#[tokio::test]
async fn direct_tls_needs_alpn() {
    let authority = authority_with_server();
    let acceptor = acceptor(authority.listening(ClientMode::Allow));
    let silent = ServerSide { alpn: Vec::new(), ..authority.connecting(ServerMode::VerifyFull) };
    let (server, _) = shake_server(&acceptor, &connector(&silent)).await;
    assert_eq!(server.expect("after an SSLRequest").channel.alpn, None);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let tcp = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("TCP");
    let (peer, _) = listener.accept().await.expect("accepted");
    let silent = connector(&silent);
    let (server, _) = tokio::join!(acceptor.accept(peer, true), silent.connect(tcp, "db1.example"));
    assert!(matches!(server, Err(HandshakeError::NoAlpn(name)) if name == "postgresql"));
}

#[tokio::test]
async fn a_reload_changes_the_certificate_and_a_failed_one_keeps_it() {
    let authority = authority_with_server();
    let acceptor = acceptor(authority.listening(ClientMode::Require));
    let connector = connector(&authority.connecting(ServerMode::VerifyFull));
    let before = acceptor.end_point();

    authority.issue("server", "db1 renewed", &["db1.example"]);
    acceptor.reload().expect("a reload");
    let after = acceptor.end_point();
    assert_ne!(before, after);
    assert!(acceptor.ends().is_some_and(|end| end > std::time::SystemTime::now()));
    let (_, client) = shake(&acceptor, &connector, "db1.example", false).await;
    assert_eq!(client.expect("connected").channel.end_point, after);

    authority.issue("other", "other", &[]);
    for (from, words) in [("other.key", "cert_file = "), ("ca.crt", "key_file = ")] {
        let (from, to) = (authority.file(from), authority.file("server.key"));
        fs::copy(from.expect("a path"), to.expect("a path")).expect("copied");
        let error = acceptor.reload().expect_err("a key of another certificate").to_string();
        assert!(error.starts_with(words), "{error}");
    }
    let (_, client) = shake(&acceptor, &connector, "db1.example", false).await;
    assert_eq!(client.expect("connected").channel.end_point, after);
}

#[test]
fn settings_that_lack_something_name_it() {
    let authority = authority_with_server();
    let accept = |change: fn(&mut ClientSide)| {
        let mut settings = authority.listening(ClientMode::Verify);
        change(&mut settings);
        Acceptor::new(settings, &mut Authorities::default()).expect_err("refused").to_string()
    };
    assert_eq!(accept(|s| s.cert_file = None), "cert_file: needed by mode \"verify\"");
    assert_eq!(accept(|s| s.key_file = None), "key_file: needed by mode \"verify\"");
    assert_eq!(accept(|s| s.ca_file = None), "ca_file: needed by mode \"verify\"");
    let missing = accept(|s| s.cert_file = Some("/nonexistent/a".into()));
    assert!(missing.starts_with("cert_file = /nonexistent/a: "), "{missing}");
    let empty = accept(|s| s.ca_file = s.key_file.clone());
    assert!(empty.ends_with(": no certificate in the file"), "{empty}");

    let settings = ServerSide { mode: ServerMode::VerifyFull, ..ServerSide::default() };
    let error = Connector::new(&settings, &mut Authorities::default()).expect_err("refused");
    assert_eq!(error.to_string(), "ca_file: needed by mode \"verify-full\"");
}

#[test]
fn one_bundle_is_read_once() {
    let authority = authority_with_server();
    let mut authorities = Authorities::default();
    let path = authority.file("ca.crt").expect("a path");
    let first = authorities.load("ca_file", &path).expect("a bundle");
    fs::remove_file(&path).expect("removed");
    assert!(Arc::ptr_eq(&first, &authorities.load("ca_file", &path).expect("the same")));
}

#[tokio::test]
async fn sessions_are_resumed_and_keep_their_binding() {
    let authority = authority_with_server();
    let acceptor = acceptor(authority.listening(ClientMode::Require));
    let connector = connector(&authority.connecting(ServerMode::VerifyFull));
    let kind = |secured: Secured| match secured.stream {
        Stream::ToServer(tls) => (tls.get_ref().1.handshake_kind(), secured.channel.end_point),
        _ => panic!("not TLS"),
    };
    let (_, first) = shake(&acceptor, &connector, "db1.example", false).await;
    let (_, again) = shake(&acceptor, &connector, "db1.example", false).await;
    let (first, again) = (kind(first.expect("connected")), kind(again.expect("connected")));
    assert_eq!(first.0, Some(rustls::HandshakeKind::Full));
    assert_eq!(again.0, Some(rustls::HandshakeKind::Resumed));
    assert_eq!(first.1, again.1);
}
