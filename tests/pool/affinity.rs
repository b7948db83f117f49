//! What belongs to one server connection, or only to the primary, and is asked for later.

use crate::support::ask::{backend, refused, route, until, value};
use crate::support::cluster;
use crate::support::proxy::{Running, proxy};

/// What a client did is written down after its answer.
async fn pinned(running: &Running, pins: [&str; 2]) {
    until("the pins", async || running.pins().await == pins).await;
}

#[tokio::test]
async fn who_asks_for_the_process_id_keeps_the_process() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 2").start().await;
    let (one, two) = (running.connect().await, running.connect().await);
    // As a part of a condition it says nothing that could be kept.
    let others = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
    value(&one, others).await;
    pinned(&running, ["", ""]).await;
    let pid = value(&one, "SELECT pg_backend_pid()").await;
    pinned(&running, ["process_id", ""]).await;
    for _ in 0..3 {
        assert_ne!(backend(&two).await, pid);
        assert_eq!(value(&one, "SELECT pg_backend_pid()").await, pid);
    }
    assert_eq!(value(&two, &format!("SELECT pg_terminate_backend({pid}, 60000)")).await, "t");
    // The end of the server is the end of this client, as on a connection of its own.
    until("the client's end", async || one.is_closed()).await;
}

#[tokio::test]
async fn currval_is_what_this_session_drew() {
    let servers = cluster().sql("CREATE TABLE t (id serial)").start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 3").start().await;
    let (one, two) = (running.connect().await, running.connect().await);
    const DRAW: &str = "INSERT INTO t DEFAULT VALUES";
    one.batch_execute(DRAW).await.unwrap();
    // On the connection where another session drew, it did not.
    assert!(refused(&two, "SELECT lastval()").await.starts_with("55000"));
    two.batch_execute(DRAW).await.unwrap();
    for n in 3..6 {
        one.batch_execute(DRAW).await.unwrap();
        two.batch_execute("BEGIN; SELECT 1; COMMIT").await.unwrap();
        assert_eq!(value(&one, "SELECT lastval()").await, n.to_string());
        assert_eq!(value(&one, "SELECT currval('t_id_seq')").await, n.to_string());
        assert_eq!(value(&two, "SELECT lastval()").await, "2");
    }
    pinned(&running, ["sequence", "sequence"]).await;
}

#[tokio::test]
async fn a_database_can_be_dropped_once_its_clients_are_gone() {
    let servers = cluster().replicas(1).sql("CREATE DATABASE d").start().await.unwrap();
    servers.caught_up().await.unwrap();
    let running = proxy(&servers).start().await;
    let admin = running.connect().await;
    for (database, change) in [("d", "ALTER DATABASE d RENAME TO e"), ("e", "DROP DATABASE e")] {
        let url = running.url("postgres", database);
        for sql in ["SELECT 1", "CREATE TEMP TABLE t (a int)"] {
            let client = running.connect_with(&url).await.unwrap();
            client.batch_execute(sql).await.unwrap();
        }
        // Its server connections stay in their pools, ready for the next client.
        admin.batch_execute(change).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_and_a_user_that_no_replica_knows_yet_are_found_on_the_primary() {
    let servers = cluster().replicas(1).start().await.unwrap();
    servers.caught_up().await.unwrap();
    let running = proxy(&servers).with("route", "max_staleness = \"1h\"").start().await;
    let admin = running.connect().await;
    servers.replica(0).pause_replay().await.unwrap();
    admin.batch_execute("CREATE DATABASE young").await.unwrap();
    let young = running.connect_with(&running.url("postgres", "young")).await.unwrap();
    assert_eq!(value(&young, "SELECT current_database()").await, "young");
    assert_eq!(route(&young).await.0, "a");
    // What nobody knows is the primary's to say.
    let nowhere = running.connect_with(&running.url("postgres", "nowhere")).await;
    assert_eq!(nowhere.err().unwrap().code().unwrap().code(), "3D000");
}

#[tokio::test]
async fn what_a_standby_cannot_answer_is_answered_by_the_primary() {
    let servers = cluster()
        .replicas(2)
        .sql("CREATE UNLOGGED TABLE u AS SELECT 7 AS a")
        .start()
        .await
        .unwrap();
    servers.caught_up().await.unwrap();
    let running = proxy(&servers).with("route", "max_staleness = \"1h\"").start().await;
    let client = running.connect().await;
    assert_eq!(value(&client, "SELECT a FROM u").await, "7");
    assert_eq!(route(&client).await.0, "a");
    let row = client.query_one("SELECT a FROM u WHERE a = $1", &[&7]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
    client.batch_execute("SET default_transaction_isolation = serializable").await.unwrap();
    assert_eq!(value(&client, "SELECT 1").await, "1");
    assert_eq!(route(&client).await.0, "a");
    // One try on one replica is enough to know, and none for what is known before.
    let retries = running.cluster().counters.retries.counts();
    assert_eq!(retries.get("0A000").copied(), Some(2), "{retries:?}");
    assert!(refused(&client, "SELECT 1 FROM no_such_table").await.starts_with("42P01"));
}

#[tokio::test]
async fn a_reset_goes_back_to_what_the_startup_packet_asked_for() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    let options = "options='-c datestyle=german -c work_mem=1234kB'";
    let url = format!("{} {options}", running.url("postgres", "postgres"));
    let german = running.connect_with(&url).await.unwrap();
    let other = running.connect().await;
    const DATE: &str = "SELECT date '2026-11-21'";
    assert_eq!(value(&german, DATE).await, "21.11.2026");
    german.batch_execute("SET datestyle = ISO").await.unwrap();
    assert_eq!(value(&german, DATE).await, "2026-11-21");
    german.batch_execute("RESET datestyle").await.unwrap();
    assert_eq!(value(&german, DATE).await, "21.11.2026");
    assert_eq!(value(&other, DATE).await, "2026-11-21");
    german.batch_execute("BEGIN; SET datestyle = ISO; SET work_mem = '2MB'").await.unwrap();
    german.batch_execute("RESET ALL").await.unwrap();
    assert_eq!(value(&german, DATE).await, "21.11.2026");
    assert_eq!(value(&german, "SHOW work_mem").await, "1234kB");
    german.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(value(&german, DATE).await, "21.11.2026");
    assert_eq!(value(&other, DATE).await, "2026-11-21");
    assert_eq!(value(&german, "SHOW work_mem").await, "1234kB");
}

#[tokio::test]
async fn a_greeting_tells_what_the_session_will_have() {
    let servers = cluster().start().await.unwrap();
    let running = proxy(&servers).with("pool", "size = 1").start().await;
    for name in ["one", "two"] {
        // The second time the server has the date style already, and reports nothing.
        let options = format!("application_name={name} options='-c datestyle=german'");
        let url = format!("{} {options}", running.url("postgres", "postgres"));
        let client = running.connect_with(&url).await.unwrap();
        assert_eq!(value(&client, "SELECT date '2026-11-21'").await, "21.11.2026", "{name}");
    }
}
