//! A running proxy takes backups by itself, and when it is told to.

use crate::scene::{filled, open, scene};
use crate::support::ask::until;
use crate::support::proxy::proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_are_taken_by_the_clock_by_command_and_the_old_ones_go() {
    let scene = scene(filled(10).replicas(1), "").await;
    let store = format!(
        "store = \"file://{}\"\nschedule = \"*/2 * * * * *\"\narchive = false\n\
         keep = {{ daily = 1, weekly = 0, monthly = 0, window = \"0s\" }}",
        scene.place("store").display()
    );
    let running = proxy(&scene.servers).with("backup", &store).start().await;
    let newest = || async {
        let rows = running.admin("SHOW BACKUPS").await;
        rows.into_iter().filter_map(|row| row[1].clone()).next()
    };
    until("a first backup", || async { newest().await.is_some() }).await;
    let first = newest().await.unwrap();
    running.admin("BACKUP test").await;
    until("a later backup", || async { newest().await.unwrap() > first }).await;
    until("the end of the first", || async {
        let rows = running.admin("SHOW BACKUPS").await;
        rows.iter().all(|row| row[1].as_deref() != Some(first.as_str()))
    })
    .await;
    let page = metrics(running.http).await;
    let age =
        page.lines().find_map(|l| l.strip_prefix("tidegate_backup_age_seconds{cluster=\"test\"} "));
    assert!(age.unwrap().parse::<f64>().unwrap() < 60.0, "{age:?}");
    assert!(page.contains("tidegate_backup_failures_total{cluster=\"test\"} 0\n"), "{page}");
    let archive = running.admin("SHOW ARCHIVE").await;
    assert!(archive[0][7].is_some(), "when the next one is due: {archive:?}");
    running.proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_cannot_be_taken_is_told_and_counted() {
    let scene = scene(open().replicas(1), "").await;
    scene.servers.sql("CHECKPOINT").await.unwrap();
    scene.servers.caught_up().await.unwrap();
    let store = format!("store = \"file://{}\"", scene.place("store").display());
    let running = proxy(&scene.servers).with("backup", &store).start().await;
    let url = format!("host=127.0.0.1 port={} user=x dbname=tidegate", running.console.port());
    let console = running.connect_with(&url).await.unwrap();
    let why = crate::support::ask::refused(&console, "BACKUP test").await;
    assert!(why.starts_with("55000 ") && why.contains("full_page_writes"), "{why}");
    let why = crate::support::ask::refused(&console, "BACKUP nothing").await;
    assert!(why.starts_with("42704 "), "{why}");
    let page = metrics(running.http).await;
    assert!(page.contains("tidegate_backup_failures_total{cluster=\"test\"} 1\n"), "{page}");
    let archive = running.admin("SHOW ARCHIVE").await;
    assert!(archive[0][8].as_ref().unwrap().contains("full_page_writes"), "{archive:?}");
    running.proxy.stop().await;
}

pub(crate) async fn metrics(at: std::net::SocketAddr) -> String {
    let mut tcp = tokio::net::TcpStream::connect(at).await.unwrap();
    tcp.write_all(b"GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).await.unwrap();
    text
}
