//! tokio-postgres through the proxy. Says nothing when all is well.

use futures_util::{SinkExt, StreamExt, TryStreamExt, future, pin_mut, stream};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::env::var;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Error, IsolationLevel, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

fn config() -> Config {
    let get = |name: &str| var(name).expect(name);
    let mut config = Config::new();
    config.host(get("PGHOST")).port(get("PGPORT").parse().expect("a port"));
    config.user(get("PGUSER")).password(get("PGPASSWORD")).dbname(get("PGDATABASE"));
    config
}

fn tls() -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    let file = var("PGSSLROOTCERT").expect("PGSSLROOTCERT");
    for certificate in CertificateDer::pem_file_iter(file).expect("a file") {
        roots.add(certificate.expect("a certificate")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS");
    MakeRustlsConnect::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn is_plain() -> bool {
    var("PGSSLMODE").is_ok_and(|mode| mode == "disable")
}

/// A client, and what its server says unasked.
async fn connect(config: &Config) -> Result<(Client, UnboundedReceiver<AsyncMessage>), Error> {
    if is_plain() {
        let (client, connection) = config.connect(NoTls).await?;
        Ok((client, listen(connection)))
    } else {
        let (client, connection) = config.connect(tls()).await?;
        Ok((client, listen(connection)))
    }
}

fn listen<S, T>(mut connection: tokio_postgres::Connection<S, T>) -> UnboundedReceiver<AsyncMessage>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (told, heard) = unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            let _ = told.send(message);
        }
    });
    heard
}

fn expect_code<T>(outcome: Result<T, Error>, code: &SqlState) {
    match outcome {
        Ok(_) => panic!("expected {code:?}, but it worked"),
        Err(error) => assert_eq!(error.code(), Some(code), "{error:?}"),
    }
}

async fn logins() {
    let wrong = connect(config().password("wrong")).await;
    expect_code(wrong.map(drop), &SqlState::INVALID_PASSWORD);
    let unknown = connect(config().dbname("atlantis")).await;
    expect_code(unknown.map(drop), &SqlState::INVALID_CATALOG_NAME);
}

/// Where a read goes now.
async fn node(client: &impl tokio_postgres::GenericClient) -> String {
    client.query_one("SELECT 1", &[]).await.expect("a read");
    let row = client.query_one("SHOW tidegate.last_route", &[]).await.expect("a route");
    let route: &str = row.get(0);
    route.split(':').next().unwrap_or_default().to_owned()
}

async fn routes(client: &mut Client) {
    for _ in 0..20 {
        assert_ne!(node(client).await, "n0");
    }
    let work = client.transaction().await.expect("a transaction");
    assert_eq!(node(&work).await, "n0");
    work.commit().await.expect("committed");
    let work = client.build_transaction().read_only(true).start().await.expect("a transaction");
    assert_ne!(node(&work).await, "n0");
    work.commit().await.expect("committed");
}

async fn types(client: &Client) {
    let sql = "SELECT $1::int2, $2::int8, $3::float8, $4::bool, $5::text, $6::text, $7::bytea, \
               $8::int4[], $9::timestamptz";
    let now = std::time::UNIX_EPOCH + Duration::from_micros(1_795_264_215_123_456);
    let text = "tide 潮 \\ ' \" \n";
    let (bytes, list): (&[u8], _) = (&[0, 255, 1], vec![Some(1), None, Some(3)]);
    let none: Option<&str> = None;
    let row = client
        .query_one(sql, &[&7i16, &(1i64 << 40), &1.5f64, &true, &text, &none, &bytes, &list, &now])
        .await
        .expect("a row");
    assert_eq!((row.get::<_, i16>(0), row.get::<_, i64>(1)), (7, 1 << 40));
    assert_eq!((row.get::<_, f64>(2), row.get::<_, bool>(3)), (1.5, true));
    assert_eq!((row.get::<_, &str>(4), row.get::<_, Option<&str>>(5)), (text, None));
    assert_eq!((row.get::<_, &[u8]>(6), row.get::<_, Vec<Option<i32>>>(7)), (bytes, list));
    assert_eq!(row.get::<_, std::time::SystemTime>(8), now);
}

async fn prepared(client: &mut Client, other: &Client) {
    let plus = "SELECT $1::int + 1";
    let (ours, theirs) = future::join(client.prepare(plus), other.prepare(plus)).await;
    let (ours, theirs) = (ours.expect("prepared"), theirs.expect("prepared"));
    for n in 0..30 {
        let row = client.query_one(&ours, &[&n]).await.expect("a row");
        assert_eq!(row.get::<_, i32>(0), n + 1);
        let row = other.query_one(&theirs, &[&n]).await.expect("a row");
        assert_eq!(row.get::<_, i32>(0), n + 1);
        let work = client.transaction().await.expect("a transaction");
        let row = work.query_one(&ours, &[&n]).await.expect("a row");
        assert_eq!(row.get::<_, i32>(0), n + 1);
        work.commit().await.expect("committed");
    }
    // All of them are on the wire before the first answer is.
    let many = (0..100).map(|n| {
        let (client, ours) = (&*client, &ours);
        async move { client.query_one(ours, &[&n]).await.map(|row| row.get::<_, i32>(0)) }
    });
    let answers: Vec<i32> = future::try_join_all(many).await.expect("answers");
    assert_eq!(answers, (1..=100).collect::<Vec<_>>());
}

async fn transactions(client: &mut Client) {
    client.batch_execute("CREATE TABLE rust_t (id int PRIMARY KEY, body text)").await.expect("DDL");
    let mut work = client.transaction().await.expect("a transaction");
    work.execute("INSERT INTO rust_t VALUES ($1, $2)", &[&1, &"kept"]).await.expect("a write");
    let inner = work.transaction().await.expect("a savepoint");
    let twice = inner.execute("INSERT INTO rust_t VALUES (1, 'twice')", &[]).await;
    expect_code(twice, &SqlState::UNIQUE_VIOLATION);
    inner.rollback().await.expect("rolled back");
    work.commit().await.expect("committed");
    let build = client.build_transaction().isolation_level(IsolationLevel::Serializable);
    let work = build.start().await.expect("a transaction");
    assert_eq!(work.execute("DELETE FROM rust_t", &[]).await.expect("a write"), 1);
    drop(work);
    let row = client.query_one("SELECT body FROM rust_t", &[]).await.expect("a row");
    assert_eq!(row.get::<_, &str>(0), "kept");
    expect_code(client.query("SELEC 1", &[]).await, &SqlState::SYNTAX_ERROR);
    expect_code(client.query("SELECT 1 / $1", &[&0]).await, &SqlState::DIVISION_BY_ZERO);
    let batch = "SELECT 1; UPDATE rust_t SET body = 'new'; SELECT 1 / 0";
    expect_code(client.batch_execute(batch).await, &SqlState::DIVISION_BY_ZERO);
    let row = client.query_one("SELECT body FROM rust_t", &[]).await.expect("a row");
    assert_eq!(row.get::<_, &str>(0), "kept");
}

async fn copies(client: &Client) {
    client.batch_execute("TRUNCATE rust_t").await.expect("a write");
    let lines: String = (0..20_000).map(|n| format!("{n}\trow {n} é\n")).collect();
    let sink = client.copy_in("COPY rust_t FROM STDIN").await.expect("a copy");
    pin_mut!(sink);
    for part in lines.as_bytes().chunks(10_000) {
        sink.send(bytes::Bytes::copy_from_slice(part)).await.expect("sent");
    }
    assert_eq!(sink.finish().await.expect("a copy"), 20_000);
    let out = client.copy_out("COPY (SELECT * FROM rust_t ORDER BY id) TO STDOUT").await;
    let parts: Vec<bytes::Bytes> = out.expect("a copy").try_collect().await.expect("its rows");
    assert!(parts.concat() == lines.as_bytes(), "what came out is not what went in");
    let sink = client.copy_in("COPY rust_t FROM STDIN").await.expect("a copy");
    pin_mut!(sink);
    sink.send(bytes::Bytes::from_static(b"not a number\tx\n")).await.expect("sent");
    expect_code(sink.finish().await, &SqlState::INVALID_TEXT_REPRESENTATION);
    // Given up in the middle.
    drop(client.copy_in::<_, bytes::Bytes>("COPY rust_t FROM STDIN").await.expect("a copy"));
    let row = client.query_one("SELECT count(*) FROM rust_t", &[]).await.expect("a row");
    assert_eq!(row.get::<_, i64>(0), 20_000);
}

async fn streams(client: &mut Client) {
    let work = client.transaction().await.expect("a transaction");
    let portal = work.bind("SELECT generate_series(1, 1000)", &[]).await.expect("a portal");
    let mut total = 0;
    loop {
        let rows = work.query_portal(&portal, 300).await.expect("rows");
        total += rows.iter().map(|row| row.get::<_, i32>(0)).sum::<i32>();
        if rows.len() < 300 {
            break;
        }
    }
    assert_eq!(total, 500_500);
    work.commit().await.expect("committed");
    let sql = "SELECT n, repeat('x', 100) FROM generate_series(1, $1::int) n";
    let rows = client.query_raw(sql, [20_000i32]).await.expect("a stream");
    let rows: Vec<_> = rows.try_collect().await.expect("its rows");
    assert_eq!(rows.iter().map(|row| i64::from(row.get::<_, i32>(0))).sum::<i64>(), 200_010_000);
    let large = "x".repeat(8_000_000);
    let row = client.query_one("SELECT $1::text", &[&large]).await.expect("a large row");
    assert!(row.get::<_, &str>(0) == large);
}

async fn interruptions(client: &Client) {
    let token = client.cancel_token();
    let asleep = client.query("SELECT pg_sleep(60)", &[]);
    let cancel = async {
        // A cancel that comes before the statement is lost.
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if is_plain() {
                token.cancel_query(NoTls).await.expect("a cancel");
            } else {
                token.cancel_query(tls()).await.expect("a cancel");
            }
        }
    };
    let ended = tokio::select! {
        ended = asleep => ended,
        () = cancel => unreachable!("it never ends"),
    };
    expect_code(ended, &SqlState::QUERY_CANCELED);
    client.batch_execute("SET statement_timeout = '50ms'").await.expect("a setting");
    let slept = client.query("SELECT pg_sleep(60)", &[]).await;
    expect_code(slept, &SqlState::QUERY_CANCELED);
    client.batch_execute("RESET statement_timeout").await.expect("a setting");
    client.query_one("SELECT pg_sleep(0.1)", &[]).await.expect("no timeout any more");
}

async fn session(
    client: &Client,
    heard: &mut UnboundedReceiver<AsyncMessage>,
    other: &Client,
    other_heard: &mut UnboundedReceiver<AsyncMessage>,
) {
    let notice = "DO $$ BEGIN RAISE NOTICE 'high water'; END $$";
    client.batch_execute(notice).await.expect("a notice");
    match heard.recv().await {
        Some(AsyncMessage::Notice(notice)) => assert_eq!(notice.message(), "high water"),
        _ => panic!("no notice"),
    }
    client.batch_execute("SET search_path = pg_catalog").await.expect("a setting");
    for _ in 0..5 {
        let row = client.query_one("SHOW search_path", &[]).await.expect("a row");
        assert_eq!(row.get::<_, &str>(0), "pg_catalog");
    }
    client.batch_execute("DISCARD ALL").await.expect("a reset");
    other.batch_execute("LISTEN rust_channel").await.expect("a listener");
    client.batch_execute("NOTIFY rust_channel, 'flood'").await.expect("a notification");
    match other_heard.recv().await {
        Some(AsyncMessage::Notification(told)) => assert_eq!(told.payload(), "flood"),
        _ => panic!("no notification"),
    }
}

#[tokio::main]
async fn main() {
    logins().await;
    let (mut client, mut heard) = connect(&config()).await.expect("a connection");
    let (other, mut other_heard) = connect(&config()).await.expect("a connection");
    routes(&mut client).await;
    types(&client).await;
    prepared(&mut client, &other).await;
    transactions(&mut client).await;
    copies(&client).await;
    streams(&mut client).await;
    interruptions(&client).await;
    session(&client, &mut heard, &other, &mut other_heard).await;
    client.batch_execute("DROP TABLE rust_t").await.expect("DDL");
}
