//! Test restores: what they prove, what they find, and who is told.

use crate::archive::archived;
use crate::scene::{filled, scene};
use crate::schedule::metrics;
use crate::support::ask::{refused, until};
use crate::support::proxy::proxy;
use std::path::PathBuf;
use tidegate::lab::postgres::Node;

/// Keys of the test restores, besides these.
fn keys(scratch: &str, more: &str) -> String {
    format!("[clusters.test.backup.test]\nscratch = \"{scratch}\"\n{more}\n")
}

/// A folder that the servers' user can enter.
fn scratch() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    folder
}

fn left(scratch: &tempfile::TempDir) -> Vec<PathBuf> {
    std::fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// What a check said.
fn says(proof: &serde_json::Value, check: &str) -> String {
    let all = proof["checks"].as_array().unwrap();
    let found = all.iter().find(|one| one["name"] == check);
    found.unwrap_or_else(|| panic!("{check} is missing in {proof}"))["says"].to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_proven_with_the_log_that_was_archived_since() {
    let folder = scratch();
    let probe = "probe = \"SELECT max(n) || ' ' || count(*) FROM t\"\nexpect = \"2099 1100\"";
    let builder = filled(1_000).replicas(1).checksums().conf("max_prepared_transactions", "5");
    let scene = scene(builder, &keys(folder.path().to_str().unwrap(), probe)).await;
    let store = format!("store = \"file://{}\"", scene.place("store").display());
    let running = proxy(&scene.servers).with("backup", &store).start().await;
    let node = scene.servers.primary();
    node.sql("BEGIN; INSERT INTO t VALUES (0, 'x'); PREPARE TRANSACTION 'p'").await.unwrap();
    let id = scene.backup().await;
    node.sql("INSERT INTO t SELECT n, 'later' FROM generate_series(2000, 2099) AS n")
        .await
        .unwrap();
    archived(&scene, node).await;
    let proof = scene.json(&["backup", "test"]).await;
    assert_eq!(proof["failure"], serde_json::Value::Null, "{proof}");
    assert!(proof["recovered_ms"].as_u64() >= proof["restored_ms"].as_u64(), "{proof}");
    assert!(says(&proof, "amcheck").contains("hold together"), "{proof}");
    assert!(says(&proof, "checksums").contains("every page"), "{proof}");
    let listed = scene.json(&["backup", "list"]).await;
    assert_eq!((&listed[0]["entry"]["id"], &listed[0]["proof"]), (&id.into(), &proof));
    let words = scene.run(&["backup", "list"]).await.out;
    assert!(words.contains("proven ") && words.contains(" ago in "), "{words}");
    assert_eq!(left(&folder), Vec::<PathBuf>::new(), "nothing is left of it");
    running.proxy.stop().await;
}

/// An index whose order is not what its operator class says any more.
async fn break_index(node: &Node) {
    let compare = |sign: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION compare(int, int) RETURNS int IMMUTABLE LANGUAGE sql
               AS 'SELECT {sign} btint4cmp($1, $2)'"
        )
    };
    node.sql(&compare("")).await.unwrap();
    node.sql(
        "CREATE OPERATOR CLASS odd FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=,
           OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 compare(int, int)",
    )
    .await
    .unwrap();
    node.sql("CREATE INDEX broken ON t (n odd)").await.unwrap();
    node.sql(&compare("-")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_is_found_and_named() {
    let folder = scratch();
    let all = keys(
        folder.path().to_str().unwrap(),
        "log = false\nprobe = \"SELECT count(*) = 500 FROM t\"",
    );
    let mut scene = scene(filled(500).replicas(1), &all).await;
    let id = scene.backup().await;
    let good = scene.json(&["backup", "test"]).await;
    assert!(says(&good, "checksums").contains("the cluster has none"), "{good}");
    // Damage in the store.
    let piece = scene.place(&format!("store/backups/{id}/data/base/00000000.zst"));
    let bytes = std::fs::read(&piece).unwrap();
    std::fs::write(&piece, &bytes[..bytes.len() - 1]).unwrap();
    let said = scene.run(&["backup", "test"]).await;
    let object = format!("backups/{id}/data/base/00000000.zst in the store");
    assert!(!said.ok && said.err.contains(&object), "{}", said.err);
    assert!(said.err.contains("is not proven: "), "{}", said.err);
    let listed = scene.json(&["backup", "list"]).await;
    assert!(listed[0]["proof"]["failure"].as_str().unwrap().contains(&object), "{listed}");
    std::fs::write(&piece, bytes).unwrap();
    // An answer that is not the one that is expected.
    scene.reconfigure(&all.replace("= 500", "= 501"));
    let said = scene.run(&["backup", "test"]).await;
    assert!(said.err.contains("answered \"f\" instead of \"t\""), "{}", said.err);
    // A server of that version that is not there says nothing about the backup.
    scene.reconfigure(&all.replace("log = false", "log = false\nprograms = \"/nowhere\""));
    let said = scene.run(&["backup", "test"]).await;
    assert!(said.err.contains("looked in /nowhere\nhint: install that version"), "{}", said.err);
    // An index that lies, with all objects as they were.
    scene.reconfigure(&all);
    break_index(scene.servers.primary()).await;
    scene.servers.caught_up().await.unwrap();
    scene.backup().await;
    let said = scene.run(&["backup", "test"]).await;
    assert!(said.err.contains("invariant violated for index \"broken\""), "{}", said.err);
    let said = scene.run(&["backup", "test", "--backup", &id]).await;
    assert!(said.ok, "the older one is good: {}", said.err);
    assert_eq!(left(&folder), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_proxy_tests_by_the_clock_and_tells_what_fails() {
    let folder = scratch();
    let scene = scene(filled(10).replicas(1), "").await;
    let id = scene.backup().await;
    let told = scene.place("told");
    let backup = format!(
        "store = \"file://{}\"\narchive = false\nrpo = \"1s\"\n\
         hooks.command = [\"/bin/sh\", \"-c\", \"cat >>{2}; echo >>{2}\"]\n\
         test = {{ scratch = \"{1}\", schedule = \"* * * * * *\", log = false, amcheck = false }}",
        scene.place("store").display(),
        folder.path().display(),
        told.display()
    );
    let running = proxy(&scene.servers).with("backup", &backup).start().await;
    let newest = || async { running.admin("SHOW BACKUPS").await.remove(0) };
    until("a first proof", || async { newest().await[11].as_deref() == Some("proven") }).await;
    assert!(newest().await[10].as_ref().unwrap().parse::<u64>().unwrap() > 0, "milliseconds");
    let page = metrics(running.http).await;
    assert!(page.contains("tidegate_backup_recovery_seconds{cluster=\"test\"} "), "{page}");
    assert!(page.contains("tidegate_backup_proven_age_seconds{cluster=\"test\"} "), "{page}");
    let events = || std::fs::read_to_string(&told).unwrap_or_default();
    until("lateness", || async { events().contains("\"event\":\"late\"") }).await;
    let page = metrics(running.http).await;
    assert!(page.contains("tidegate_backup_rpo_exceeded{cluster=\"test\"} 1\n"), "{page}");
    let log = scene.place(&format!("store/backups/{id}/wal"));
    let first = std::fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(first).unwrap();
    let url = format!("host=127.0.0.1 port={} user=x dbname=tidegate", running.console.port());
    let console = running.connect_with(&url).await.unwrap();
    let why = refused(&console, "TEST BACKUP test").await;
    assert!(
        why.starts_with("55000 ") && why.contains(&format!("has no backups/{id}/wal/")),
        "{why}"
    );
    until("the failure", || async { events().contains("\"event\":\"test_failed\"") }).await;
    assert!(events().contains(&format!("\"backup\":\"{id}\"")), "{}", events());
    until("the verdict", || async { newest().await[11].as_ref().unwrap().starts_with("failed: ") })
        .await;
    running.proxy.stop().await;
    until("an empty folder", || async { left(&folder).is_empty() }).await;
}
