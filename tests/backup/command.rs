//! What the commands say, and what they refuse.

use crate::scene::{filled, open, scene};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_are_listed_held_pruned_and_each_is_told_why() {
    let keys = "keep = { daily = 1, weekly = 0, monthly = 0, window = \"0s\" }";
    let scene = scene(filled(10).replicas(1), keys).await;
    let said = scene.run(&["backup", "list"]).await;
    assert_eq!((said.ok, said.out.as_str()), (true, "there is no backup yet\n"));
    let said = scene.run(&["backup", "show"]).await;
    assert!(said.err.contains("hint: tidegate backup now takes one"), "{}", said.err);
    let first = scene.backup().await;
    let second = scene.backup().await;
    let third = scene.backup().await;
    let held = scene.run(&["backup", "hold", "--backup", &first, "--why", "audit"]).await;
    assert!(held.ok, "{}", held.err);
    let dry = scene.run(&["backup", "prune", "--dry-run"]).await;
    for line in [
        format!("keep   {first}: it is held: audit\n"),
        format!("delete {second}: nothing asks for it\n"),
        format!("keep   {third}: it is the newest; the last one of "),
        "nothing was done\n".into(),
    ] {
        assert!(dry.out.contains(&line), "{line} is missing in {}", dry.out);
    }
    assert_eq!(scene.json(&["backup", "list"]).await.as_array().unwrap().len(), 3);
    assert!(scene.run(&["backup", "prune"]).await.ok);
    let left = scene.json(&["backup", "list"]).await;
    let ids: Vec<&serde_json::Value> =
        left.as_array().unwrap().iter().map(|one| &one["entry"]["id"]).collect();
    assert_eq!(ids, [&json!(first), &json!(third)]);
    assert!(scene.objects().await.iter().all(|name| !name.contains(&second)));
    // Nobody deleted anything that the others need.
    for id in [&first, &third] {
        let said = scene.run(&["backup", "verify", "--backup", id]).await;
        assert!(said.ok, "{}", said.err);
    }
    assert!(scene.run(&["backup", "release", "--backup", &first]).await.ok);
    assert!(scene.run(&["backup", "prune"]).await.out.contains(&format!("delete {first}: ")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_never_touches_what_is_there() {
    let scene = scene(filled(10).replicas(1), "").await;
    let id = scene.backup().await;
    let live = scene.servers.primary().data().to_str().unwrap().to_owned();
    let said = scene.run(&["backup", "restore", "--to", &live]).await;
    assert!(said.err.contains("is not empty\nhint: a backup is restored into"), "{}", said.err);
    assert_eq!(scene.servers.primary().value("SELECT count(*) FROM t").await.unwrap(), "10");
    let to = scene.place("again");
    let to = ["backup", "restore", "--to", to.to_str().unwrap()];
    for (words, expected) in [
        (&["--at", "2020-01-01 00:00:00+00"][..], "every backup is younger than what is wanted"),
        (&["--position", "0/28"], "every backup is younger than what is wanted"),
        (&["--position", "0/28", "--backup", &id], "0/28 lies before the end of the backup"),
        (&["--at", "yesterday"], "\"yesterday\" is no moment"),
        (&["--backup", "20200101T000000Z"], "20200101T000000Z is no name of a backup"),
        (&["--backup", "../x"], "../x is no name of a backup"),
        (&["--tablespace", "1=/x"], "the backup has no tablespace 1"),
        (&["--xid", "7", "--only-backup"], "cannot be used with"),
    ] {
        let said = scene.run(&[&to, words].concat()).await;
        assert!(!said.ok && said.err.contains(expected), "{words:?}: {}", said.err);
    }
    assert!(!scene.place("again").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_a_backup_from_being_taken_is_said_with_a_hint() {
    // full_page_writes is off in these servers.
    let builder = open().replicas(1).sql("CREATE TABLE t ()");
    let scene = scene(builder, "").await;
    scene.servers.sql("CHECKPOINT").await.unwrap();
    scene.servers.caught_up().await.unwrap();
    let said = scene.run(&["backup", "now"]).await;
    assert!(!said.ok && said.err.contains("hint: set full_page_writes = on"), "{}", said.err);
    assert_eq!(scene.objects().await, Vec::<String>::new());
    let text = scene.text().replace("user = \"postgres\"", "user = \"weak\"");
    std::fs::write(scene.config(), text).unwrap();
    scene.servers.sql("CREATE ROLE weak LOGIN IN ROLE pg_monitor").await.unwrap();
    let rights = "GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() TO weak";
    scene.servers.sql(rights).await.unwrap();
    scene.servers.caught_up().await.unwrap();
    let said = scene.run(&["backup", "now"]).await;
    assert!(said.err.contains("needs the attribute REPLICATION"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_another_cluster_is_refused() {
    let first = scene(filled(10).replicas(1).own_system(), "").await;
    first.backup().await;
    let second = scene(filled(10).replicas(1).own_system(), "").await;
    let text = second.text();
    let (mine, theirs) = (second.place("store"), first.place("store"));
    let text = text.replace(mine.to_str().unwrap(), theirs.to_str().unwrap());
    std::fs::write(second.config(), text).unwrap();
    let said = second.run(&["backup", "now"]).await;
    assert!(!said.ok && said.err.contains("is that of database system"), "{}", said.err);
    assert_eq!(first.json(&["backup", "list"]).await.as_array().unwrap().len(), 1);
}
