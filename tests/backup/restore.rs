//! What comes back is what was there.

use crate::scene::{CONTENT, filled, scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_replica_is_restored_with_all_that_it_had() {
    let scene = scene(filled(20_000).replicas(1), "").await;
    let before = scene.servers.primary().value(CONTENT).await.unwrap();
    let entry = scene.json(&["backup", "now"]).await;
    assert_eq!(entry["node"], "b");
    // What comes later is not in it.
    scene.servers.sql("DELETE FROM t").await.unwrap();
    let said = scene.run(&["backup", "verify"]).await;
    assert!(said.ok && said.out.contains("is good: "), "{said:?}");
    let server = scene.restored("again", &["--only-backup"]).await;
    assert_eq!(server.node().value(CONTENT).await.unwrap(), before);
    // A server of its own, which follows nobody and can be written to.
    let receiver = "SELECT count(*) FROM pg_stat_wal_receiver";
    assert_eq!(server.node().value(receiver).await.unwrap(), "0");
    assert_eq!(server.node().value("SHOW primary_conninfo").await.unwrap(), "");
    server.node().sql("INSERT INTO t VALUES (0, 'x')").await.unwrap();
    let mode = std::fs::metadata(scene.place("again")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tablespaces_come_back_where_they_are_wanted() {
    let scene = scene(filled(100).replicas(0), "from = \"any\"").await;
    let space = scene.place("space");
    let node = scene.servers.primary();
    node.sql(&format!("COPY (SELECT 1) TO PROGRAM 'mkdir {}'", space.display())).await.unwrap();
    node.sql(&format!("CREATE TABLESPACE aside LOCATION '{}'", space.display())).await.unwrap();
    node.sql("CREATE TABLE u TABLESPACE aside AS SELECT * FROM t").await.unwrap();
    scene.backup().await;
    let to = scene.place("again");
    let said = scene.run(&["backup", "restore", "--to", to.to_str().unwrap()]).await;
    assert!(said.err.contains(&format!("was at {}", space.display())), "{}", said.err);
    assert!(said.err.contains("hint: --tablespace ") && !to.exists(), "{}", said.err);
    let oid = node.value("SELECT oid FROM pg_tablespace WHERE spcname = 'aside'").await.unwrap();
    let mapped = format!("{oid}={}", scene.place("space2").display());
    let server = scene.restored("again", &["--only-backup", "--tablespace", &mapped]).await;
    let count = server.node().value("SELECT count(*) FROM u").await.unwrap();
    assert_eq!(count, "100");
    let location = format!("SELECT pg_tablespace_location({oid})");
    let there = server.node().value(&location).await.unwrap();
    assert_eq!(there, scene.place("space2").display().to_string());
    // It is not the live server's own.
    server.node().sql("DROP TABLE u").await.unwrap();
    assert_eq!(node.value("SELECT count(*) FROM u").await.unwrap(), "100");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_has_every_row_from_before_and_none_twice() {
    let scene = scene(filled(5_000).replicas(1), "max_rate = \"8MiB\"").await;
    let client = scene.servers.connect().await.unwrap();
    let writer = tokio::spawn(async move {
        for n in 0..u32::MAX {
            let insert = format!("INSERT INTO t VALUES ({}, 'later')", 10_000 + n);
            if client.batch_execute(&insert).await.is_err() {
                return;
            }
        }
    });
    let before = scene.servers.primary().value("SELECT max(n) FROM t").await.unwrap();
    scene.backup().await;
    let after = scene.servers.primary().value("SELECT max(n) FROM t").await.unwrap();
    writer.abort();
    let server = scene.restored("again", &["--only-backup"]).await;
    let rows =
        "SELECT max(n), count(*) - count(DISTINCT n), max(n) - 10_000 - count(*) + 5_001 FROM t";
    let rows = rows.replace('_', "");
    let rows = server.node().sql(&rows).await.unwrap().remove(0);
    let number = |text: &str| text.parse::<i64>().unwrap();
    let last = number(rows[0].as_deref().unwrap());
    assert!(last >= number(&before) && last <= number(&after), "{before} {last} {after}");
    assert_eq!(
        rows[1..],
        [Some("0".to_owned()), Some("0".to_owned())],
        "no row is missing or twice"
    );
}
