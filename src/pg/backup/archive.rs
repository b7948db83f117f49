//! The archive of the log: every segment that is whole, from a replica, across failovers.
//!
//! No slot is kept on any server: one that nobody reads fills a disk. What a server has dropped before
//! it was archived is looked for on the others, and is a hole then, which is said aloud.

use super::copy;
use super::line::{Line, LineError};
use super::resume::Ancestry;
use super::settings::Reach;
use super::stream::{Assembly, Event, WalStream, history, identify, segment_size};
use crate::backup::{
    Choice, From, Settings, Store, StoreError, Throttle, WalFile, Wishes, choose, watch_lag,
};
use crate::task::{Backoff, Stop, chance};
use crate::topology::{Lsn, NodeSet, Published, Role, Timeline};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Between two attempts.
const FIRST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(30);

/// SQLSTATE of a segment that was removed (`undefined_file`).
const GONE: &str = "58P01";

/// How far the archive has got.
#[derive(Clone, Debug, Default)]
pub struct Archived {
    /// Where it is taken from; `None`: from nowhere at the moment.
    pub node: Option<Arc<str>>,
    pub timeline: Option<Timeline>,
    /// All before this is archived.
    pub until: Option<Lsn>,
    /// Since when something that came is not archived yet.
    pub waiting: Option<Instant>,
    /// Since when nobody is followed.
    pub lost: Option<Instant>,
    pub segments: u64,
    /// As stored.
    pub bytes: u64,
    /// Times that log was lost before it was archived.
    pub holes: u64,
    pub failures: u64,
    /// What is wrong now.
    pub trouble: Option<String>,
}

impl Archived {
    /// How long some of the log may have been missing from the archive.
    pub fn unsafe_for(&self) -> Duration {
        let since = [self.waiting, self.lost].into_iter().flatten().min();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

#[derive(Debug, Error)]
enum Failure {
    #[error("no node is able to be followed: {0}")]
    NoNode(String),
    #[error("node {0}: {1}")]
    Node(Arc<str>, LineError),
    #[error("node {0}: {1}")]
    Left(Arc<str>, String),
    #[error(transparent)]
    Store(StoreError),
}

/// Archives the log of one cluster.
pub struct Archiver {
    pub cluster: Arc<str>,
    pub reach: Reach,
    pub published: Arc<Published>,
    pub store: Store,
    pub settings: Settings,
    /// What is seen of it.
    pub board: Arc<Mutex<Archived>>,
}

impl Archiver {
    /// Until it is told to stop. What was on its way then is fetched again next time.
    pub async fn run(self, mut stop: Stop) {
        let mut backoff = Backoff::new(FIRST, MOST);
        let mut tried = NodeSet::EMPTY;
        loop {
            let before = self.board.lock().segments;
            let failure = tokio::select! {
                () = stop.stopped() => return,
                // Dropped as it is: a segment is stored as a whole or not at all.
                failure = self.follow(&mut tried) => failure,
            };
            if self.board.lock().segments > before {
                backoff.reset();
                tried = NodeSet::EMPTY;
            }
            self.failed(&failure);
            tokio::select! {
                () = stop.stopped() => return,
                () = tokio::time::sleep(backoff.next(chance())) => {}
            }
        }
    }

    fn choose(&self, tried: NodeSet) -> Result<Choice, Failure> {
        let wishes = Wishes {
            // Log that is not archived is lost at last: better from the primary than not at all.
            from: From::Any,
            max_lag: self.settings.max_lag,
            marked: NodeSet::EMPTY,
            synchronous: NodeSet::EMPTY,
            tried,
        };
        let seen = self.published.load();
        choose(&seen, &wishes, Instant::now()).map_err(|none| Failure::NoNode(none.to_string()))
    }

    /// Follows one node as long as that goes well; answers with what ended it.
    async fn follow(&self, tried: &mut NodeSet) -> Failure {
        let choice = match self.choose(*tried) {
            Ok(choice) => choice,
            Err(failure) => return failure,
        };
        let again = tried.contains(choice.node);
        let throttle = Throttle::new(0);
        let watch = watch_lag(&self.published, choice.node, Duration::MAX, &throttle);
        let failure = tokio::select! {
            failure = self.session(&choice, again) => failure,
            why = watch => Failure::Left(choice.name.clone(), why),
            why = self.better(&choice) => Failure::Left(choice.name.clone(), why),
        };
        if matches!(failure, Failure::Node(..)) {
            tried.insert(choice.node);
        }
        failure
    }

    /// Resolves when another node would do, and this one is the primary or late. Cancel-safe.
    async fn better(&self, choice: &Choice) -> String {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let seen = self.published.load().node(choice.node).clone();
            let age = seen.fresh_as_of.map(|at| at.elapsed());
            let is_late = age.is_none_or(|age| age > self.settings.max_lag);
            let better = self.choose(NodeSet::EMPTY).ok().filter(|best| best.node != choice.node);
            if let (true, Some(best)) = (is_late || seen.role == Role::Primary, better) {
                return format!("{} is better", best.name);
            }
        }
    }

    async fn session(&self, choice: &Choice, again: bool) -> Failure {
        match self.try_session(choice, again).await {
            Ok(never) => match never {},
            Err(copy::Failure::Line(error)) => Failure::Node(choice.name.clone(), error),
            Err(copy::Failure::Store(error)) => Failure::Store(error),
        }
    }

    async fn open(&self, choice: &Choice) -> Result<Line, LineError> {
        let Reach { nodes, user, patience, .. } = &self.reach;
        let node = &nodes[usize::from(choice.node.0)];
        Line::open(node, user, &self.reach.secret(), *patience).await
    }

    async fn try_session(&self, choice: &Choice, again: bool) -> Result<Infallible, copy::Failure> {
        let mut line = self.open(choice).await?;
        let (system, own, now) = identify(&mut line).await?;
        self.store.claim(system).await?;
        let size = segment_size(&mut line).await?;
        let mut text = String::new();
        if own.0 > 1 {
            text = self.keep_history(&mut line, own).await?;
        }
        let ancestry = Ancestry::read(own, &text);
        let files = self.store.log_files().await?;
        let archived =
            files.iter().filter_map(|file| WalFile::parse(file)?.segment(size)).collect();
        let backup = self.store.backups().await?.pop().map(|listed| listed.entry.end);
        let mut next = ancestry.next(&archived, backup, now, size);
        let mut stream = match WalStream::start(line, None, next.start(), next.timeline).await {
            Err(error) if error.code() == GONE && (again || archived.is_empty()) => {
                // No other node had it either.
                next = ancestry.current(now, size);
                if !archived.is_empty() {
                    self.hole(&error);
                }
                let line = self.open(choice).await?;
                WalStream::start(line, None, next.start(), next.timeline).await?
            }
            started => started?,
        };
        let mut assembly = Assembly::new(next);
        self.begin(choice, next.timeline, next.start());
        loop {
            match stream.next().await? {
                Event::Data { start, bytes } => {
                    self.board.lock().waiting.get_or_insert_with(Instant::now);
                    for (segment, bytes) in assembly.take(start, bytes)? {
                        let file = segment.to_string();
                        let stored = self.store.put_log_file(&file, bytes, self.settings.level);
                        self.note(stored.await?, segment.end());
                        stream.stored(segment.end());
                    }
                }
                Event::Quiet => {}
                Event::Switch { timeline, at } => {
                    let mut line = stream.into_line();
                    self.keep_history(&mut line, timeline).await?;
                    let next = crate::backup::Segment::of(timeline, at, size);
                    let started = WalStream::start(line, None, next.start(), timeline).await;
                    stream = started?;
                    assembly = Assembly::new(next);
                    self.begin(choice, timeline, next.start());
                }
            }
        }
    }

    /// The history goes ahead of the log of its timeline, which cannot be used without it.
    async fn keep_history(
        &self,
        line: &mut Line,
        timeline: Timeline,
    ) -> Result<String, copy::Failure> {
        let (name, text) = history(line, timeline).await?;
        self.store.put_log_file(&name, text.clone(), self.settings.level).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn begin(&self, choice: &Choice, timeline: Timeline, from: Lsn) {
        let (cluster, node) = (&*self.cluster, &*choice.name);
        tracing::info!(cluster, node, timeline = timeline.0, %from, "the log is archived");
        let mut board = self.board.lock();
        board.node = Some(choice.name.clone());
        board.timeline = Some(timeline);
        board.until = Some(from);
        board.lost = None;
        board.trouble = None;
    }

    fn note(&self, stored: u64, until: Lsn) {
        let mut board = self.board.lock();
        board.segments += 1;
        board.bytes += stored;
        board.until = Some(until);
        board.waiting = None;
    }

    fn failed(&self, failure: &Failure) {
        tracing::warn!(cluster = &*self.cluster, error = %failure, "the archive of the log waits");
        let mut board = self.board.lock();
        board.node = None;
        board.lost.get_or_insert_with(Instant::now);
        board.failures += 1;
        board.trouble = Some(failure.to_string());
    }

    fn hole(&self, error: &LineError) {
        self.board.lock().holes += 1;
        tracing::error!(
            cluster = &*self.cluster, %error,
            "log is gone that was not archived: there is a hole in the archive, and moments behind it \
             need a new backup (hint: raise wal_keep_size on the servers)"
        );
    }
}
