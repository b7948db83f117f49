//! Who gets in, and what the others learn.

use crate::bytes;
use crate::fixture::{Console, console, console_with, credentials, psql};
use std::time::Duration;
use tidegate::admin::Settings;

/// The error of a login, as SQLSTATE and message.
async fn refused(console: &Console, user: &str, password: &str) -> (String, String) {
    let error = console.client(user, password).await.expect_err("no login");
    let db = error.as_db_error().expect("the server's words");
    (db.code().code().to_string(), db.message().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_opens() {
    let console = console(&[("admin", "p4ss wörd")]).await;
    let client = console.client("admin", "p4ss wörd").await.expect("a login");
    assert_eq!(client.query("SHOW NODES", &[]).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_logs_in_with_a_password() {
    let console = console(&[("admin", "secret")]).await;
    let out = psql(&console, "SHOW VERSION").await;
    assert!(out.ok && out.rows.len() == 1, "{:?} {}", out.rows, out.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn later_minor_versions_of_the_protocol_are_negotiated() {
    let console = console(&[]).await;
    for minor in [0, 2, 9] {
        let mut hello = bytes::startup("admin");
        hello[7] = minor;
        let mut raw = console.raw().await;
        raw.send(&hello).await;
        let answers = raw.until_ready().await;
        let negotiated = answers.first() == Some(&b'v');
        assert_eq!(negotiated, minor == 9, "3.{minor}: {answers:?}");
        raw.send(&bytes::message(b'Q', b"SHOW NODES\0")).await;
        assert!(bytes::errors(&raw.until_ready().await).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_users_it_is_served_on_loopback_only() {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let control = crate::fixture::control();
    let serving = tidegate::admin::serve(listener, Settings::default(), control, async {});
    let refused = serving.await.expect_err("nobody could be kept out").to_string();
    assert!(refused.contains("needs at least one user"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_of_postgres_opens_too() {
    // As PostgreSQL 15 stores the password "pencil" with the salt and iterations of RFC 7677.
    let verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
                    WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                    wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    let console = console(&[("admin", verifier)]).await;
    assert!(console.client("admin", "pencil").await.is_ok());
    assert_eq!(refused(&console, "admin", "pen").await.0, "28P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_answered_like_a_wrong_password() {
    let console = console(&[("admin", "secret")]).await;
    let text = |user: &str| {
        ("28P01".to_string(), format!("password authentication failed for user {user:?}"))
    };
    assert_eq!(refused(&console, "admin", "wrong").await, text("admin"));
    assert_eq!(refused(&console, "nobody", "secret").await, text("nobody"));
    assert!(console.client("admin", "secret").await.is_ok(), "others are not disturbed");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_is_refused_with_a_hint() {
    let console = console(&[]).await;
    let text = format!("host=127.0.0.1 port={} user=app dbname=orders", console.address.port());
    let failed = tokio_postgres::connect(&text, tokio_postgres::NoTls).await;
    let error = failed.map(|_| ()).expect_err("no login");
    let db = error.as_db_error().expect("the server's words");
    assert_eq!(db.code().code(), "3D000");
    assert!(db.hint().is_some_and(|hint| hint.contains("This is the console")));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_before_the_password_are_refused() {
    let console = console(&[("admin", "secret")]).await;
    let mut raw = console.raw().await;
    raw.send(&bytes::startup("admin")).await;
    raw.send(&bytes::message(b'Q', b"SHUTDOWN\0")).await;
    let answers = raw.until_closed().await;
    assert_eq!(bytes::errors(&answers), ["FATAL 08P01 message 'Q' is not expected here"]);
    assert!(console.done().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_takes_too_long_is_ended() {
    let login_timeout = Duration::from_millis(20);
    let told = ["FATAL 08006 the login took longer than 20ms"];
    for users in [&[][..], &[("admin", "secret")]] {
        let settings = Settings { login_timeout, users: credentials(users), ..Settings::default() };
        let console = console_with(settings).await;
        let mut silent = console.raw().await;
        assert_eq!(bytes::errors(&silent.until_closed().await), told);
        let mut half = console.raw().await;
        half.send(&bytes::startup("admin")[..20]).await;
        assert_eq!(bytes::errors(&half.until_closed().await), told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_connections_is_told() {
    let console = console_with(Settings { max_connections: 1, ..Settings::default() }).await;
    let first = console.client("admin", "").await.expect("a login");
    let (code, message) = refused(&console, "admin", "").await;
    assert_eq!(code, "53300");
    assert_eq!(message, "the console's limit of 1 connections is reached");
    assert!(first.query("SHOW NODES", &[]).await.is_ok());
}
