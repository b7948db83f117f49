//! A client that reads at one level and knows what it must be shown.

use crate::MAX_STALENESS;
use crate::faults::Fault;
use crate::support::ask::{route, words};
use crate::support::proxy::Running;
use crate::truth::Truth;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Latencies of a reader that are kept, the first ones.
const LATENCIES: usize = 100_000;

/// What all readers share.
pub struct Course {
    pub truth: Truth,
    pub stop: AtomicBool,
    /// Nothing is broken on purpose now, so that latencies say something.
    pub calm: AtomicBool,
    pub reads: AtomicU64,
    /// What is broken now, or was last.
    pub fault: Mutex<Option<Fault>>,
}

/// What one reader saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub reads: u64,
    pub by_replicas: u64,
    pub sampled: u64,
    /// Refused because no replica was fresh enough: at once, or after `pool.query_wait`.
    pub refused: u64,
    /// Reads of the primary that did not show yet what a replica had shown before.
    pub ahead: u64,
    pub latencies: Vec<Duration>,
}

impl Seen {
    /// What another client of the same kind saw is added.
    pub fn add(&mut self, other: Seen) {
        self.reads += other.reads;
        self.by_replicas += other.by_replicas;
        self.sampled += other.sampled;
        self.refused += other.refused;
        self.ahead += other.ahead;
        self.latencies.extend(other.latencies);
    }

    pub fn said(&self) -> String {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        format!(
            "{:8} reads, {:5.1} % by replicas, {:4} refused, {} ahead; calm p50 {:5} us, \
             p99 {:6} us",
            self.reads,
            100.0 * self.by_replicas as f64 / self.sampled.max(1) as f64,
            self.refused,
            self.ahead,
            percentile(&latencies, 0.5),
            percentile(&latencies, 0.99),
        )
    }
}

/// The latency below which this share of them lies, in microseconds.
fn percentile(sorted: &[Duration], share: f64) -> u128 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share) as usize).map_or(0, Duration::as_micros)
}

pub struct Reader {
    pub level: &'static str,
    /// Its own row.
    pub row: usize,
    pub fallback: &'static str,
    pub course: Arc<Course>,
}

/// What a read must at least show.
struct Promise {
    counter: u64,
    own: u64,
}

impl Reader {
    pub async fn run(self, running: Arc<Running>) -> Seen {
        let client = running.connect().await;
        let level = format!("SET tidegate.consistency = '{}'", self.level);
        client.batch_execute(&level).await.expect("a level");
        let (mut seen, mut promise) = (Seen::default(), Promise { counter: 0, own: 0 });
        while !self.course.stop.load(Ordering::Relaxed) {
            self.read(&running, &client, &mut promise, &mut seen).await;
            if seen.reads % 10 == 9 && self.level == "session" {
                let add = format!("UPDATE marks SET n = n + 1 WHERE id = {}", self.row);
                client.batch_execute(&add).await.expect("a write");
                promise.own += 1;
            }
        }
        seen
    }

    async fn read(
        &self,
        running: &Running,
        client: &Client,
        promise: &mut Promise,
        seen: &mut Seen,
    ) {
        let (asked, calm) = (Instant::now(), self.course.calm.load(Ordering::Relaxed));
        let (counter, own) = self.must_show(promise, asked);
        let answer = two_numbers(client, self.row).await;
        let took = asked.elapsed();
        let (read, read_own) = match answer {
            Ok(numbers) => numbers,
            Err(error) if self.fallback != "primary" && error.contains("fresh") => {
                seen.refused += 1;
                if self.fallback == "wait" {
                    let nodes = running.admin("SHOW NODES").await;
                    println!("{}: waited in vain for {took:?}: {nodes:?}", self.level);
                }
                return;
            }
            Err(error) => panic!("{}: {error}", self.level),
        };
        let level = self.level;
        if read < counter && !self.was_ahead(client, read, promise, asked, seen).await {
            let fault = *self.course.fault.lock().unwrap_or_else(PoisonError::into_inner);
            let (route, nodes) = (route(client).await, running.admin("SHOW NODES").await);
            panic!("{level}: {read}, {counter} had to be seen: {route:?}, {fault:?}; {nodes:?}");
        }
        assert!(read_own >= own, "{level}: its own {read_own} after writing {own}");
        assert!(read <= self.course.truth.most(), "{level}: {read} was never written");
        if matches!(level, "session" | "strong" | "primary") {
            promise.counter = promise.counter.max(read);
        }
        seen.reads += 1;
        self.course.reads.fetch_add(1, Ordering::Relaxed);
        if calm && seen.latencies.len() < LATENCIES {
            seen.latencies.push(took);
        }
        if seen.reads.is_multiple_of(16) {
            seen.sampled += 1;
            seen.by_replicas += u64::from(by_replica(client).await);
        }
    }

    /// A replica showed a commit that the primary had not finished, which showed it later: nothing
    /// that was acknowledged is missing.
    async fn was_ahead(
        &self,
        client: &Client,
        read: u64,
        promise: &Promise,
        asked: Instant,
        seen: &mut Seen,
    ) -> bool {
        let acknowledged = self.course.truth.at(asked);
        let unfinished =
            read >= acknowledged && read < promise.counter && !by_replica(client).await;
        seen.ahead += u64::from(unfinished);
        unfinished
    }

    /// The least of the counter and of its own row that a read sent at `asked` may show.
    fn must_show(&self, promise: &Promise, asked: Instant) -> (u64, u64) {
        let bounded = asked.checked_sub(MAX_STALENESS).map_or(0, |then| self.course.truth.at(then));
        let now = self.course.truth.at(asked);
        match self.level {
            "eventual" => (0, 0),
            "bounded" => (bounded, 0),
            "session" => (promise.counter.max(bounded), promise.own),
            _ => (promise.counter.max(now), promise.own),
        }
    }
}

async fn two_numbers(client: &Client, row: usize) -> Result<(u64, u64), String> {
    let sql = format!("SELECT a.n, b.n FROM marks a, marks b WHERE a.id = 0 AND b.id = {row}");
    let answer = client.simple_query(&sql).await.map_err(|error| words(&error))?;
    let numbers = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((row.get(0)?.parse().ok()?, row.get(1)?.parse().ok()?))
        }
        _ => None,
    });
    numbers.ok_or_else(|| "no row".to_owned())
}

async fn by_replica(client: &Client) -> bool {
    let (node, _) = route(client).await;
    node != "a"
}
