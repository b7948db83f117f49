//! Backups of one cluster in a running proxy: by schedule and by command, and what is seen of them.

use super::lookout::Lookout;
use super::tester::Tester;
use super::{Watched, marked, reach};
use crate::backup::{
    self, BackupId, Entry, Event, Job, Listed, Progress, RunError, Schedule, Settings, Store,
    Teller, prune,
};
use crate::config;
use crate::failover::Answer;
use crate::pg::backup::{Archived, Archiver, PgSource};
use crate::task::{Backoff, Stop, Tasks, chance};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How often it is looked at what is in the store: others may write there as well.
const LOOK: Duration = Duration::from_secs(60);

/// After a backup, or a test, failed.
pub(super) const FIRST: Duration = Duration::from_secs(60);
pub(super) const MOST: Duration = Duration::from_secs(3_600);

/// How long is waited for a moment at once: clocks are set sometimes.
const NAP: Duration = Duration::from_secs(30);

/// What is known of the backups of a cluster.
#[derive(Default)]
pub(in crate::app) struct State {
    /// The oldest first.
    pub(in crate::app) backups: Vec<Listed>,
    /// The one that is being taken.
    pub(in crate::app) progress: Option<Arc<Progress>>,
    /// When the next one is due.
    pub(in crate::app) next: Option<Timestamp>,
    pub(in crate::app) taken: u64,
    pub(in crate::app) failures: u64,
    /// Why the last attempt failed.
    pub(in crate::app) trouble: Option<String>,
    /// Since when one is being restored for a test.
    pub(in crate::app) testing: Option<Instant>,
    /// When the next test is due.
    pub(in crate::app) next_test: Option<Timestamp>,
    pub(in crate::app) tests: u64,
    pub(in crate::app) test_failures: u64,
    /// Why the last test failed.
    pub(in crate::app) test_trouble: Option<String>,
    /// How much more could be lost than the operator bears.
    pub(in crate::app) late: Option<String>,
}

/// What the rest of the proxy holds of it.
#[derive(Clone)]
pub(in crate::app) struct Handle {
    pub(in crate::app) state: Arc<Mutex<State>>,
    /// `None`: the log is not archived.
    pub(in crate::app) archived: Option<Arc<Mutex<Archived>>>,
    pub(in crate::app) teller: Arc<Teller>,
    commands: mpsc::Sender<oneshot::Sender<Answer>>,
    tests: mpsc::Sender<oneshot::Sender<Answer>>,
}

impl Handle {
    /// Takes a backup; resolves when it is there.
    pub(in crate::app) async fn backup(&self) -> Answer {
        ask(&self.commands).await
    }

    /// Restores the newest backup for a test; resolves when it is done.
    pub(in crate::app) async fn test(&self) -> Answer {
        ask(&self.tests).await
    }
}

async fn ask(commands: &mpsc::Sender<oneshot::Sender<Answer>>) -> Answer {
    let stopped = || "backups of this cluster have stopped".to_owned();
    let (answer, answered) = oneshot::channel();
    commands.send(answer).await.map_err(|_| stopped())?;
    answered.await.map_err(|_| stopped())?
}

/// Starts what the configuration asks for.
pub(super) fn start(
    tasks: &Tasks,
    (name, cluster): (&Arc<str>, &config::Cluster),
    (settings, store): (Settings, Store),
    watched: Watched,
) -> Handle {
    let state: Arc<Mutex<State>> = Arc::default();
    let reach = reach(cluster, &watched.nodes);
    let archived = settings.archive.then(|| {
        let archiver = Archiver {
            cluster: name.clone(),
            reach: reach.clone(),
            published: watched.published.clone(),
            store: store.clone(),
            settings: settings.clone(),
            board: Arc::default(),
        };
        let board = archiver.board.clone();
        tasks.spawn(format!("log archive {name}"), |stop| archiver.run(stop));
        board
    });
    let teller = Arc::new(Teller::new(name.clone(), settings.hooks.clone()));
    if let Some(rpo) = settings.rpo {
        let (state, archived) = (state.clone(), archived.clone());
        let lookout = Lookout { rpo, state, archived, teller: teller.clone() };
        tasks.spawn(format!("backup lookout {name}"), |stop| lookout.run(stop));
    }
    let (tests, tests_asked) = mpsc::channel(8);
    let tester = Tester {
        name: name.clone(),
        store: store.clone(),
        trial: cluster.backup.test.trial(),
        schedule: cluster.backup.test_schedule(),
        state: state.clone(),
        teller: teller.clone(),
    };
    tasks.spawn(format!("backup tests {name}"), |stop| tester.run(tests_asked, stop));
    let (commands, asked) = mpsc::channel(8);
    let source = PgSource::new(reach, watched.published.clone());
    let keeper = Keeper {
        name: name.clone(),
        marked: marked(cluster),
        schedule: settings.schedule.clone(),
        settings,
        store,
        source,
        published: watched.published,
        state: state.clone(),
        teller: teller.clone(),
    };
    tasks.spawn(format!("backups {name}"), |stop| keeper.run(asked, stop));
    Handle { state, archived, teller, commands, tests }
}

struct Keeper {
    name: Arc<str>,
    marked: crate::topology::NodeSet,
    schedule: Option<Schedule>,
    settings: Settings,
    store: Store,
    source: PgSource,
    published: Arc<crate::topology::Published>,
    state: Arc<Mutex<State>>,
    teller: Arc<Teller>,
}

impl Keeper {
    async fn run(self, mut asked: mpsc::Receiver<oneshot::Sender<Answer>>, mut stop: Stop) {
        let mut backoff = Backoff::new(FIRST, MOST);
        let mut not_before = Timestamp::MIN;
        self.look().await;
        let mut looked = tokio::time::Instant::now();
        self.plan(not_before);
        loop {
            // All branches are cancel-safe.
            tokio::select! {
                () = stop.stopped() => return,
                command = asked.recv() => {
                    let Some(answer) = command else { return };
                    // Whoever asked may have left meanwhile; the backup is there all the same.
                    let _ = answer.send(self.backup(&stop).await);
                    self.plan(not_before);
                }
                () = moment(&self.state, |state| state.next) => {
                    match self.backup(&stop).await {
                        Ok(_) => backoff.reset(),
                        Err(_) => not_before = after(backoff.next(chance())),
                    }
                    self.plan(not_before);
                }
                () = tokio::time::sleep_until(looked + LOOK) => self.look().await,
            }
            if looked.elapsed() >= LOOK {
                looked = tokio::time::Instant::now();
            }
        }
    }

    /// Reads what backups there are.
    async fn look(&self) {
        match self.store.backups().await {
            Ok(backups) => self.state.lock().backups = backups,
            Err(error) => {
                tracing::warn!(cluster = &*self.name, %error, "the backups cannot be looked at");
                self.state.lock().trouble = Some(error.to_string());
            }
        }
    }

    fn plan(&self, not_before: Timestamp) {
        let Some(schedule) = &self.schedule else { return };
        let mut state = self.state.lock();
        let last = state.backups.last().map(|listed| listed.entry.started);
        let due = schedule.due(last, Timestamp::now(), chance());
        state.next = due.map(|due| due.max(not_before));
    }

    async fn backup(&self, stop: &Stop) -> Answer {
        let progress = Arc::<Progress>::default();
        self.state.lock().progress = Some(progress.clone());
        let job = Job {
            source: &self.source,
            store: &self.store,
            settings: &self.settings,
            published: &self.published,
            marked: self.marked,
            progress,
            stop: stop.clone(),
        };
        let done = backup::run(&job).await;
        let answer = self.note(done);
        match &answer {
            Ok(_) => self.prune().await,
            // Who stops it knows.
            Err(_) if stop.is_set() => {}
            Err(why) => self.teller.tell(Event::BackupFailed, None, why).await,
        }
        self.look().await;
        answer
    }

    fn note(&self, done: Result<Entry, RunError>) -> Answer {
        let mut state = self.state.lock();
        state.progress = None;
        match done {
            Ok(entry) => {
                state.taken += 1;
                state.trouble = None;
                let (id, node) = (&entry.id, &entry.node);
                Ok(vec![format!("backup {id} of node {node}: {} bytes stored", entry.stored)])
            }
            Err(error) => {
                tracing::error!(cluster = &*self.name, %error, "no backup was taken");
                state.failures += 1;
                state.trouble = Some(error.to_string());
                Err(error.to_string())
            }
        }
    }

    /// What the policy does not keep goes, now that there is something newer.
    async fn prune(&self) {
        let now = (Timestamp::now(), &TimeZone::UTC);
        match prune(&self.store, &self.settings.keep, now, false).await {
            Ok(pruned) => {
                let gone = pruned.plan.verdicts.iter().filter(|verdict| verdict.keep.is_empty());
                let gone: Vec<&BackupId> = gone.map(|verdict| &verdict.id).collect();
                let log_files = pruned.log_files.len();
                tracing::info!(cluster = &*self.name, ?gone, log_files, "old backups were pruned");
            }
            Err(error) => {
                tracing::warn!(cluster = &*self.name, %error, "old backups were not pruned");
            }
        }
    }
}

/// Resolves when what `next` finds is due. Cancel-safe.
pub(super) async fn moment(state: &Mutex<State>, next: fn(&State) -> Option<Timestamp>) {
    loop {
        let next = next(&state.lock());
        let Some(next) = next else { return std::future::pending().await };
        match Duration::try_from(next.duration_since(Timestamp::now())) {
            Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(NAP)).await,
            _ => return,
        }
    }
}

pub(super) fn after(pause: Duration) -> Timestamp {
    let pause = jiff::SignedDuration::try_from(pause).unwrap_or(jiff::SignedDuration::ZERO);
    Timestamp::now().saturating_add(pause).unwrap_or(Timestamp::MAX)
}
