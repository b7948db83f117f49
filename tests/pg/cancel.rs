//! Cancel requests: they reach the statement that is meant, and nothing else.

use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, cluster};
use crate::wire::*;

/// Sends a cancel request and waits until it was acted upon.
async fn cancel_with(running: &Running, pid: u32, secret: &[u8]) {
    let mut wire = Wire::open(running.postgres).await;
    wire.send(&cancel(pid, secret)).await;
    assert_eq!(wire.rest().await, [], "a cancel request has no answer");
}

async fn setting(size: usize) -> (Cluster, Running) {
    let servers = cluster().start().await.expect("a cluster");
    let running = proxy(&servers).with("pool", &format!("size = {size}")).start().await;
    (servers, running)
}

/// Waits until the server runs `count` statements with this mark.
async fn until_running(servers: &Cluster, mark: &str, count: usize) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' \
         AND query LIKE '%{mark}%' AND pid <> pg_backend_pid()"
    );
    eventually(mark, async || {
        servers.primary().value(&sql).await.expect("a count") == count.to_string()
    })
    .await;
}

#[tokio::test]
async fn a_cancel_ends_the_statement_of_its_client_only() {
    let (servers, running) = setting(2).await;
    let hello = startup(2, &[("user", "postgres"), ("database", "postgres")]);
    let mut meant = Wire::start_with(running.postgres, &hello).await;
    let mut beside = Wire::start(running.postgres).await;
    meant.send(&query("SELECT pg_sleep(600), 'mark'")).await;
    // Holds until the test lets go.
    let gate = servers.connect().await.expect("a connection");
    gate.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(7)").await.expect("a lock");
    beside.send(&query("SELECT pg_advisory_xact_lock(7), 'mark'")).await;
    until_running(&servers, "mark", 2).await;

    // Wrong keys are ignored.
    cancel_with(&running, meant.pid, &meant.secret[..4]).await;
    cancel_with(&running, meant.pid, &beside.secret).await;
    cancel_with(&running, beside.pid, &meant.secret).await;
    cancel_with(&running, meant.pid + 1000, &meant.secret).await;
    until_running(&servers, "mark", 2).await;

    cancel_with(&running, meant.pid, &meant.secret).await;
    assert_eq!(code(&meant.until_ready().await), "57014");
    until_running(&servers, "mark", 1).await;
    gate.batch_execute("COMMIT").await.expect("the gate");
    assert_eq!(code(&beside.until_ready().await), "");
    assert!(meant.is_alive().await && beside.is_alive().await);
}

#[tokio::test]
async fn a_cancelled_transaction_can_be_rolled_back() {
    let (servers, running) = setting(1).await;
    let mut wire = Wire::start(running.postgres).await;
    wire.run("BEGIN").await;
    wire.send(&[unnamed("SELECT pg_sleep(600), 'mark'"), sync()].concat()).await;
    until_running(&servers, "mark", 1).await;
    cancel_with(&running, wire.pid, &wire.secret).await;
    let frames = wire.until_ready().await;
    assert_eq!((code(&frames), &frames.last().expect("Z").body[..]), ("57014".into(), &b"E"[..]));
    wire.run("ROLLBACK").await;
    assert!(wire.is_alive().await);
}

#[tokio::test]
async fn a_late_cancel_hits_nobody() {
    let (_servers, running) = setting(1).await;
    let mut first = Wire::start(running.postgres).await;
    let mut second = Wire::start(running.postgres).await;
    let (pid, secret) = (first.pid, first.secret.clone());
    let (short, long) = (query("SELECT 1"), query("SELECT pg_sleep(0.01)"));
    for round in 0..40 {
        // The first one's answer and its cancel request race; the second one is next on the
        // only server connection.
        let (_, frames, beside) = tokio::join!(
            cancel_with(&running, pid, &secret),
            first.ask(&short),
            second.ask(&long),
        );
        assert!(["", "57014"].contains(&&*code(&frames)), "{:?}", brief(&frames));
        assert_eq!(code(&beside), "", "round {round}");
        cancel_with(&running, pid, &secret).await;
        assert_eq!(code(&second.ask(&long).await), "", "{round}");
    }
}

#[tokio::test]
async fn a_cancel_of_a_waiting_client_leaves_the_busy_one_alone() {
    let (_servers, running) = setting(1).await;
    let mut busy = Wire::start(running.postgres).await;
    let mut waiting = Wire::start(running.postgres).await;
    busy.run("BEGIN").await;
    waiting.send(&query("SELECT 1")).await;
    eventually("a waiting client", async || {
        running.admin("SHOW CLIENTS").await.iter().flatten().flatten().any(|v| v == "waiting")
    })
    .await;
    cancel_with(&running, waiting.pid, &waiting.secret).await;
    assert_eq!(code(&busy.ask(&query("SELECT pg_sleep(0.05)")).await), "");
    busy.run("COMMIT").await;
    assert_eq!(code(&waiting.until_ready().await), "");
}
