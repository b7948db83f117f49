//! TLS towards the servers.

use crate::authority::{Authority, Pair};
use crate::fixture::{Secrets, log_in, servers};
use crate::support::Cluster;
use crate::support::proxy::{Running, proxy};

async fn tls_servers(pair: &Pair) -> Cluster {
    servers("scram").tls(&pair.cert, &pair.key).start().await.expect("a cluster")
}

async fn start(servers: &Cluster, secrets: &Secrets, keys: &str) -> Running {
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let wanted = proxy(servers).with("auth", &auth).with("failover", "hold = \"0s\"");
    wanted.with("tls", keys).start().await
}

/// Whether the server sees TLS on the connection that serves a client.
async fn sees_tls(running: &Running) -> bool {
    let client = log_in(running, "app", "pencil", "postgres").await.expect("a login");
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    client.query_one(query, &[]).await.expect("an answer").get(0)
}

#[tokio::test]
async fn each_mode_asks_as_much_of_a_server_as_it_says() {
    let (authority, secrets) = (Authority::new(), Secrets::new());
    let servers = tls_servers(&authority.issue(&["localhost", "127.0.0.1"])).await;
    let ca = format!("ca = {:?}", authority.ca());
    for (keys, sees) in [
        ("mode = \"disable\"".to_owned(), false),
        ("mode = \"prefer\"".to_owned(), true),
        ("mode = \"require\"".to_owned(), true),
        (format!("mode = \"verify-ca\"\n{ca}"), true),
        (format!("mode = \"verify-full\"\n{ca}"), true),
    ] {
        let running = start(&servers, &secrets, &keys).await;
        assert_eq!(sees_tls(&running).await, sees, "{keys}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_prove_its_name_is_not_used() {
    let (authority, secrets) = (Authority::new(), Secrets::new());
    let servers = tls_servers(&authority.issue(&["elsewhere.example"])).await;
    let stranger = Authority::new();
    let (ours, other) = (authority.ca(), stranger.ca());
    let keys = |mode: &str, ca| format!("mode = {mode:?}\nca = {ca:?}");
    let running = start(&servers, &secrets, &keys("verify-ca", &ours)).await;
    assert!(sees_tls(&running).await);
    for (keys, why) in [
        (keys("verify-full", &ours), "for other names"),
        (keys("verify-ca", &other), "not trusted"),
    ] {
        let running = start(&servers, &secrets, &keys).await;
        let said = log_in(&running, "app", "pencil", "postgres").await.expect_err("no server");
        assert_eq!(said.code, "57P03", "{said:?}");
        let seen = format!("{:?}", running.admin("SHOW NODES").await);
        assert!(seen.contains(why), "{seen}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_not_used_where_tls_is_required() {
    let secrets = Secrets::new();
    let servers = servers("scram").start().await.expect("a cluster");
    assert!(!sees_tls(&start(&servers, &secrets, "mode = \"prefer\"").await).await);
    let running = start(&servers, &secrets, "mode = \"require\"").await;
    let said = log_in(&running, "app", "pencil", "postgres").await.expect_err("no server");
    assert_eq!(said.code, "57P03", "{said:?}");
    let seen = format!("{:?}", running.admin("SHOW NODES").await);
    assert!(seen.contains("does not offer TLS"), "{seen}");
}
