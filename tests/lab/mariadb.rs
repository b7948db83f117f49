//! The throwaway MariaDB clusters themselves: what they promise to every other test.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use std::path::Path;
use tidegate::lab::mariadb::{How, cluster};

#[tokio::test]
async fn replicas_replicate_and_replay_stops_and_goes_on() {
    let cluster = cluster().replicas(2).start().await.unwrap();
    cluster.sql("CREATE TABLE test.t (n int); INSERT INTO test.t VALUES (1)").await.unwrap();
    cluster.caught_up().await.unwrap();
    assert_eq!(cluster.replica(1).value("SELECT n FROM test.t").await.unwrap(), "1");

    cluster.replica(0).pause_replay().await.unwrap();
    cluster.sql("INSERT INTO test.t VALUES (2)").await.unwrap();
    let count = "SELECT count(*) FROM test.t";
    assert_eq!(cluster.replica(0).value(count).await.unwrap(), "1");
    cluster.replica(0).resume_replay().await.unwrap();
    cluster.caught_up().await.unwrap();
    assert_eq!(cluster.replica(0).value(count).await.unwrap(), "2");
}

#[tokio::test]
async fn a_server_that_was_killed_or_stopped_comes_back_with_all_it_acknowledged() {
    let cluster = cluster().start().await.unwrap();
    cluster.sql("CREATE TABLE test.t (n int)").await.unwrap();
    let (node, ports) = (cluster.primary(), cluster.ports());
    node.kill();
    assert_eq!(node.pid(), None);
    assert!(node.connect().await.is_err());
    node.start().await.unwrap();
    node.stop(How::Fast).await;
    node.start().await.unwrap();
    assert_eq!(cluster.ports(), ports);
    assert_eq!(node.value("SELECT count(*) FROM test.t").await.unwrap(), "0");
}

#[tokio::test]
async fn a_promoted_replica_takes_writes_and_the_others_may_follow_it() {
    let cluster = cluster().replicas(1).start().await.unwrap();
    cluster.sql("CREATE TABLE test.t (n int)").await.unwrap();
    cluster.caught_up().await.unwrap();
    let (old, new) = (cluster.node(0), cluster.node(1));
    new.promote().await.unwrap();
    old.follow(new).await.unwrap();
    new.sql("INSERT INTO test.t VALUES (7)").await.unwrap();
    old.until("the row", "SELECT count(*) FROM test.t").await.unwrap();
}

#[tokio::test]
async fn passwords_are_asked_for_over_tcp() {
    let cluster = cluster().user("app", "it's; a\\secret").password("r00t").start().await.unwrap();
    let node = cluster.primary();
    let mut conn = Conn::new(Opts::from(node.opts("app", "test"))).await.unwrap();
    let user: Option<String> = conn.query_first("SELECT current_user()").await.unwrap();
    assert_eq!(user.as_deref(), Some("app@%"));
    let wrong = node.opts("app", "test").pass(Some("wrong"));
    assert!(Conn::new(Opts::from(wrong)).await.is_err());
    let none = node.opts("root", "test").pass(None::<String>);
    assert!(Conn::new(Opts::from(none)).await.is_err());
    Conn::new(Opts::from(node.opts("root", "test"))).await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_when_the_cluster_goes() {
    let cluster = cluster().replicas(1).start().await.unwrap();
    cluster.replica(0).freeze().unwrap();
    let folder = cluster.folder().to_path_buf();
    let pids: Vec<u32> = cluster.nodes().iter().filter_map(|node| node.pid()).collect();
    assert_eq!(pids.len(), 2);
    drop(cluster);
    assert!(!folder.exists());
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is still there");
    }
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let refused = cluster().conf("no-such-setting", "1").start().await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("server a did not start"), "{text}");
    assert!(text.contains("unknown variable 'no-such-setting=1'"), "{text}");
}
