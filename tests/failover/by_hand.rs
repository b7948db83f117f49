//! FENCE and UNFENCE: a node that an operator takes out, on real servers.

use crate::scene::{DEPOSED, PRIMARY, scene};
use crate::support::ask::{refused, until, value};

const MANUAL: &str = "mode = \"manual\"\nguarantee = \"available\"\nhold = \"300ms\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_standby_serves_nobody_until_it_is_let_in() {
    let scene = scene(MANUAL).await;
    let told = scene.running.try_admin("FENCE test.a").await.expect_err("the primary");
    assert!(told.contains("a is the primary: all writes would stop"), "{told}");
    scene.running.admin("FENCE test.b DRY RUN").await;
    let role = || async {
        let rows = scene.running.admin("SHOW NODES WHERE node = 'b'").await;
        rows[0][3].clone().unwrap_or_default()
    };
    until("b is a replica", || async { role().await == "replica" }).await;

    scene.running.admin("FENCE test.b").await;
    until("b is fenced", || async { role().await == "fenced" }).await;
    // The server itself lets nobody in, but for the monitor's user, and replicates on.
    let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    assert_eq!(scene.node("a").value(streams).await.unwrap(), "2");
    let told = scene.node("b").value("SELECT 1").await.expect_err("nobody gets in").to_string();
    assert!(told.contains("pg_hba.conf rejects connection"), "{told}");
    let told = scene.running.try_admin("SWITCHOVER test TO b").await.expect_err("b is fenced");
    assert!(told.contains("fenced"), "{told}");
    assert_eq!(scene.term(PRIMARY).await, "a");

    // A restart of the proxy changes nothing of it.
    let scene = scene.restart().await;
    scene.until_well().await;
    let again = scene.running.try_admin("FENCE test.b").await.expect_err("it is fenced");
    assert!(again.contains("b is fenced already"), "{again}");
    scene.running.admin("UNFENCE test.b").await;
    assert_eq!(scene.node("b").value("SELECT 1").await.unwrap(), "1");
    let role = || async {
        let rows = scene.running.admin("SHOW NODES WHERE node = 'b'").await;
        rows[0][3].clone().unwrap_or_default()
    };
    until("b is a replica again", || async { role().await == "replica" }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_fenced_by_force_takes_no_writes_until_it_is_let_in() {
    let scene = scene(MANUAL).await;
    let client = scene.running.connect().await;
    client.batch_execute("INSERT INTO told VALUES (1)").await.unwrap();
    scene.running.admin("FENCE test.a FORCE").await;
    let why = refused(&scene.running.connect().await, "INSERT INTO told VALUES (3)").await;
    assert!(why.contains("57P03") && why.contains("(TG0301)"), "{why}");
    scene.running.admin("UNFENCE test.a").await;
    until("writes again", || async {
        scene.running.connect().await.batch_execute("INSERT INTO told VALUES (2)").await.is_ok()
    })
    .await;
    assert_eq!(scene.term(DEPOSED).await, "");
    let told = value(&scene.running.connect().await, "SELECT count(*) FROM told").await;
    assert!(told.parse::<u32>().unwrap() >= 2, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_failover_is_off_nothing_is_fenced() {
    let servers = crate::support::cluster().start().await.unwrap();
    let running = crate::support::proxy::proxy(&servers).start().await;
    let told = running.try_admin("FENCE test.a FORCE").await.expect_err("failover is off");
    assert!(told.contains("failover.mode is \"off\""), "{told}");
    let url = format!("host=127.0.0.1 port={} user=x dbname=tidegate", running.console.port());
    let console = running.connect_with(&url).await.unwrap();
    let told = refused(&console, "UNFENCE test.a").await;
    assert!(told.contains("55000") && told.contains("(TG0907)"), "{told}");
    assert!(running.admin("SHOW LEASES").await.is_empty());
}
