//! Backups that do not go as planned.

use crate::scene::{CONTENT, Scene, filled, said, scene};
use crate::support::ask::until;

/// Slow enough to be hit in the middle.
const SLOW: &str = "max_rate = \"4MiB\"";

async fn until_under_way(scene: &Scene) {
    until("objects in the store", || async { scene.objects().await.len() > 1 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_replica_dies_in_the_middle_another_one_is_copied() {
    let scene = scene(filled(20_000).replicas(2), SLOW).await;
    let child = scene.start(&["backup", "now", "--json"]);
    until_under_way(&scene).await;
    // Nobody is busy, so the first one was chosen.
    scene.servers.replica(0).kill();
    let said = said(child).await;
    assert!(said.ok, "{}", said.err);
    let entry: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(entry["node"], "c");
    let id = entry["id"].as_str().unwrap();
    assert!(scene.objects().await.iter().all(|name| name.contains(id)), "the rest is gone");
    let before = scene.servers.primary().value(CONTENT).await.unwrap();
    let server = scene.restored("again", &["--only-backup"]).await;
    assert_eq!(server.node().value(CONTENT).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_in_the_middle_is_no_backup_and_leaves_nothing() {
    let scene = scene(filled(20_000).replicas(1), SLOW).await;
    let child = scene.start(&["backup", "now"]);
    until_under_way(&scene).await;
    scene.servers.replica(0).promote().await.unwrap();
    let said = said(child).await;
    assert!(!said.ok, "{}", said.out);
    assert!(said.err.contains("node b: "), "{}", said.err);
    assert!(said.err.contains("b is the primary"), "{}", said.err);
    assert_eq!(scene.objects().await, Vec::<String>::new());
    assert_eq!(scene.json(&["backup", "list"]).await, serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_interrupted_takes_back_what_it_stored() {
    let scene = scene(filled(20_000).replicas(1), SLOW).await;
    let child = scene.start(&["backup", "now"]);
    until_under_way(&scene).await;
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let said = said(child).await;
    assert!(!said.ok && said.err.contains("it was told to stop"), "{said:?}");
    assert_eq!(scene.objects().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_waits_while_its_replica_falls_behind() {
    let keys = "max_rate = \"4MiB\"\npause_lag = \"500ms\"";
    let scene = scene(filled(10_000).replicas(1), keys).await;
    let child = scene.start(&["backup", "now"]);
    until_under_way(&scene).await;
    scene.servers.replica(0).pause_replay().await.unwrap();
    scene.servers.sql("CREATE TABLE news ()").await.unwrap();
    // It stands still: no object comes for longer than one takes at this rate.
    let mut count = scene.objects().await.len();
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let now = scene.objects().await.len();
        if std::mem::replace(&mut count, now) == now {
            break;
        }
    }
    scene.servers.replica(0).resume_replay().await.unwrap();
    let said = said(child).await;
    assert!(said.ok, "{}", said.err);
    assert!(scene.objects().await.len() > count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_found_without_restoring_and_not_restored() {
    let scene = scene(filled(20_000).replicas(1), "").await;
    let id = scene.backup().await;
    let piece = scene.place(&format!("store/backups/{id}/data/base/00000001.zst"));
    let good = std::fs::read(&piece).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&piece, &bad).unwrap();
    let said = scene.run(&["backup", "verify"]).await;
    assert!(!said.ok && said.err.contains("its checksum is another one"), "{said:?}");
    let to = scene.place("again");
    let said = scene.run(&["backup", "restore", "--to", to.to_str().unwrap()]).await;
    assert!(!said.ok && said.err.contains("its checksum is another one"), "{said:?}");
    std::fs::write(&piece, good).unwrap();
    let log = scene.place(&format!("store/backups/{id}/wal"));
    let first = std::fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(first).unwrap();
    let said = scene.run(&["backup", "verify"]).await;
    assert!(!said.ok && said.err.contains("has no backups/"), "{said:?}");
}
