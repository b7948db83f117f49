//! The dashboard in headless Chromium, by clicks and keys, in front of real servers under load.
//! Needs chromium, node and packages: `make browser` installs them and runs it.
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../failover/companion.rs"]
#[allow(dead_code, reason = "the tests of failover use the rest")]
mod companion;
#[path = "../support/mod.rs"]
mod support;

use companion::Companion;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::cluster;
use support::proxy::proxy;

const TOKEN: &str = "browser-token";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a browser: make browser"]
async fn the_dashboard_shows_and_does_what_it_says() {
    let kept = std::env::var("TIDEGATE_BROWSER").expect("the folder of the browser's packages");
    let servers = cluster()
        .replicas(2)
        .conf("wal_log_hints", "on")
        .hba("host replication all 127.0.0.1/32 trust")
        .sql("CREATE TABLE counters (id int PRIMARY KEY, n int8); INSERT INTO counters VALUES (1, 0)")
        .start()
        .await
        .expect("a cluster");
    let state = tempfile::tempdir().expect("a folder");
    let token = state.path().join("token");
    std::fs::write(&token, TOKEN).expect("a token");
    let agent = Companion::start(&servers, &servers.nodes()[2], "").await;
    let store = format!("store = \"file://{}\"", state.path().join("backups").display());
    let running = proxy(&servers)
        .with("failover", "mode = \"manual\"\nguarantee = \"available\"")
        .with("backup", &store)
        .node("c", &agent.keys())
        .state(state.path())
        .top(&format!("[http]\ntoken_file = \"{}\"", token.display()))
        .start()
        .await;
    let stop = Arc::new(AtomicBool::new(false));
    let client = running.connect().await;
    let stopped = stop.clone();
    let load = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            // The switchover may end a transaction: that is not what is tested here.
            let _ = client.simple_query("UPDATE counters SET n = n + 1 WHERE id = 1").await;
            for _ in 0..4 {
                let _ = client.simple_query("SELECT n FROM counters WHERE id = 1").await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/dashboard.mjs");
    let browser = tokio::process::Command::new("node")
        .arg(script)
        .env("DASHBOARD", format!("http://{}/", running.http))
        .env("TOKEN", TOKEN)
        .env("KEPT", kept)
        .kill_on_drop(true)
        .output();
    let out = tokio::time::timeout(Duration::from_secs(240), browser).await;
    let out = out.expect("a browser that ends").expect("node");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stdout));
    let term = running.admin("SHOW TERM").await;
    assert_eq!(term[0][3].as_deref(), Some("b"), "{term:?}");
    assert_eq!(running.admin("SHOW BACKUPS").await.len(), 1);
    let events = running.admin("SHOW EVENTS WHERE kind = 'operator'").await;
    let commands: Vec<&str> = events.iter().filter_map(|row| row[5].as_deref()).collect();
    let clicked = ["DRAIN test.b", "UNDRAIN test.b", "PAUSE test", "RESUME test"];
    for command in
        clicked.into_iter().chain(["SWITCHOVER test TO c", "REJOIN test.c", "BACKUP test"])
    {
        let by = format!("{command}, by http (127.0.0.1:");
        assert!(commands.iter().any(|done| done.starts_with(&by)), "{command}: {commands:?}");
    }
    stop.store(true, Ordering::Relaxed);
    load.await.expect("a load without a panic");
}
