//! strict: nothing that a client does has its commits wait for less than the standbys.

use crate::load::Writers;
use crate::scene::{Scene, scene};
use crate::support::ask::{refused, try_value, until, value, words};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

const STRICT: &str = "mode = \"manual\"";

/// Commits of this server wait for ever: no standby takes anything.
async fn stop_standbys(scene: &Scene) {
    for standby in &scene.servers.nodes()[1..] {
        standby.freeze().unwrap();
    }
}

async fn until_waiting(scene: &Scene, count: usize) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    until("commits that wait", || async {
        scene.node("a").value(waiting).await.unwrap() == count.to_string()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_gets_commits_that_wait_for_less() {
    let scene = scene(STRICT).await;
    let (client, task) = scene.running.fragile().await;
    for text in [
        "SET synchronous_commit = off",
        "BEGIN; SET LOCAL synchronous_commit = local; COMMIT",
        "SELECT set_config('synchronous_commit', 'remote_write', false)",
        "DO $$ BEGIN SET LOCAL synchronous_commit = off; END $$",
    ] {
        let why = refused(&client, text).await;
        assert!(why.starts_with("22023 synchronous_commit must be on or remote_apply"), "{why}");
        assert!(why.contains("failover.guarantee"), "{why}");
    }
    let by_values = client.prepare("SELECT set_config($1, $2, false)").await.unwrap();
    let error = client.query(&by_values, &[&"synchronous_commit", &"off"]).await.unwrap_err();
    assert!(words(&error).starts_with("22023"), "{}", words(&error));
    client.query(&by_values, &[&"work_mem", &"5MB"]).await.unwrap();
    client.batch_execute("SET synchronous_commit = remote_apply").await.unwrap();
    assert_eq!(value(&client, "SHOW synchronous_commit").await, "remote_apply");
    drop(client);
    task.abort();
    let url = scene.running.url("postgres", "postgres") + " options='-c synchronous_commit=off'";
    let why = scene.running.refused_login(&url).await;
    assert!(why.starts_with("22023"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_roles_databases_and_files_say_does_not_count() {
    let scene = scene(STRICT).await;
    let a = scene.node("a");
    for setting in
        ["ROLE postgres SET", "DATABASE postgres SET", "SYSTEM SET"].map(|of| format!("ALTER {of}"))
    {
        a.sql(&format!("{setting} synchronous_commit = off")).await.unwrap();
    }
    a.sql("SELECT pg_reload_conf()").await.unwrap();
    let direct = a.config("postgres", "postgres").connect(NoTls).await.unwrap();
    tokio::spawn(direct.1);
    assert_eq!(value(&direct.0, "SHOW synchronous_commit").await, "off");
    let client = scene.running.connect().await;
    assert_eq!(value(&client, "BEGIN; SHOW synchronous_commit").await, "on");
    client.batch_execute("COMMIT; RESET ALL").await.unwrap();
    assert_eq!(value(&client, "BEGIN; SHOW synchronous_commit").await, "on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_stops_waiting_is_no_success() {
    let scene = scene(STRICT).await;
    let client = scene.running.connect().await;
    let simple = scene.running.connect().await;
    stop_standbys(&scene).await;
    let insert = "INSERT INTO told VALUES (1)";
    let (prepared, alone, _) = tokio::join!(
        client.execute(insert, &[]),
        try_value(&simple, "BEGIN; INSERT INTO told VALUES (2); COMMIT"),
        async {
            until_waiting(&scene, 2).await;
            let cancel =
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            scene.node("a").sql(cancel).await.unwrap();
        }
    );
    for error in [words(&prepared.unwrap_err()), words(&alone.unwrap_err())] {
        assert!(error.starts_with("08007 node a committed it and stopped waiting"), "{error}");
    }
    // Both sessions go on.
    assert_eq!(value(&client, "SELECT 7").await, "7");
    assert_eq!(value(&simple, "SELECT 7").await, "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_not_cancelled() {
    let scene = scene(STRICT).await;
    let client = scene.running.connect().await;
    client.batch_execute("BEGIN; INSERT INTO told VALUES (1)").await.unwrap();
    stop_standbys(&scene).await;
    let cancel = client.cancel_token();
    let (committed, ()) = tokio::join!(client.batch_execute("COMMIT"), async {
        until_waiting(&scene, 1).await;
        let mut line = TcpStream::connect(scene.running.postgres).await.unwrap();
        cancel.cancel_query_raw(&mut line, NoTls).await.unwrap();
        // The end of the line says that it was dealt with.
        assert_eq!(line.read(&mut [0]).await.unwrap(), 0);
        until_waiting(&scene, 1).await;
        for standby in &scene.servers.nodes()[1..] {
            standby.thaw().unwrap();
        }
    });
    committed.unwrap();
    assert_eq!(value(&client, "SELECT count(*) FROM told").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_lets_nobody_in_is_replaced_although_old_sessions_write() {
    let scene = scene("mode = \"automatic\"").await;
    let writers = Writers::start(&scene.running, 8);
    writers.go_on(200).await;
    scene.node("a").freeze_door().unwrap();
    let primary = scene.settled_in("2").await;
    assert_ne!(primary.name(), "a");
    writers.go_on(200).await;
    scene.node("a").thaw().unwrap();
    writers.go_on(200).await;
    let told = writers.stop().await;
    assert_eq!(told.hold_against(primary).await, Vec::<i64>::new());
    assert_eq!(told.lost, 0, "connections of clients ended");
}
