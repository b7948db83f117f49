//! Logins against the real thing: our client side against PostgreSQL, libpq against our server
//! side, with passwords, verifiers and channel binding.

use bytes::{BufMut, BytesMut};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::fs;
use std::net::TcpListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tidegate::net::Stream;
use tidegate::net::tls::{
    Acceptor, Authorities, Channel, ClientMode, ClientSide, Connector, ServerMode, ServerSide,
};
use tidegate::pg::auth::scram::{ClientKeys, KeyCache, Mock, ScramClient, ScramSecret};
use tidegate::pg::auth::scram::{ScramServer, Verifier, fresh_nonce};
use tidegate::pg::auth::{
    CertificateMap, Cleartext, Credential, Login, LoginRequest, Method, Secret, ServerAccepted,
    ServerLogin, ServerLoginRequest, ServerSecret, ServerStep, Step,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BIN: &str = "/usr/lib/postgresql/15/bin";

/// SASLprep makes a plain space of the no-break space.
const ODD_PASSWORD: &str = "no\u{a0}break";

/// A PostgreSQL server in a temporary folder; stopped when dropped.
struct Database {
    folder: TempDir,
    server: Child,
    port: u16,
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &str) -> Command {
    let program = format!("{BIN}/{program}");
    if fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) != 0) {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", &program]);
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("a program that starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// `ca.crt`, and `server.crt` with `server.key` for "localhost".
fn certificates(folder: &Path) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "authority");
    let ca_certificate = ca.self_signed(&ca_key).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let issued = server.signed_by(&key, &Issuer::new(ca, ca_key)).expect("a certificate");
    fs::write(folder.join("ca.crt"), ca_certificate.pem()).expect("written");
    fs::write(folder.join("server.crt"), issued.pem()).expect("written");
    fs::write(folder.join("server.key"), key.serialize_pem()).expect("written");
    run(Command::new("chmod").arg("600").arg(folder.join("server.key")));
}

impl Database {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().display().to_string();
        certificates(folder.path());
        fs::write(folder.path().join("password"), "super").expect("written");
        if fs::metadata(folder.path()).is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
            run(Command::new("chown").args(["-R", "postgres:postgres", &root]));
        }
        let data = format!("{root}/data");
        let password = format!("--pwfile={root}/password");
        run(as_postgres("initdb")
            .args(["-A", "scram-sha-256", "-N", "-U", "postgres", &password])
            .args(["-E", "UTF8", "--locale=C", "-D", &data]));
        let hba = "host all legacy 127.0.0.1/32 md5\nhost all clear 127.0.0.1/32 password\n\
                   host all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(format!("{data}/pg_hba.conf"), hba).expect("written");

        let port =
            StdListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
        let mut command = as_postgres("postgres");
        command.args(["-D", &data, "-p", &port.to_string(), "-k", ""]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "ssl=on"]);
        command.args(["-c", &format!("ssl_cert_file={root}/server.crt")]);
        command.args(["-c", &format!("ssl_key_file={root}/server.key")]);
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("postgres");
        let database = Self { folder, server, port };
        database.wait();
        database.sql("create role app login password 'pencil'");
        database.sql(&format!("create role odd login password '{ODD_PASSWORD}'"));
        database.sql("create role clear login password 'seen'");
        database.sql("set password_encryption = md5; create role legacy login password 'old'");
        database
    }

    fn wait(&self) {
        let ready = || {
            let mut command = Command::new(format!("{BIN}/pg_isready"));
            command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            command.status().is_ok_and(|s| s.success())
        };
        for _ in 0..600 {
            if ready() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("PostgreSQL did not start within a minute");
    }

    fn sql(&self, statement: &str) -> String {
        let mut psql = Command::new(format!("{BIN}/psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d"]);
        psql.args(["postgres", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", statement]);
        run(psql.env("PGPASSWORD", "super").env("PGCLIENTENCODING", "UTF8"))
    }

    fn verifier(&self, user: &str) -> Verifier {
        let query = format!("select rolpassword from pg_authid where rolname = '{user}'");
        Verifier::parse(&self.sql(&query)).expect("a verifier")
    }

    fn tls(&self) -> Connector {
        let ca_file = Some(self.folder.path().join("ca.crt"));
        let settings = ServerSide { mode: ServerMode::VerifyFull, ca_file, ..Default::default() };
        Connector::new(&settings, &mut Authorities::default()).expect("a connector")
    }
}

async fn read_message(stream: &mut Stream) -> (u8, Vec<u8>) {
    let tag = stream.read_u8().await.expect("a message");
    let length = stream.read_u32().await.expect("a length") as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.expect("a body");
    (tag, body)
}

async fn write_message(stream: &mut Stream, tag: Option<u8>, body: &[u8]) {
    let mut out = BytesMut::new();
    tag.into_iter().for_each(|tag| out.put_u8(tag));
    out.put_u32(u32::try_from(body.len() + 4).expect("a short message"));
    out.put_slice(body);
    stream.write_all(&out).await.expect("written");
    stream.flush().await.expect("flushed");
}

async fn connect(db: &Database, tls: Option<&Connector>) -> (Stream, Option<Channel>) {
    let mut tcp = TcpStream::connect(("127.0.0.1", db.port)).await.expect("TCP");
    let Some(tls) = tls else { return (Stream::Plain(tcp), None) };
    tcp.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.expect("SSLRequest");
    assert_eq!(tcp.read_u8().await.expect("an answer"), b'S');
    let secured = tls.connect(tcp, "localhost").await.expect("TLS");
    (secured.stream, Some(secured.channel))
}

/// Logs in and waits for ReadyForQuery; the server's or our own words if it does not work.
async fn log_in(
    db: &Database,
    user: &str,
    secret: ServerSecret,
    (mut stream, channel): (Stream, Option<Channel>),
) -> Result<ServerAccepted, String> {
    let startup = format!("\0\x03\0\0user\0{user}\0database\0postgres\0\0");
    write_message(&mut stream, None, startup.as_bytes()).await;
    assert!(db.port > 0);
    let mut login = ServerLogin::start(ServerLoginRequest {
        user,
        secret,
        channel: channel.as_ref(),
        cleartext: Cleartext::OverTls,
        cache: Arc::new(KeyCache::new(4)),
    });
    let how = loop {
        let (tag, body) = read_message(&mut stream).await;
        if tag == b'E' {
            return Err(String::from_utf8_lossy(&body).to_string());
        }
        match login.on(&body).map_err(|e| e.to_string())? {
            ServerStep::Accepted(how) => break how,
            ServerStep::Continue { login: next, send } => {
                login = next;
                if let Some(body) = send {
                    write_message(&mut stream, Some(b'p'), &body).await;
                }
            }
        }
    };
    while read_message(&mut stream).await.0 != b'Z' {}
    Ok(how)
}

fn password(text: &str) -> ServerSecret {
    ServerSecret::password(Secret::new(text))
}

/// What a client's login leaves behind with us when we know nothing but the verifier.
fn passed_through(verifier: Verifier, password: &str) -> ClientKeys {
    let server = ScramServer::new(verifier, None, fresh_nonce().expect("random"));
    let secret = ScramSecret::Password(Secret::new(password));
    let nonce = fresh_nonce().expect("random");
    let client = ScramClient::choose(server.offers(), secret, None, nonce).expect("a mechanism");
    let mechanism = client.mechanism();
    let (client, message) = client.start();
    let (server, message) = server.first(mechanism, &message).expect("first");
    let (_, message) = client.first(&message, &KeyCache::new(1)).expect("challenge");
    server.last(&message).expect("the right password").keys
}

#[tokio::test]
async fn we_log_in_to_postgresql_in_every_way_it_asks_for() {
    let db = Database::start();
    let (plain, tls) = (|| connect(&db, None), db.tls());
    let bound = || connect(&db, Some(&tls));

    let how = log_in(&db, "app", password("pencil"), plain().await).await;
    assert_eq!(how, Ok(ServerAccepted::Scram));
    let how = log_in(&db, "app", password("pencil"), bound().await).await;
    assert_eq!(how, Ok(ServerAccepted::ScramPlus));
    let how = log_in(&db, "odd", password(ODD_PASSWORD), plain().await).await;
    assert_eq!(how, Ok(ServerAccepted::Scram));
    let how = log_in(&db, "odd", password("no break"), plain().await).await;
    assert_eq!(how, Ok(ServerAccepted::Scram));
    let how = log_in(&db, "legacy", password("old"), plain().await).await;
    assert_eq!(how, Ok(ServerAccepted::Md5));
    let how = log_in(&db, "clear", password("seen"), bound().await).await;
    assert_eq!(how, Ok(ServerAccepted::Cleartext));
    let refused = log_in(&db, "clear", password("seen"), plain().await).await.unwrap_err();
    assert!(refused.contains("without TLS"), "{refused}");
    let refused = log_in(&db, "app", password("pen"), plain().await).await.unwrap_err();
    assert!(refused.contains("28P01"), "{refused}");

    let stored = db.sql("select rolpassword from pg_authid where rolname = 'legacy'");
    let hash = Credential::parse(&Secret::new(stored)).expect("an md5 hash");
    let how = log_in(&db, "legacy", ServerSecret::of(&hash), plain().await).await;
    assert_eq!(how, Ok(ServerAccepted::Md5));

    // Channel binding is real: with another certificate's hash the server refuses.
    let (stream, mut channel) = bound().await;
    let hash = channel.as_mut().and_then(|c| c.end_point.as_mut()).expect("a hash");
    hash[0] ^= 1;
    let refused = log_in(&db, "app", password("pencil"), (stream, channel)).await.unwrap_err();
    assert!(refused.contains("channel binding"), "{refused}");
}

#[tokio::test]
async fn a_clients_key_alone_opens_postgresql() {
    let db = Database::start();
    let verifier = db.verifier("app");
    let made = Verifier::from_password(b"pencil", verifier.iterations(), verifier.salt());
    assert_eq!(made.print().as_str(), verifier.print().as_str());

    let keys = passed_through(verifier, "pencil");
    let how = log_in(&db, "app", ServerSecret::keys(keys.clone()), connect(&db, None).await).await;
    assert_eq!(how, Ok(ServerAccepted::Scram));
    let tls = db.tls();
    let bound = connect(&db, Some(&tls)).await;
    let how = log_in(&db, "app", ServerSecret::keys(keys.clone()), bound).await;
    assert_eq!(how, Ok(ServerAccepted::ScramPlus));

    // The same password set again has another salt: we say what to do.
    db.sql("alter role app password 'pencil'");
    let refused = log_in(&db, "app", ServerSecret::keys(keys), connect(&db, None).await).await;
    assert!(refused.unwrap_err().contains("copy rolpassword from pg_authid"));
}

/// A server of ours that lets one client in and answers whatever it asks with an empty query.
async fn serve_one(listener: &TcpListener, acceptor: &Acceptor, case: &Case) -> Result<(), String> {
    let (tcp, _) = listener.accept().await.expect("a client");
    let mut stream = Stream::Plain(tcp);
    let mut channel = None;
    let length = stream.read_u32().await.expect("a length");
    if length == 8 {
        assert_eq!(stream.read_u32().await.expect("a code"), 80_877_103);
        stream.write_all(b"S").await.expect("written");
        let Stream::Plain(tcp) = stream else { panic!("plain") };
        let secured = acceptor.accept(tcp, false).await.map_err(|e| e.to_string())?;
        (stream, channel) = (secured.stream, Some(secured.channel));
        let length = stream.read_u32().await.expect("a length");
        skip(&mut stream, length).await;
    } else {
        skip(&mut stream, length).await;
    }
    let cache = Arc::new(KeyCache::new(4));
    let mut step = Login::start(LoginRequest {
        user: "app",
        method: case.method,
        credential: case.credential.as_ref(),
        channel: channel.as_ref(),
        certificate_map: &CertificateMap::new(),
        mock: &Mock::random().expect("random"),
        cache: &cache,
    });
    loop {
        match step {
            Step::Continue { login, send } => {
                write_message(&mut stream, Some(b'R'), &send).await;
                let (tag, body) = read_message(&mut stream).await;
                assert_eq!(tag, b'p');
                step = login.on(&body);
            }
            Step::Rejected(reason) => {
                let error = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0";
                write_message(&mut stream, Some(b'E'), error).await;
                return Err(reason.to_string());
            }
            Step::Accepted(accepted) => {
                for body in accepted.send {
                    write_message(&mut stream, Some(b'R'), &body).await;
                }
                break;
            }
        }
    }
    write_message(&mut stream, Some(b'Z'), b"I").await;
    assert_eq!(read_message(&mut stream).await.0, b'Q');
    write_message(&mut stream, Some(b'I'), b"").await;
    write_message(&mut stream, Some(b'Z'), b"I").await;
    Ok(())
}

async fn skip(stream: &mut Stream, length: u32) {
    let mut startup = vec![0; length as usize - 4];
    stream.read_exact(&mut startup).await.expect("a startup packet");
}

struct Case {
    method: Method,
    credential: Option<Credential>,
    password: &'static str,
    /// Parameters of libpq.
    options: String,
}

/// psql's exit status, and what our side made of it.
async fn psql(acceptor: &Acceptor, case: Case) -> (bool, Result<(), String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let target =
        format!("host=localhost hostaddr=127.0.0.1 port={port} user=app dbname=x {}", case.options);
    let mut command = tokio::process::Command::new(format!("{BIN}/psql"));
    command
        .args(["-X", "-w", "-c", ";", &target])
        .stdin(Stdio::null())
        .env("PGPASSWORD", case.password);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (status, served) = tokio::join!(command.status(), serve_one(&listener, acceptor, &case));
    (status.expect("psql").success(), served)
}

fn acceptor(folder: &Path) -> (Acceptor, PathBuf) {
    certificates(folder);
    let settings = ClientSide {
        mode: ClientMode::Allow,
        cert_file: Some(folder.join("server.crt")),
        key_file: Some(folder.join("server.key")),
        ..ClientSide::default()
    };
    let acceptor = Acceptor::new(settings, &mut Authorities::default()).expect("an acceptor");
    (acceptor, folder.join("ca.crt"))
}

#[tokio::test]
async fn libpq_logs_in_to_us() {
    let folder = tempfile::tempdir().expect("a folder");
    let (acceptor, ca) = acceptor(folder.path());
    let secret = || Credential::parse(&Secret::new("pencil")).ok();
    let ca = ca.display();
    let full = format!("sslmode=verify-full sslrootcert={ca} channel_binding=require");
    let old = format!("{full} ssl_max_protocol_version=TLSv1.2");
    let unbound = format!("sslmode=verify-full sslrootcert={ca} channel_binding=disable");
    let plain = "sslmode=disable".to_owned();
    for (method, credential, password, options, expected) in [
        (Method::Scram, secret(), "pencil", &full, Ok(())),
        (Method::Scram, secret(), "pencil", &old, Ok(())),
        (Method::Scram, secret(), "pencil", &unbound, Ok(())),
        (Method::Scram, secret(), "pencil", &plain, Ok(())),
        (Method::Password, secret(), "pencil", &plain, Ok(())),
        (Method::Trust, None, "", &plain, Ok(())),
        (Method::Scram, secret(), "pen", &full, Err("wrong password".to_owned())),
        (Method::Scram, None, "pencil", &full, Err("no such user".to_owned())),
        (Method::Password, secret(), "pen", &plain, Err("wrong password".to_owned())),
        (Method::Cert, None, "", &plain, Err("a client certificate is needed".to_owned())),
    ] {
        let what = format!("{method:?} {password:?} {options}");
        let case = Case { method, credential, password, options: options.clone() };
        let (status, served) = psql(&acceptor, case).await;
        assert_eq!(served, expected, "{what}");
        assert_eq!(status, expected.is_ok(), "{what}");
    }
}
