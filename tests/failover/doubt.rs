//! `commit_outcome = "resolve"`: the primary dies at a COMMIT, and the client is told the truth.

use crate::scene::{Scene, scene};
use crate::support::ask::{try_value, until, value, words};
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::Client;

const RESOLVE: &str = "mode = \"automatic\"\ncommit_outcome = \"resolve\"\nhold = \"60s\"";

/// Clients that commit, each in its own way, and the number that each has written.
struct Committers {
    simple: Client,
    extended: Client,
    alone: Client,
    several: Client,
    pinned: Client,
}

impl Committers {
    async fn begin(scene: &Scene) -> Committers {
        let connect = || scene.running.connect();
        let of = Committers {
            simple: connect().await,
            extended: connect().await,
            alone: connect().await,
            several: connect().await,
            pinned: connect().await,
        };
        of.simple.batch_execute("BEGIN; INSERT INTO told VALUES (1)").await.unwrap();
        of.extended.batch_execute("BEGIN; INSERT INTO told VALUES (2)").await.unwrap();
        of.pinned.batch_execute("CREATE TEMP TABLE mine (a int)").await.unwrap();
        of.pinned.batch_execute("BEGIN; INSERT INTO told VALUES (5)").await.unwrap();
        of
    }

    /// All at once; what each was told, in words. Nobody answers before `meanwhile` is over.
    async fn commit(&self, meanwhile: impl Future<Output = ()>) -> [String; 5] {
        let commit = self.extended.prepare("COMMIT").await.unwrap();
        let insert = self.alone.prepare("INSERT INTO told VALUES (3)").await.unwrap();
        let told = |ended: Result<String, tokio_postgres::Error>| match ended {
            Ok(says) => says,
            Err(error) => words(&error),
        };
        let (simple, extended, alone, several, pinned, ()) = tokio::join!(
            async { self.simple.batch_execute("COMMIT").await.map(|()| "done".into()) },
            async { self.extended.execute(&commit, &[]).await.map(|_| "done".into()) },
            async { self.alone.execute(&insert, &[]).await.map(|rows| format!("{rows} row")) },
            try_value(&self.several, "BEGIN; INSERT INTO told VALUES (4); COMMIT"),
            async { self.pinned.batch_execute("COMMIT").await.map(|()| "done".into()) },
            meanwhile
        );
        [simple, extended, alone, several, pinned].map(told)
    }
}

/// All commits wait for a standby.
async fn until_they_wait(scene: &Scene) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    until("commits that wait", || async { scene.node("a").value(waiting).await.unwrap() == "5" })
        .await;
}

const THERE: &str = "SELECT string_agg(n::text, ' ' ORDER BY n) FROM told";

/// What was found out of how many commits.
fn counted(scene: &Scene, outcome: &str) -> u64 {
    scene.running.cluster().counters.outcomes.counts().get(outcome).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_arrived_is_done_for_its_client() {
    let scene = scene(RESOLVE).await;
    let clients = Committers::begin(&scene).await;
    let standbys = &scene.servers.nodes()[1..];
    standbys.iter().for_each(|standby| standby.freeze().unwrap());
    let told = clients.commit(async {
        until_they_wait(&scene).await;
        // What was sent lies in the standbys' sockets.
        let sent =
            "SELECT bool_and(sent_lsn >= pg_current_wal_flush_lsn()) FROM pg_stat_replication";
        until("log that is sent", || async { scene.node("a").value(sent).await.unwrap() == "t" })
            .await;
        scene.node("a").kill();
        standbys.iter().for_each(|standby| standby.thaw().unwrap());
    });
    let [simple, extended, alone, several, pinned] = told.await;
    assert_eq!([&simple, &extended, &alone, &pinned], ["done", "done", "1 row", "done"]);
    assert!(several.starts_with("08007"), "{several}");
    let primary = scene.settled_in("2").await;
    assert_eq!(primary.value(THERE).await.unwrap(), "1 2 3 4 5");
    assert_eq!((counted(&scene, "committed"), counted(&scene, "rolled_back")), (4, 0));
    // The sessions go on, outside of any transaction, except the one whose temporary table is gone.
    for client in [&clients.simple, &clients.extended, &clients.alone] {
        assert_eq!(value(client, "SELECT 7").await, "7");
        client.batch_execute("BEGIN; ROLLBACK").await.unwrap();
    }
    until("the end of the session", || async { clients.pinned.is_closed() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_did_not_arrive_is_rolled_back_for_its_client() {
    let scene = scene(RESOLVE).await;
    let clients = Committers::begin(&scene).await;
    let senders = scene.node("a").sql("SELECT pid FROM pg_stat_replication").await.unwrap();
    let told = clients.commit(async {
        until_they_wait(&scene).await;
        scene.node("a").kill();
    });
    for row in senders {
        let pid = row[0].as_ref().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    }
    let [simple, extended, alone, several, pinned] = told.await;
    for told in [simple, extended, alone, pinned] {
        assert!(told.starts_with("40001 node a was lost at the commit"), "{told}");
        assert!(told.contains("try the whole transaction again"), "{told}");
    }
    assert!(several.starts_with("08007"), "{several}");
    let primary = scene.settled_in("2").await;
    assert_eq!(primary.value(THERE).await.unwrap(), "");
    assert_eq!((counted(&scene, "committed"), counted(&scene, "rolled_back")), (0, 4));
    // Numbers of transactions that the old primary had given are given again, and mean others.
    for number in 10..30 {
        primary.sql(&format!("INSERT INTO told VALUES ({number})")).await.unwrap();
    }
    for client in [&clients.simple, &clients.extended, &clients.alone] {
        client.batch_execute("BEGIN; INSERT INTO told VALUES (6); COMMIT").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_the_question_is_seen_by_clients() {
    let scene = scene(RESOLVE).await;
    let client = scene.running.connect().await;
    client.batch_execute("BEGIN; INSERT INTO told VALUES (1); SAVEPOINT s").await.unwrap();
    client.execute("INSERT INTO told VALUES ($1)", &[&2_i64]).await.unwrap();
    client.batch_execute("COMMIT AND CHAIN").await.unwrap();
    assert_eq!(value(&client, "SELECT count(*) FROM told").await, "2");
    client.batch_execute("COMMIT").await.unwrap();
    // A transaction that failed, and a commit that fails.
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("SELECT 1/0").await.unwrap_err();
    client.batch_execute("COMMIT").await.unwrap();
    client
        .batch_execute("CREATE TABLE late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        .await
        .unwrap();
    client.batch_execute("BEGIN; INSERT INTO late VALUES (1), (1)").await.unwrap();
    assert!(words(&client.batch_execute("COMMIT").await.unwrap_err()).starts_with("23505"));
    let twice = client.execute("INSERT INTO late VALUES (2), (2)", &[]).await.unwrap_err();
    assert!(words(&twice).starts_with("23505"), "{}", words(&twice));
    let copy = client.copy_in::<_, bytes::Bytes>("COPY told FROM STDIN").await.unwrap();
    let mut copy = std::pin::pin!(copy);
    futures_util::SinkExt::send(&mut copy, bytes::Bytes::from_static(b"3\n4\n")).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 2);
    let rows = client.query("UPDATE told SET n = n RETURNING n", &[]).await.unwrap();
    assert_eq!(rows.len(), 4);
    let ours = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'tidegate_c%'";
    assert_eq!(value(&client, ours).await, "0");
    assert_eq!(value(&client, "SHOW tidegate.cluster").await, "test");
}
