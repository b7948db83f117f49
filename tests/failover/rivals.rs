//! Others who might take themselves for the keeper of the term, or for the primary.

use crate::scene::{DEPOSED, PRIMARY, SAYS, Scene, TERM, scene};
use crate::support::ask::{until, value};
use crate::support::proxy::proxy;
use tidegate::app::run::Proxy;
use tidegate::config;
use tokio_postgres::NoTls;

const MANUAL: &str = "mode = \"manual\"\nguarantee = \"available\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_proxy_with_the_same_state_is_refused() {
    let scene = scene(MANUAL).await;
    let second = proxy(&scene.servers).with("failover", MANUAL).state(scene.state.path());
    let config = config::parse(&second.text(), "second.toml").unwrap();
    let refused = Proxy::start(config, std::path::Path::new("second.toml")).await.err();
    let why = refused.expect("one at a time").to_string();
    assert!(why.contains("another process keeps the state"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_proxy_with_a_state_of_its_own_writes_nothing_and_says_why() {
    let scene = scene(MANUAL).await;
    let other = tempfile::tempdir().unwrap();
    let keys = format!("{MANUAL}\nhold = \"100ms\"");
    let second = proxy(&scene.servers).with("failover", &keys).state(other.path()).start().await;
    let second = Scene::of(scene.servers, second, other, &keys);
    until("a word about the other proxy", || async {
        second.term(SAYS).await.contains("another proxy, ")
    })
    .await;
    let why = second.running.refused_login(&second.running.url("postgres", "postgres")).await;
    assert!(why.contains("57P03"), "{why}");
    // The first one goes on.
    assert_eq!(value(&scene.running.connect().await, "SELECT 7").await, "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_primary_that_comes_back_serves_nobody_whoever_restarts() {
    let scene = scene(MANUAL).await;
    scene.servers.primary().kill();
    scene.until(8, "lost").await;
    scene.running.admin("FAILOVER test TO b").await;
    assert_eq!(scene.term(PRIMARY).await, "b");
    scene.servers.primary().start().await.ok();
    let scene = scene.restart().await;
    scene.until_well().await;
    let a = scene.node("a");
    until("a fence around the former primary", || async {
        let stranger = a.config("replicator", "postgres").connect(NoTls).await;
        stranger.err().and_then(|e| e.code().cloned()).is_some_and(|c| c.code() == "28000")
    })
    .await;
    let nodes = scene.running.admin("SHOW NODES").await;
    assert_eq!(nodes[0][3].as_deref(), Some("fenced"));
    assert_eq!((scene.term(DEPOSED).await, scene.term(TERM).await), ("a".into(), "2".into()));
    let client = scene.running.connect().await;
    client.batch_execute("INSERT INTO told VALUES (1)").await.unwrap();
    assert_eq!(scene.node("b").value("SELECT count(*) FROM told").await.unwrap(), "1");
}
