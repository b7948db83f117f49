//! How many clients may come.

use crate::fixture::{PATIENCE, Secrets, log_in, refused, reload_with, servers, who};
use crate::support::ask::until;
use crate::support::proxy::{Running, proxy};
use std::time::{Duration, Instant};

async fn only_two(key: &str, what: &str) {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let limit = format!("{key} = 2");
    let running = proxy(&servers).with("auth", &auth).with("pool", &limit).start().await;
    let come = async || log_in(&running, "app", "pencil", "postgres").await;
    let first = come().await.expect("a client");
    // Failed logins take no place.
    for _ in 0..5 {
        assert_eq!(who(&running, "app", "pen").await, refused("app"));
    }
    let second = come().await.expect("another one");
    let said = come().await.expect_err("one too many");
    assert_eq!(said.code, "53300");
    assert!(said.message.contains(what) && said.message.contains('2'), "{}", said.message);
    first.simple_query("SELECT 1").await.expect("an answer");
    drop(second);
    let started = Instant::now();
    while come().await.is_err() {
        assert!(started.elapsed() < PATIENCE, "the place was not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_full_cluster_says_so_until_somebody_leaves() {
    only_two("max_clients", "cluster test (pool.max_clients)").await;
}

#[tokio::test]
async fn an_address_may_not_take_more_than_its_share() {
    only_two("max_clients_per_address", "address 127.0.0.1 (pool.max_clients_per_address)").await;
}

/// Whose login is the last one of these users and databases, and what it is told.
async fn last_is_told(running: &Running, come: &[(&str, &str, &str)]) -> String {
    let mut kept = Vec::new();
    let (last, others) = come.split_last().expect("somebody");
    for (user, password, database) in others {
        // The place of one who left may be given back a moment after it was seen to be gone.
        let started = Instant::now();
        let came = loop {
            match log_in(running, user, password, database).await {
                Ok(client) => break client,
                Err(said) => assert!(started.elapsed() < PATIENCE, "{user}: {said:?}"),
            }
        };
        kept.push(came);
    }
    let said = log_in(running, last.0, last.1, last.2).await.expect_err("one too many");
    assert_eq!(said.code, "53300");
    assert!(said.hint.contains("limit named here"), "{}", said.hint);
    said.message
}

const APP: (&str, &str, &str) = ("app", "pencil", "postgres");
const WEB: (&str, &str, &str) = ("web", "spider", "postgres");
const ELSEWHERE: (&str, &str, &str) = ("app", "pencil", "template1");

#[tokio::test]
async fn a_user_and_a_database_have_limits_for_all_and_by_name() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let auth = format!(
        "method = \"scram\"\n{}\n{}\nusers.web.max_clients = 2",
        secrets.user("app", "pencil"),
        secrets.user("web", "spider")
    );
    let limits = "max_clients_per_user = 1\n\
                  max_clients_per_database = 3\n\
                  databases.template1.max_clients = 1";
    let running = proxy(&servers).with("auth", &auth).with("pool", limits).start().await;
    let told = last_is_told(&running, &[APP, WEB, APP]).await;
    assert!(told.contains("user app (pool.max_clients_per_user)"), "{told}");
    until("everybody left", || async { running.admin("SHOW CLIENTS").await.is_empty() }).await;
    let told = last_is_told(&running, &[APP, WEB, WEB, WEB]).await;
    assert!(told.contains("user web (auth.users.web.max_clients)"), "{told}");
    until("everybody left", || async { running.admin("SHOW CLIENTS").await.is_empty() }).await;

    let next = |text: String| {
        text.replace("max_clients_per_user = 1", "max_clients_per_user = 0")
            .replace("web.max_clients = 2", "web.max_clients = 0")
    };
    reload_with(&running, next).await;
    let told = last_is_told(&running, &[APP, ELSEWHERE, ELSEWHERE]).await;
    assert!(told.contains("database template1 (pool.databases.template1.max_clients)"), "{told}");
    until("everybody left", || async { running.admin("SHOW CLIENTS").await.is_empty() }).await;
    let told = last_is_told(&running, &[WEB, APP, WEB, WEB]).await;
    assert!(told.contains("database postgres (pool.max_clients_per_database)"), "{told}");
}

#[tokio::test]
async fn a_users_limit_holds_when_many_come_at_once_and_is_not_for_those_who_cannot_log_in() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let limits = "max_clients_per_user = 5\nsize = 2";
    let running = proxy(&servers).with("auth", &auth).with("pool", limits).start().await;
    // These know the name, but stay in the middle of the login, or do not know the password.
    let mut halfway = Vec::new();
    for _ in 0..5 {
        let mut tcp = tokio::net::TcpStream::connect(running.postgres).await.expect("TCP");
        let hello = b"\0\0\0\x24\0\x03\0\0user\0app\0database\0postgres\0\0";
        tokio::io::AsyncWriteExt::write_all(&mut tcp, hello).await.expect("written");
        halfway.push(tcp);
    }
    assert_eq!(who(&running, "app", "pen").await, refused("app"));
    let crowd = (0..20).map(|_| log_in(&running, "app", "pencil", "postgres"));
    let came = futures_util::future::join_all(crowd).await;
    let (within, beyond): (Vec<_>, Vec<_>) = came.into_iter().partition(Result::is_ok);
    assert_eq!((within.len(), beyond.len()), (5, 15));
    for refused in beyond {
        assert_eq!(refused.expect_err("refused").code, "53300");
    }
}
