//! The task of one cluster: it watches, decides, and has changes carried out.

use super::actuator::Actuator;
use super::decide::{Sight, Verdict, decide};
use super::execute::{Executor, Gate};
use super::handle::{Board, Command, Handle, Opinion};
use super::heart::Heart;
use super::plan;
use super::rejoin;
use super::report::{Event, KEPT, Outcome};
use super::store::{Ledger, State, StoreError};
use super::term::{Change, Kind, Name, Place, Record};
use super::watch::Watch;
use crate::task::{Stop, Tasks};
use crate::topology::{Position, Published, Snapshot};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// How often the primary is thought about.
const LOOK: Duration = Duration::from_millis(100);

/// Commands that may wait for the one that is carried out.
const QUEUE: usize = 16;

/// What failover of a cluster is made of.
pub struct Parts<A, G, L> {
    pub executor: Executor<A, G, L>,
    /// What was kept from an earlier life.
    pub kept: Option<State>,
    pub published: Arc<Published>,
}

/// Starts the failover of a cluster.
pub fn start<A: Actuator, G: Gate, L: Ledger>(
    tasks: &Tasks,
    cluster: &str,
    parts: Parts<A, G, L>,
) -> Handle {
    let settings = parts.executor.settings.clone();
    let (commands, queue) = mpsc::channel(QUEUE);
    let board = Arc::new(Board {
        settings: settings.clone(),
        state: ArcSwapOption::empty(),
        opinion: ArcSwap::from_pointee(Opinion::new("unknown", "nothing was seen yet")),
        beat: ArcSwapOption::empty(),
        rejoin: ArcSwapOption::empty(),
    });
    let heart = Arc::new(Heart::default());
    let (actuator, beating, reign) =
        (parts.executor.actuator.clone(), heart.clone(), board.clone());
    tasks.spawn(format!("heartbeat {cluster}"), |mut stop| async move {
        let reign = || {
            let state = reign.state.load_full()?;
            state.record.reigning().map(|_| Arc::new(state.record.clone()))
        };
        tokio::select! {
            // A beat under way is dropped with its connection.
            () = stop.stopped() => {}
            () = beating.run(&*actuator, &settings, reign) => {}
        }
    });
    let (rejoins, errands) = mpsc::channel(QUEUE);
    let rejoining = (parts.executor.actuator.clone(), board.clone());
    let coordinator = Coordinator {
        executor: parts.executor,
        board: board.clone(),
        published: parts.published,
        heart,
        watch: Watch::default(),
        care: super::care::Care::default(),
        rejoins,
        queue,
    };
    tasks.spawn(format!("rejoin {cluster}"), |mut stop| async move {
        tokio::select! {
            // The agent goes on with what it was told last.
            () = stop.stopped() => {}
            () = rejoin::run(&*rejoining.0, &rejoining.1, errands) => {}
        }
    });
    tasks.spawn(format!("failover {cluster}"), |stop| coordinator.run(parts.kept, stop));
    Handle { board, commands }
}

pub(super) struct Coordinator<A, G, L> {
    pub(super) executor: Executor<A, G, L>,
    pub(super) board: Arc<Board>,
    pub(super) published: Arc<Published>,
    pub(super) heart: Arc<Heart>,
    pub(super) watch: Watch,
    pub(super) care: super::care::Care,
    pub(super) rejoins: mpsc::Sender<rejoin::Errand>,
    queue: mpsc::Receiver<Command>,
}

impl<A: Actuator, G: Gate, L: Ledger> Coordinator<A, G, L> {
    async fn run(mut self, kept: Option<State>, mut stop: Stop) {
        let live = async {
            if let Err(error) = self.live(kept).await {
                tracing::error!(%error, "failover stops: nothing more is done");
                self.say("unknown", format!("stopped: {error}"));
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            // Whatever is under way goes on after the next start, as after a crash.
            () = stop.stopped() => {}
            () = live => {}
        }
    }

    async fn live(&mut self, kept: Option<State>) -> Result<(), StoreError> {
        let mut state = self.take_up(kept).await;
        self.show(&state);
        loop {
            if state.record.change.is_some() {
                state = self.carry_out(state).await?;
            }
            let command = timeout(LOOK, self.queue.recv()).await;
            if let Ok(Some(command)) = command {
                state = self.command(state, command).await?;
                continue;
            }
            if let Some(words) = self.heart.taken(&state.record) {
                state = self.stand_back(state, words).await;
                continue;
            }
            state = self.look(state).await?;
        }
    }

    pub(super) fn show(&self, state: &State) {
        self.board.state.store(Some(Arc::new(state.clone())));
    }

    pub(super) fn say(&self, word: &'static str, says: impl Into<String>) {
        let says = says.into();
        if self.board.opinion.load().word != word {
            tracing::info!(word, says, "failover: what is thought of the primary");
        }
        self.board.opinion.store(Arc::new(Opinion::new(word, says)));
    }

    /// Until it is clear whose term it is, nobody writes.
    async fn take_up(&mut self, kept: Option<State>) -> State {
        loop {
            let seen = self.published.load().clone();
            if seen.nodes.iter().any(|node| node.standing.is_none() && node.away.is_none()) {
                sleep(LOOK).await;
                continue;
            }
            match self.executor.take_up(kept.clone(), &seen).await {
                Ok(state) => return state,
                Err(error) => {
                    self.say("foreign", error.to_string());
                    self.answer_meanwhile(&error.to_string()).await;
                }
            }
        }
    }

    /// Commands are not left without an answer.
    async fn answer_meanwhile(&mut self, why: &str) {
        if let Ok(Some(command)) = timeout(Duration::from_millis(500), self.queue.recv()).await {
            let _ = command.answer.send(Err(why.to_owned()));
        }
    }

    /// Another proxy has written its own row: it reigns, and we do not write any more.
    async fn stand_back(&mut self, state: State, words: String) -> State {
        let because = format!("this proxy lost the term: {words}");
        let held = super::decree::held(&state.record, &self.executor.names(), &because);
        self.executor.gate.decree(held).await;
        self.board.state.store(None);
        self.say("foreign", because);
        let state = self.take_up(Some(state)).await;
        self.show(&state);
        state
    }

    pub(super) async fn carry_out(&mut self, state: State) -> Result<State, StoreError> {
        self.say("changing", "a change of the primary is under way");
        self.show(&state);
        let state = self.executor.run(state).await?;
        self.watch.forget_questions();
        self.show(&state);
        Ok(state)
    }

    async fn look(&mut self, state: State) -> Result<State, StoreError> {
        let now = Instant::now();
        let seen = self.published.load().clone();
        self.board.beat.store(self.heart.last().map(Arc::new));
        let pulse = self.heart.pulse(&state.record);
        let witnesses = self.watch.witnesses(&state.record, &seen, now);
        let primary = seen.nodes.iter().find(|n| n.name == state.record.primary);
        let verdict = decide(&Sight {
            record: &state.record,
            settings: &self.executor.settings,
            pulse: &pulse,
            answers: primary.is_some_and(|node| node.standing.is_some()),
            agent: self.executor.actuator.agent(&state.record.primary).is_some(),
            witnesses: &witnesses,
            since_failover: since(state.record.failed_over),
            now,
        });
        match verdict {
            Verdict::Well => {
                self.watch.forget_questions();
                self.remember(&state.record, &seen);
                self.say("well", "it writes");
                self.care_for(state, &seen).await
            }
            Verdict::Doubtful => {
                self.say("doubtful", pulse.why);
                Ok(state)
            }
            Verdict::Ask => {
                self.ask(&witnesses.iter().map(|w| w.name.clone()).collect::<Vec<_>>()).await;
                Ok(state)
            }
            Verdict::Heard { by } => {
                self.say("heard", format!("{by} still hears it: {}", pulse.why));
                Ok(state)
            }
            Verdict::Alone => {
                self.say("alone", format!("no standby answers either: {}", pulse.why));
                Ok(state)
            }
            Verdict::Lost { cause, obstacle: Some(obstacle) } => {
                self.say("lost", format!("{cause}; {obstacle}"));
                Ok(state)
            }
            Verdict::Lost { cause, obstacle: None } => {
                self.say("lost", cause.as_str());
                let change = self.change(&state.record, Kind::Failover, cause);
                self.begin(state, change).await
            }
        }
    }

    /// What a loss will be measured by, should there be one.
    fn remember(&mut self, record: &Record, seen: &Snapshot) {
        let primary = seen.nodes.iter().find(|node| node.name == record.primary);
        if let Some(Position::Postgres { timeline, lsn, .. }) =
            primary.and_then(|node| node.position.as_ref())
        {
            self.executor.before.written = Some(Place { timeline: timeline.0, lsn: *lsn });
        }
        for node in seen.nodes.iter().filter(|node| node.name != record.primary) {
            if let Some(fresh) = node.fresh_as_of {
                self.executor.before.fresh.insert(node.name.clone(), fresh);
            }
        }
    }

    /// The standbys drop their connections to the primary and make new ones.
    async fn ask(&mut self, standbys: &[Name]) {
        self.say("doubtful", "its standbys are asked to connect to it anew");
        let actuator = &self.executor.actuator;
        let asked = standbys.iter().map(|name| async move {
            (name, timeout(Duration::from_secs(2), actuator.reconnect(name)).await, Instant::now())
        });
        for (name, answer, at) in futures_util::future::join_all(asked).await {
            match answer {
                Ok(Ok(())) => self.watch.asked(name, at),
                Ok(Err(trouble)) => tracing::warn!(%trouble, "a standby cannot be asked"),
                Err(_) => tracing::warn!(node = &**name, "a standby does not answer"),
            }
        }
    }

    pub(super) fn change(&self, record: &Record, kind: Kind, cause: String) -> Change {
        Change::new(kind, self.executor.settings.guarantee, record.primary.clone(), cause)
    }

    /// The term grows, and nobody writes until the change is over.
    pub(super) async fn begin(
        &mut self,
        mut state: State,
        change: Change,
    ) -> Result<State, StoreError> {
        let began = unix(SystemTime::now());
        tracing::warn!(kind = change.kind.name(), cause = change.cause, "the primary changes");
        let event = Event {
            term: state.record.term.next(),
            kind: change.kind,
            from: change.from.clone(),
            to: None,
            cause: change.cause.clone(),
            began,
            steps: Vec::new(),
            held_millis: None,
            outcome: Outcome::UnderWay,
            loss: None,
        };
        if change.kind == Kind::Failover {
            state.record.failed_over = Some(began);
        }
        state.record = plan::begin(&state.record, change);
        state.events.push(event);
        let surplus = state.events.len().saturating_sub(KEPT);
        state.events.drain(..surplus);
        self.executor.commit(&state).await?;
        Ok(state)
    }
}

fn unix(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn since(failed_over: Option<u64>) -> Option<Duration> {
    let ago = unix(SystemTime::now()).saturating_sub(failed_over?);
    Some(Duration::from_secs(ago))
}
