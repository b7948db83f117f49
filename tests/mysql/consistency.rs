//! What a read is promised: its own session's writes, no step back, or everybody's writes.

use super::fixture::{Running, proxy, servers, value};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tidegate::lab::mariadb::Cluster;

const READ: &str = "SELECT max(n) FROM t";

async fn three() -> Cluster {
    let servers = servers(2).await;
    servers.sql("CREATE TABLE test.t AS SELECT 0 AS n").await.unwrap();
    servers.caught_up().await.unwrap();
    servers
}

/// Replicas of any age are good enough, but for what the level itself asks.
async fn wanted(servers: &Cluster, level: &str, read_wait: &str) -> Running {
    let route = format!(
        "[clusters.test.route]\nconsistency = \"{level}\"\nmax_staleness = \"1h\"\n\
         read_wait = \"{read_wait}\""
    );
    proxy(servers, "mode = \"transaction\"", &route).await
}

async fn write(conn: &mut Conn, n: u32) {
    conn.query_drop(format!("INSERT INTO t VALUES ({n})")).await.unwrap();
}

/// The answer, the node that gave it, and why that one.
async fn read_on(conn: &mut Conn) -> (String, String, String) {
    let read = value(conn, READ).await;
    let told = value(conn, "SELECT @@tidegate_last_route").await;
    let node = told.split(':').next().unwrap().to_owned();
    (read, node, told.rsplit('(').next().unwrap().trim_end_matches(')').to_owned())
}

#[tokio::test]
async fn a_session_sees_its_own_writes_and_others_need_not() {
    let servers = three().await;
    let proxy = wanted(&servers, "session", "300ms").await;
    let (mut writer, mut other) = (proxy.connect().await, proxy.connect().await);
    for replica in [0, 1] {
        servers.replica(replica).pause_replay().await.unwrap();
    }
    write(&mut writer, 1).await;
    for _ in 0..3 {
        let (read, node, why) = read_on(&mut writer).await;
        assert_eq!((&*read, &*node, &*why), ("1", "a", "no_fresh_replica"));
        let old = format!("/* tidegate: consistency=eventual */ {READ}");
        assert_eq!(value(&mut other, &old).await, "0");
    }
    servers.replica(1).resume_replay().await.unwrap();
    loop {
        let (read, node, why) = read_on(&mut writer).await;
        assert_eq!(read, "1");
        if (&*node, &*why) == ("c", "fresh_replica") {
            break;
        }
    }
}

#[tokio::test]
async fn a_read_waits_for_a_replica_that_will_have_the_write() {
    let servers = three().await;
    let proxy = wanted(&servers, "session", "1h").await;
    let mut conn = proxy.connect().await;
    for n in 1..20 {
        write(&mut conn, n).await;
        // The server told which transaction it was.
        let position = value(&mut conn, "SELECT @@tidegate_position").await;
        assert_eq!(position.split('-').count(), 3, "{position}");
        let (read, node, why) = read_on(&mut conn).await;
        assert_eq!((read, &*why), (n.to_string(), "fresh_replica"));
        assert_ne!(node, "a");
    }
}

#[tokio::test]
async fn a_session_never_goes_back_in_time() {
    let servers = three().await;
    let proxy = wanted(&servers, "session", "300ms").await;
    servers.replica(1).pause_replay().await.unwrap();
    servers.sql("INSERT INTO test.t VALUES (1)").await.unwrap();
    let mut reader = proxy.connect().await;
    while value(&mut reader, READ).await != "1" {}
    // Once the session saw the new value, the replica that stands still is not asked again.
    for _ in 0..40 {
        assert_eq!(value(&mut reader, READ).await, "1");
    }
    servers.replica(1).resume_replay().await.unwrap();
    loop {
        let (read, node, _) = read_on(&mut reader).await;
        assert_eq!(read, "1");
        if node == "c" {
            break;
        }
    }
}

#[tokio::test]
async fn a_strong_read_sees_what_anybody_was_told_before_it() {
    let servers = three().await;
    let proxy = wanted(&servers, "strong", "1h").await;
    let (mut writer, mut reader) = (proxy.connect().await, proxy.connect().await);
    for n in 1..20 {
        write(&mut writer, n).await;
        let (read, node, why) = read_on(&mut reader).await;
        assert_eq!((read, &*why), (n.to_string(), "fresh_replica"));
        assert_ne!(node, "a");
    }
    let impatient = wanted(&servers, "strong", "300ms").await;
    let mut reader = impatient.connect().await;
    for replica in [0, 1] {
        servers.replica(replica).pause_replay().await.unwrap();
    }
    write(&mut writer, 20).await;
    let (read, node, why) = read_on(&mut reader).await;
    assert_eq!((&*read, &*node, &*why), ("20", "a", "no_fresh_replica"));
    reader.query_drop("SET @tidegate_consistency = 'eventual'").await.unwrap();
    assert_eq!(value(&mut reader, READ).await, "19");
}
