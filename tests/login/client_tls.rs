//! TLS towards clients: what each mode takes, and certificates replaced while clients stay.

use crate::authority::Authority;
use crate::fixture::{Said, Secrets, psql, reload_with, servers, tls, who};
use crate::support::proxy::proxy;
use std::future::poll_fn;
use tokio_postgres::AsyncMessage;

const PLAIN: &str = "user=app sslmode=disable";

fn verified(authority: &Authority) -> String {
    format!("user=app sslmode=verify-full sslrootcert={}", authority.ca().display())
}

#[tokio::test]
async fn each_mode_takes_what_it_says() {
    let servers = servers("scram").start().await.expect("a cluster");
    let (authority, secrets) = (Authority::new(), Secrets::new());
    let pair = authority.issue(&["localhost"]);
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let app = authority.user("app");
    let tls_only = verified(&authority);
    let shown = format!("{tls_only} sslcert={} sslkey={}", app.cert.display(), app.key.display());
    // Does it take: no TLS, TLS, TLS with a certificate?
    for (mode, takes) in [
        ("off", [true, false, false]),
        ("allow", [true, true, true]),
        ("require", [false, true, true]),
        ("verify", [false, false, true]),
    ] {
        let top = tls(mode, &pair, (mode == "verify").then(|| authority.ca()).as_deref());
        let running = proxy(&servers).top(&top).with("auth", &auth).start().await;
        let port = running.postgres.port();
        for (options, taken) in [PLAIN, &tls_only, &shown].into_iter().zip(takes) {
            let answer = psql(port, options, "pencil").await;
            assert_eq!(answer.is_ok(), taken, "{mode} {options}: {answer:?}");
        }
        // Who prefers TLS gets what there is.
        let prefers = psql(port, "user=app sslmode=prefer", "pencil").await;
        assert_eq!(prefers.is_ok(), mode != "verify", "{mode}: {prefers:?}");
        if !takes[0] {
            let expected = Said {
                code: "28000".into(),
                message: "this listener requires TLS".into(),
                hint: "Connect with sslmode=require or stronger.".into(),
            };
            assert_eq!(who(&running, "app", "pencil").await, Err(expected));
        }
    }
}

#[tokio::test]
async fn a_new_certificate_counts_after_a_reload_and_disturbs_nobody() {
    let servers = servers("scram").start().await.expect("a cluster");
    let (old, new, secrets) = (Authority::new(), Authority::new(), Secrets::new());
    let pair = old.issue(&["localhost"]);
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let running = proxy(&servers).top(&tls("allow", &pair, None)).with("auth", &auth).start().await;
    let port = running.postgres.port();
    let early = tls_client(&running, &old).await;
    assert_eq!(psql(port, &verified(&old), "pencil").await, Ok("app".into()));

    let other = new.issue(&["localhost"]);
    std::fs::copy(&other.cert, &pair.cert).expect("copied");
    std::fs::copy(&other.key, &pair.key).expect("copied");
    reload_with(&running, |text| text).await;
    assert_eq!(psql(port, &verified(&new), "pencil").await, Ok("app".into()));
    let refused = psql(port, &verified(&old), "pencil").await.expect_err("another authority");
    assert!(refused.contains("certificate verify failed"), "{refused}");
    let row = early.query_one("SELECT 7", &[]).await.expect("the client is still here");
    assert_eq!(row.get::<_, i32>(0), 7);

    // A certificate that is none changes nothing.
    std::fs::write(&pair.cert, "not a certificate").expect("written");
    let url = format!("host=127.0.0.1 port={} user=x dbname=tidegate", running.console.port());
    let console = running.connect_with(&url).await.expect("the console");
    console.simple_query("RELOAD").await.expect_err("a broken certificate");
    assert_eq!(psql(port, &verified(&new), "pencil").await, Ok("app".into()));
}

#[tokio::test]
async fn notifications_reach_an_idle_client_over_tls() {
    let servers = servers("scram").start().await.expect("a cluster");
    let (authority, secrets) = (Authority::new(), Secrets::new());
    let pair = authority.issue(&["localhost"]);
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let running = proxy(&servers).top(&tls("allow", &pair, None)).with("auth", &auth).start().await;
    let stream = crate::direct_tls::connect(running.postgres, &authority).await.expect("TLS");
    let mut config = tokio_postgres::Config::new();
    config.user("app").password("pencil").dbname("postgres");
    let connected = config.connect_raw(stream, tokio_postgres::NoTls).await;
    let (client, mut connection) = connected.expect("a login");
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(said) = message {
                heard.send(said.payload().len()).expect("the test listens");
            }
        }
    });
    client.batch_execute("LISTEN news").await.expect("LISTEN");
    let sql = "SELECT pg_notify('news', g || repeat('x', 7900)) FROM generate_series(100, 499) g";
    servers.sql(sql).await.expect("notifications");
    for _ in 100..500 {
        assert_eq!(hears.recv().await, Some(7903));
    }
}

/// A client over TLS that stays.
async fn tls_client(
    running: &crate::support::proxy::Running,
    authority: &Authority,
) -> tokio_postgres::Client {
    let stream = crate::direct_tls::connect(running.postgres, authority).await.expect("TLS");
    let mut config = tokio_postgres::Config::new();
    config.user("app").password("pencil").dbname("postgres");
    let connected = config.connect_raw(stream, tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("a login");
    tokio::spawn(connection);
    client
}
