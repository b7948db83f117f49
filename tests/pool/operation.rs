//! PAUSE, RESUME, KILL, RELOAD and SHUTDOWN while clients are at work.

use crate::support::ask::{backend, until, value, words};
use crate::support::program::Program;
use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, cluster};
use futures_util::future::poll_fn;
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Arc;
use tokio_postgres::{AsyncMessage, NoTls};

async fn one() -> Cluster {
    cluster().sql("CREATE TABLE t (a int)").start().await.unwrap()
}

/// A console command: its notices, or what it was refused with.
async fn order(running: &Running, command: &str) -> Result<Vec<String>, String> {
    let url = format!("host=127.0.0.1 port={} user=x dbname=tidegate", running.console.port());
    let (client, mut connection) = tokio_postgres::connect(&url, NoTls).await.expect("the console");
    let notices = tokio::spawn(async move {
        let mut notices = Vec::new();
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notice(notice) = message {
                notices.push(notice.message().to_owned());
            }
        }
        notices
    });
    let done = client.batch_execute(command).await.map_err(|error| words(&error));
    drop(client);
    done?;
    Ok(notices.await.expect("the notices"))
}

fn rewrite(running: &Running, from: &str, to: &str) {
    let text = std::fs::read_to_string(&running.file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&running.file, text.replace(from, to)).unwrap();
}

#[tokio::test]
async fn pause_lets_transactions_end_and_new_ones_wait_until_resume() {
    let servers = one().await;
    let running = Arc::new(proxy(&servers).start().await);
    let (busy, other) = (running.connect().await, running.connect().await);
    busy.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    let pause = tokio::spawn({
        let running = running.clone();
        async move { order(&running, "PAUSE test").await }
    });
    until("the pause", || async { running.cluster().is_paused() }).await;
    let waiting = tokio::spawn(async move { value(&other, "SELECT count(*) FROM t").await });
    let states = || async {
        let clients = running.admin("SHOW CLIENTS").await;
        clients.iter().any(|row| row[5].as_deref() == Some("waiting"))
    };
    until("a waiting client", states).await;
    // Whoever is in a transaction goes on, and PAUSE waits for that.
    busy.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    assert!(!pause.is_finished() && !waiting.is_finished());
    busy.batch_execute("COMMIT").await.unwrap();
    pause.await.unwrap().unwrap();
    assert!(!waiting.is_finished());
    assert_eq!(running.counts(0).lent, 0);
    order(&running, "RESUME test").await.unwrap();
    assert_eq!(waiting.await.unwrap(), "2");
}

#[tokio::test]
async fn kill_ends_a_client_whatever_it_is_doing() {
    let servers = one().await;
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let url =
        |name: &str| format!("{} application_name={name}", running.url("postgres", "postgres"));
    let busy = running.connect_with(&url("busy")).await.unwrap();
    let waiting = running.connect_with(&url("waiting")).await.unwrap();
    let idle = running.connect_with(&url("idle")).await.unwrap();
    let bystander = running.connect().await;
    let busy = tokio::spawn(async move { busy.batch_execute("SELECT pg_sleep(3600)").await });
    until("a busy server", || async { running.counts(0).lent == 1 }).await;
    let waiting =
        tokio::spawn(async move { waiting.batch_execute("INSERT INTO t VALUES (1)").await });
    running.until_waiting(1).await;
    let clients = running.admin("SHOW CLIENTS").await;
    for name in ["waiting", "idle", "busy"] {
        let client = clients.iter().find(|row| row[11].as_deref() == Some(name)).unwrap();
        order(&running, &format!("KILL {}", client[1].as_deref().unwrap())).await.unwrap();
    }
    for killed in [waiting, busy] {
        let told = words(&killed.await.unwrap().expect_err("killed"));
        assert!(told.starts_with("57P01 terminated by an administrator"), "{told}");
    }
    until("the end of the idle one", || async { idle.is_closed() }).await;
    assert_eq!(value(&bystander, "SELECT count(*) FROM t").await, "0");
    assert!(order(&running, "KILL 99999").await.expect_err("nobody").contains("no client 99999"));
}

#[tokio::test]
async fn a_reload_drops_nobody_and_names_what_needs_a_restart() {
    let servers = one().await;
    let running = proxy(&servers).with("pool", "size = 2").start().await;
    let (client, other) = (running.connect().await, running.connect().await);
    client.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    other.batch_execute("BEGIN").await.unwrap();
    other.batch_execute("COMMIT").await.unwrap();
    until("the idle connection", async || running.counts(0).idle == 1).await;
    rewrite(&running, "size = 2", "size = 1");
    rewrite(&running, "[listen]\n", "[listen]\nlogin_timeout = \"9s\"\n");
    let notices = order(&running, "RELOAD").await.unwrap();
    assert_eq!(
        notices,
        ["clusters.test.pool.size changed", "listen.login_timeout changes only with a restart"]
    );
    until("the smaller pool", || async { running.counts(0).idle == 0 }).await;
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(value(&client, "SELECT count(*) FROM t").await, "1");
    assert_eq!(backend(&client).await, backend(&other).await);
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_says_why() {
    let servers = one().await;
    let running = proxy(&servers).with("pool", "size = 2").start().await;
    let client = running.connect().await;
    rewrite(&running, "size = 2", "size = 0\nsise = 3");
    let told = order(&running, "RELOAD").await.expect_err("two mistakes");
    assert!(told.contains("clusters.test.pool.size = 0: must be at least 1"), "{told}");
    assert!(told.contains("clusters.test.pool.sise"), "{told}");
    let config = running.admin("SHOW CONFIG").await;
    let size = config.iter().find(|row| row[0].as_deref() == Some("clusters.test.pool.size"));
    assert_eq!(size.unwrap()[1].as_deref(), Some("2"));
    assert_eq!(value(&client, "SELECT 1").await, "1");
}

#[tokio::test]
async fn sighup_reloads_and_shutdown_lets_transactions_end() {
    let servers = one().await;
    let config = proxy(&servers).with("pool", "size = 3").text();
    let program = Program::start(&config).await;
    let (busy, idle) = (program.connect().await, program.connect().await);
    busy.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    let hang_up = || {
        let pid = Pid::from_raw(i32::try_from(program.pid()).unwrap()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
    };
    std::fs::write(program.config(), config.replace("size = 3", "size = 0")).unwrap();
    hang_up();
    program.until_said("clusters.test.pool.size = 0: must be at least 1").await;
    std::fs::write(program.config(), config.replace("size = 3", "size = 4")).unwrap();
    hang_up();
    program.until_said("reloaded changed=[\"clusters.test.pool.size\"]").await;
    assert_eq!(value(&idle, "SELECT 1").await, "1");
    program.admin("SHUTDOWN").await;
    until("the end of the idle client", || async { idle.is_closed() }).await;
    busy.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    busy.batch_execute("COMMIT").await.unwrap();
    assert!(program.ended().await.success());
    assert_eq!(servers.primary().value("SELECT count(*) FROM t").await.unwrap(), "2");
}
