//! The throwaway clusters themselves: what they promise to every other test.

mod support;

use std::path::Path;
use support::cluster;
use tidegate::lab::postgres::How;

#[tokio::test]
async fn replicas_stream_and_replay_stops_and_goes_on() {
    let cluster = cluster().replicas(2).start().await.unwrap();
    cluster.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await.unwrap();
    cluster.caught_up().await.unwrap();
    assert_eq!(cluster.replica(1).value("SELECT n FROM t").await.unwrap(), "1");

    cluster.replica(0).pause_replay().await.unwrap();
    cluster.sql("INSERT INTO t VALUES (2)").await.unwrap();
    let count = "SELECT count(*) FROM t";
    assert_eq!(cluster.replica(0).value(count).await.unwrap(), "1");
    cluster.replica(0).resume_replay().await.unwrap();
    cluster.caught_up().await.unwrap();
    assert_eq!(cluster.replica(0).value(count).await.unwrap(), "2");
}

#[tokio::test]
async fn a_server_that_was_killed_or_stopped_comes_back_on_its_port() {
    let cluster = cluster().start().await.unwrap();
    cluster.sql("CREATE TABLE t (n int)").await.unwrap();
    let (node, ports) = (cluster.primary(), cluster.ports());
    node.kill();
    assert_eq!(node.pid(), None);
    assert!(node.connect().await.is_err());
    node.start().await.unwrap();
    node.stop(How::Fast).await;
    node.start().await.unwrap();
    node.stop(How::Immediate).await;
    node.start().await.unwrap();
    assert_eq!(cluster.ports(), ports);
    assert_eq!(node.value("SELECT count(*) FROM t").await.unwrap(), "0");
}

#[tokio::test]
async fn passwords_are_asked_for_over_tcp() {
    let cluster = cluster().auth("scram").user("app", "it's; a/secret").start().await.unwrap();
    let url = cluster.primary().url("app", "postgres");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "app");
    let wrong = url.replace("%69", "%70");
    assert!(tokio_postgres::connect(&wrong, tokio_postgres::NoTls).await.is_err());
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
    let refused = cluster().conf("shared_buffers", "a lot").start().await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("server a did not start"), "{text}");
    assert!(text.contains("invalid value for parameter \"shared_buffers\""), "{text}");
}
