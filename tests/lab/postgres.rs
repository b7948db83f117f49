//! The throwaway clusters themselves: what they promise to every other test.

use crate::support::cluster;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
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

/// Not a test: the child of the one below. It shows its servers and waits to be killed.
#[tokio::test]
#[ignore = "started by another test"]
async fn hold_a_cluster() {
    let cluster = cluster().replicas(1).start().await.unwrap();
    let pids: Vec<u32> = cluster.nodes().iter().filter_map(|node| node.pid()).collect();
    println!("\nheld {} {} {}", cluster.folder().display(), pids[0], pids[1]);
    std::future::pending::<()>().await;
}

#[test]
fn servers_do_not_outlive_a_process_that_is_killed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "postgres::hold_a_cluster", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let held = lines.into_iter().find(|line| line.starts_with("held ")).expect("a cluster");
    let words: Vec<&str> = held.split(' ').collect();
    let (folder, pids) = (Path::new(words[1]), &words[2..]);
    let alive = || {
        pids.iter().any(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| stat.contains("(postgres)") && !stat.contains(") Z "))
        })
    };
    assert!(alive());
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    while alive() {
        assert!(killed.elapsed() < Duration::from_secs(60), "servers {pids:?} are still there");
        std::thread::sleep(Duration::from_millis(10));
    }
    // What a killed process cannot do itself, a later one does.
    assert!(folder.exists());
    tidegate::lab::sweep();
    assert!(!folder.exists());
}
