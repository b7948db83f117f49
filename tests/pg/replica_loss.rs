//! Replicas that die or freeze under load: readers do not notice.

use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, cluster};
use crate::wire::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::task::JoinHandle;

async fn setting() -> (Cluster, Running) {
    let servers = cluster().replicas(2).start().await.expect("a cluster");
    servers.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) a").await.expect("DDL");
    servers.caught_up().await.expect("replicas");
    let running = proxy(&servers).start().await;
    (servers, running)
}

/// Clients that read all the time, by either protocol, and check each answer.
struct Readers {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Readers {
    async fn start(running: &Running, count: usize) -> Readers {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for number in 0..count {
            let mut wire = Wire::start(running.postgres).await;
            let (stop, answers) = (stop.clone(), answers.clone());
            tasks.push(tokio::spawn(async move {
                let sql = "SELECT sum(a) FROM t";
                let named = [bind("", "s", &[]), execute("", 0), sync()].concat();
                wire.ask(&[parse("s", sql), sync()].concat()).await;
                while !stop.load(Ordering::Relaxed) {
                    let bytes = if number % 2 == 0 { query(sql) } else { named.clone() };
                    let frames = wire.ask(&bytes).await;
                    let row = frames.iter().find(|f| f.tag == b'D').and_then(Frame::value);
                    assert_eq!(row.as_deref(), Some("500500"), "{:?}", brief(&frames));
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        Readers { stop, answers, tasks }
    }

    /// Waits for so many more answers.
    async fn go_on(&self, more: u64) {
        let wanted = self.answers.load(Ordering::Relaxed) + more;
        eventually("answers", async || {
            self.tasks.iter().any(JoinHandle::is_finished)
                || self.answers.load(Ordering::Relaxed) >= wanted
        })
        .await;
    }

    async fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a reader without an error");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_killed_under_load_costs_no_read() {
    let (servers, running) = setting().await;
    let readers = Readers::start(&running, 8).await;
    for _ in 0..2 {
        readers.go_on(200).await;
        servers.replica(0).kill();
        readers.go_on(200).await;
        servers.replica(0).start().await.expect("a start");
        readers.go_on(200).await;
        servers.replica(1).stop(crate::support::How::Immediate).await;
        readers.go_on(200).await;
        servers.replica(1).start().await.expect("a start");
    }
    readers.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_replica_costs_no_read() {
    let (servers, running) = setting().await;
    let readers = Readers::start(&running, 8).await;
    readers.go_on(200).await;
    servers.replica(0).freeze().expect("a stop signal");
    readers.go_on(500).await;
    readers.stop.store(true, Ordering::Relaxed);
    eventually("all answers, those of the frozen one too", async || {
        readers.tasks.iter().all(JoinHandle::is_finished)
    })
    .await;
    servers.replica(0).thaw().expect("a signal");
    readers.finish().await;
}
