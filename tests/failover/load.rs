//! Clients that write, and what they were told: every number must be where it was said to be.

use crate::support::ask::{until, words};
use crate::support::proxy::Running;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tidegate::lab::postgres::Node;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error, NoTls};

/// What became of the numbers.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) acknowledged: BTreeSet<i64>,
    pub(crate) unknown: BTreeSet<i64>,
    /// Refused with the promise that nothing was done.
    pub(crate) refused: BTreeSet<i64>,
    /// Each error once, in words.
    pub(crate) errors: BTreeSet<String>,
    /// Connections that ended.
    pub(crate) lost: u64,
    /// The longest time from one answer to the next, over all writers.
    pub(crate) stall: Duration,
    /// When each acknowledged number was acknowledged.
    pub(crate) when: BTreeMap<i64, Instant>,
}

/// Writers that insert numbers, each its own, one after the other.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    told: Arc<Mutex<Told>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// The table `told (n int8)` must be there.
    pub(crate) fn start(running: &Running, count: i64) -> Writers {
        let writers = Writers {
            stop: Arc::default(),
            done: Arc::default(),
            told: Arc::default(),
            tasks: Vec::new(),
        };
        let tasks = (0..count).map(|number| {
            let writer = Writer {
                url: running.url("postgres", "postgres"),
                stop: writers.stop.clone(),
                done: writers.done.clone(),
                told: writers.told.clone(),
            };
            tokio::spawn(writer.run(number * 1_000_000_000))
        });
        Writers { tasks: tasks.collect(), ..writers }
    }

    /// Waits until so many more were acknowledged.
    pub(crate) async fn go_on(&self, writes: u64) {
        let goal = self.done.load(Ordering::Relaxed) + writes;
        until("more writes", || async { self.done.load(Ordering::Relaxed) >= goal }).await;
    }

    pub(crate) async fn stop(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a writer");
        }
        let mut told = self.told.lock().expect("told");
        std::mem::take(&mut *told)
    }
}

struct Writer {
    url: String,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    told: Arc<Mutex<Told>>,
}

impl Writer {
    async fn run(self, first: i64) {
        let (mut client, mut last) = (None, Instant::now());
        for number in first.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            if client.as_ref().is_none_or(Client::is_closed) {
                client = connect(&self.url).await;
            }
            let Some(open) = &client else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let sent = open.execute("INSERT INTO told VALUES ($1)", &[&number]).await;
            self.note(number, sent, open.is_closed(), &mut last);
        }
    }

    fn note(&self, number: i64, sent: Result<u64, Error>, closed: bool, last: &mut Instant) {
        let mut told = self.told.lock().expect("told");
        match sent {
            Ok(_) => {
                told.acknowledged.insert(number);
                told.stall = told.stall.max(last.elapsed());
                *last = Instant::now();
                told.when.insert(number, *last);
                self.done.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let words = words(&error);
                match words.contains("Nothing was executed") {
                    true => told.refused.insert(number),
                    false => told.unknown.insert(number),
                };
                told.errors.insert(words);
                told.lost += u64::from(closed);
            }
        }
    }
}

async fn connect(url: &str) -> Option<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.ok()?;
    tokio::spawn(connection);
    Some(client)
}

impl Told {
    /// What is on the server must be what clients were told; `lost`: acknowledged writes that are
    /// not there.
    pub(crate) async fn hold_against(&self, node: &Node) -> Vec<i64> {
        let rows = node.sql("SELECT n FROM told ORDER BY n").await.expect("the table");
        let number = |row: Vec<Option<String>>| row[0].as_ref().expect("n").parse::<i64>();
        let all: Vec<i64> = rows.into_iter().map(|row| number(row).expect("a number")).collect();
        let there: BTreeSet<i64> = all.iter().copied().collect();
        assert_eq!(all.len(), there.len(), "written twice");
        let forbidden: Vec<_> = self.refused.intersection(&there).collect();
        assert!(forbidden.is_empty(), "refused, and there: {forbidden:?}");
        let known = |n: &&i64| self.acknowledged.contains(n) || self.unknown.contains(n);
        let strange: Vec<_> = there.iter().filter(|n| !known(n)).collect();
        assert!(strange.is_empty(), "nobody wrote these: {strange:?}");
        self.acknowledged.difference(&there).copied().collect()
    }
}
