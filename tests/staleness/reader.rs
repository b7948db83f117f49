//! A client that reads at one level and knows what it must be shown.

use crate::MAX_STALENESS;
use crate::faults::Fault;
use crate::support::ask::words;
use crate::support::proxy::Running;
use crate::truth::Truth;
use futures_util::future::join_all;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Statement};

/// Latencies of a reader that are kept, the first ones.
const LATENCIES: usize = 100_000;
/// Reads that are sent at once, but for every fourth time, when one is sent alone and timed.
const BURST: usize = 8;
/// A parameter that each server has another value of, and that no client sets: who answered.
pub const MARK: &str = "geqo_seed";
/// What it is by default, as on the primary.
const PRIMARYS_MARK: &str = "0";

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
    times: u64,
    writes: u64,
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
            100.0 * self.by_replicas as f64 / self.reads.max(1) as f64,
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

/// What a server answered.
struct Answer {
    counter: u64,
    own: u64,
    by_replica: bool,
}

impl Reader {
    pub async fn run(self, running: Arc<Running>) -> Seen {
        let client = running.connect().await;
        let set = async |level: &str| {
            let sql = format!("SET tidegate.consistency = '{level}'");
            client.batch_execute(&sql).await.expect("a level");
        };
        set("primary").await;
        let row = self.row;
        let sql = format!(
            "SELECT a.n, b.n, current_setting('{MARK}') FROM marks a, marks b \
             WHERE a.id = 0 AND b.id = {row}"
        );
        let sql = client.prepare(&sql).await.expect("a statement");
        set(self.level).await;
        let (mut seen, mut promise) = (Seen::default(), Promise { counter: 0, own: 0 });
        while !self.course.stop.load(Ordering::Relaxed) {
            self.read(&running, (&client, &sql), &mut promise, &mut seen).await;
            if seen.reads >= 10 * (seen.writes + 1) && self.level == "session" {
                let add = format!("UPDATE marks SET n = n + 1 WHERE id = {row}");
                client.batch_execute(&add).await.expect("a write");
                promise.own += 1;
                seen.writes += 1;
            }
        }
        seen
    }

    /// One read, or several that are under way at once.
    async fn read(
        &self,
        running: &Running,
        (client, sql): (&Client, &Statement),
        promise: &mut Promise,
        seen: &mut Seen,
    ) {
        let alone = seen.times.is_multiple_of(4);
        seen.times += 1;
        let (asked, calm) = (Instant::now(), self.course.calm.load(Ordering::Relaxed));
        let least = self.must_show(promise, asked);
        let many = if alone { 1 } else { BURST };
        let answers = join_all((0..many).map(|_| answer(client, sql))).await;
        let took = asked.elapsed();
        if alone && calm && seen.latencies.len() < LATENCIES {
            seen.latencies.push(took);
        }
        for answer in answers {
            match answer {
                Ok(answer) => self.judge(running, (asked, least), answer, promise, seen).await,
                Err(error) if self.fallback != "primary" && error.contains("fresh") => {
                    seen.refused += 1;
                    if self.fallback == "wait" {
                        let nodes = running.admin("SHOW NODES").await;
                        println!("{}: waited in vain for {took:?}: {nodes:?}", self.level);
                    }
                }
                Err(error) => panic!("{}: {error}", self.level),
            }
        }
    }

    /// `least`: of the counter and of its own row, when it asked.
    async fn judge(
        &self,
        running: &Running,
        (asked, (least, least_own)): (Instant, (u64, u64)),
        answer: Answer,
        promise: &mut Promise,
        seen: &mut Seen,
    ) {
        let level = self.level;
        // Of several reads that were sent at once, each is one later than the one before.
        let keeps = matches!(level, "session" | "strong" | "primary");
        let least = if keeps { least.max(promise.counter) } else { least };
        if answer.counter < least && !self.was_ahead(&answer, promise, asked) {
            let fault = *self.course.fault.lock().unwrap_or_else(PoisonError::into_inner);
            let nodes = running.admin("SHOW NODES").await;
            let by = if answer.by_replica { "a replica" } else { "the primary" };
            panic!(
                "{level}: {} of {by}, {least} had to be seen: {fault:?}; {nodes:?}",
                answer.counter
            );
        }
        seen.ahead += u64::from(answer.counter < least);
        let own = answer.own;
        assert!(own >= least_own, "{level}: its own {own} after writing {least_own}");
        let most = self.course.truth.most();
        assert!(answer.counter <= most, "{level}: {} was never written", answer.counter);
        if keeps {
            promise.counter = promise.counter.max(answer.counter);
        }
        seen.reads += 1;
        seen.by_replicas += u64::from(answer.by_replica);
        self.course.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// A replica showed a commit that the primary had not finished, which showed it later: nothing
    /// that was acknowledged is missing.
    fn was_ahead(&self, answer: &Answer, promise: &Promise, asked: Instant) -> bool {
        let acknowledged = self.course.truth.at(asked);
        answer.counter >= acknowledged && answer.counter < promise.counter && !answer.by_replica
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

async fn answer(client: &Client, sql: &Statement) -> Result<Answer, String> {
    let row = client.query_one(sql, &[]).await.map_err(|error| words(&error))?;
    let number = |at: usize| row.get::<_, i64>(at).cast_unsigned();
    let by_replica = row.get::<_, &str>(2) != PRIMARYS_MARK;
    Ok(Answer { counter: number(0), own: number(1), by_replica })
}
