//! The log is archived while the proxy runs, and any moment comes back.

use crate::scene::{CONTENT, Scene, filled, scene};
use crate::support::ask::until;
use crate::support::proxy::{Running, proxy};

async fn running(scene: &Scene) -> Running {
    let store = format!("store = \"file://{}\"", scene.place("store").display());
    proxy(&scene.servers).with("backup", &store).start().await
}

/// All that was written until now is archived when this returns.
pub(crate) async fn archived(scene: &Scene, node: &tidegate::lab::postgres::Node) {
    let file = node.value("SELECT pg_walfile_name(pg_current_wal_lsn())").await.unwrap();
    node.sql("SELECT pg_switch_wal()").await.unwrap();
    until(&file, || async { scene.store().log_files().await.unwrap().contains(&file) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_comes_back_as_it_was_right_before_the_transaction_that_dropped_it() {
    let scene = scene(filled(1_000).replicas(1), "").await;
    let running = running(&scene).await;
    scene.backup().await;
    let node = scene.servers.primary();
    for n in 2_000..2_100 {
        node.sql(&format!("INSERT INTO t VALUES ({n}, 'later')")).await.unwrap();
    }
    let before = node.value(CONTENT).await.unwrap();
    let drop = "BEGIN; DROP TABLE t; SELECT pg_current_xact_id(); COMMIT";
    let xid = node.value(drop).await.unwrap();
    let after = node.value("SELECT pg_current_wal_lsn()").await.unwrap();
    node.sql("CREATE TABLE news AS SELECT 1 AS n").await.unwrap();
    archived(&scene, node).await;
    let server = scene.restored("before", &["--xid", &xid, "--before"]).await;
    assert_eq!(server.node().value(CONTENT).await.unwrap(), before);
    // And with it: the table is gone, what came later is not there.
    let server = scene.restored("with", &["--xid", &xid]).await;
    let there = "SELECT to_regclass('t') IS NULL, to_regclass('news') IS NULL";
    let there_now = server.node().sql(there).await.unwrap();
    assert_eq!(there_now[0], [Some("t".to_owned()), Some("t".to_owned())]);
    let server = scene.restored("position", &["--position", &after]).await;
    assert_eq!(server.node().sql(there).await.unwrap()[0][0].as_deref(), Some("t"));
    let server = scene.restored("latest", &[]).await;
    assert_eq!(server.node().value("SELECT n FROM news").await.unwrap(), "1");
    let log = running.admin("SHOW ARCHIVE").await;
    assert_eq!(log[0][1].as_deref(), Some("b"), "from the replica");
    let verified = scene.json(&["backup", "verify"]).await;
    assert!(verified["verified"]["log_until"].is_string(), "{verified}");
    running.proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_comes_back_by_its_time() {
    let scene = scene(filled(10).replicas(1), "").await;
    let running = running(&scene).await;
    scene.backup().await;
    let node = scene.servers.primary();
    node.sql("INSERT INTO t VALUES (11, 'kept')").await.unwrap();
    let time = node.sql("SELECT clock_timestamp() FROM pg_sleep(0.1)").await.unwrap();
    let time = time[0][0].clone().unwrap();
    node.sql("SELECT pg_sleep(0.1); INSERT INTO t VALUES (12, 'lost')").await.unwrap();
    archived(&scene, node).await;
    let server = scene.restored("again", &["--at", &time]).await;
    assert_eq!(server.node().value("SELECT max(n) FROM t").await.unwrap(), "11");
    running.proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_archive_follows_a_promotion_without_a_hole() {
    let scene = scene(filled(1_000).replicas(2), "").await;
    let running = running(&scene).await;
    scene.backup().await;
    let (a, b, c) = (scene.servers.node(0), scene.servers.node(1), scene.servers.node(2));
    a.sql("INSERT INTO t SELECT n, 'old reign' FROM generate_series(2000, 2099) AS n")
        .await
        .unwrap();
    archived(&scene, a).await;
    a.sql("INSERT INTO t SELECT n, 'last' FROM generate_series(3000, 3099) AS n").await.unwrap();
    scene.servers.caught_up().await.unwrap();
    a.kill();
    b.promote().await.unwrap();
    c.follow(b).await.unwrap();
    b.sql("INSERT INTO t SELECT n, 'new reign' FROM generate_series(4000, 4099) AS n")
        .await
        .unwrap();
    archived(&scene, b).await;
    let before = b.value(CONTENT).await.unwrap();
    let server = scene.restored("again", &[]).await;
    assert_eq!(server.node().value(CONTENT).await.unwrap(), before);
    // The segment in which the first timeline ended is there on the second one only.
    let files = scene.store().log_files().await.unwrap();
    assert!(files.contains(&"00000002.history".to_owned()), "{files:?}");
    let log = running.admin("SHOW ARCHIVE").await;
    assert_eq!(log[0][6].as_deref(), Some("0"), "holes");
    // A backup of the new reign stands on its own.
    let entry = scene.json(&["backup", "now"]).await;
    assert_eq!(entry["end"]["timeline"], 2);
    let server = scene.restored("alone", &["--only-backup"]).await;
    assert_eq!(server.node().value(CONTENT).await.unwrap(), before);
    running.proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_damaged_stops_a_recovery_instead_of_ending_it_early() {
    let scene = scene(filled(10).replicas(1), "").await;
    let running = running(&scene).await;
    scene.backup().await;
    let node = scene.servers.primary();
    node.sql("INSERT INTO t VALUES (11, 'kept')").await.unwrap();
    archived(&scene, node).await;
    let files = scene.store().log_files().await.unwrap();
    let newest = scene.place(&format!("store/wal/{}.zst", files.last().unwrap()));
    let mut bytes = std::fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let folder = scene.place("again");
    let to = ["backup", "restore", "--to", folder.to_str().unwrap()];
    assert!(scene.run(&to).await.ok);
    // It is a matter of moments whether it accepted a connection before.
    let ended = match tidegate::lab::postgres::Adopted::start(&folder).await {
        Err(error) => error.to_string(),
        Ok(server) => {
            until("its end", || async { server.node().pid().is_none() }).await;
            server.node().log_tail()
        }
    };
    assert!(ended.contains("is damaged"), "{ended}");
    running.proxy.stop().await;
}
