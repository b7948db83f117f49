//! Takes the steps of a change one by one; each is written down before the next begins.
//!
//! Dropping the future is as good as a crash: whoever has the last saved record goes on.

use super::actuator::{Actuator, Trouble};
use super::choose::{NoCandidate, choose};
use super::decree::decree;
use super::fence;
use super::plan::{self, Fact, Obstacle, Step};
use super::report::{Outcome, loss};
use super::settings::Settings;
use super::store::{Ledger, State, StoreError};
use super::term::{Change, Name, Place, Record};
use crate::orders;
use crate::topology::Decree;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(50);

/// The proxy itself, as failover needs it.
pub trait Gate: Send + Sync + 'static {
    /// In force when this answers.
    fn decree(&self, decree: Decree) -> impl Future<Output = ()> + Send;
    /// Server connections to the node that clients use now.
    fn users(&self, node: &Name) -> usize;
}

/// What was known when a change began, for the report of what it may have lost.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// How far the old primary had got when it was seen last.
    pub written: Option<Place>,
    /// Everything acknowledged before this instant is on that standby.
    pub fresh: BTreeMap<Name, Instant>,
}

/// Why a step was not taken.
#[derive(Debug, Error)]
pub enum Failure {
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    #[error(transparent)]
    NoCandidate(#[from] NoCandidate),
    #[error("{clients} clients still use {node}")]
    Busy { node: Name, clients: usize },
    #[error("no standby has all that {node} wrote, up to {place}")]
    Behind { node: Name, place: Place },
    #[error("{0}")]
    NoEvidence(String),
    #[error("the record cannot be written: {0}")]
    Store(#[from] StoreError),
}

/// Carries changes out.
pub struct Executor<A, G, L> {
    pub actuator: Arc<A>,
    pub gate: G,
    pub ledger: L,
    pub settings: Settings,
    pub before: Before,
    /// In the order of the configuration, with their addresses.
    pub nodes: Vec<(Name, String)>,
}

impl<A: Actuator, G: Gate, L: Ledger> Executor<A, G, L> {
    pub fn names(&self) -> Vec<Name> {
        self.nodes.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Writes the record down and puts it in force.
    pub async fn commit(&mut self, state: &State) -> Result<(), StoreError> {
        self.ledger.save(state)?;
        self.gate.decree(decree(&state.record, &self.names())).await;
        Ok(())
    }

    /// Goes on with whatever change is under way until there is none. Only a record that cannot be
    /// written is an error: then nothing more is done.
    pub async fn run(&mut self, mut state: State) -> Result<State, StoreError> {
        let began = Instant::now();
        while let Some(step) = plan::next(&state.record) {
            let started = Instant::now();
            tracing::info!(cluster = &*state.record.cluster, step = step.name(), "failover step");
            match self.insist(&step, &state.record).await {
                Ok(fact) => {
                    let says = describe(&fact);
                    state.record = plan::note(&state.record, fact);
                    self.report(&mut state, &step, started, says, began);
                }
                Err(failure) => {
                    let why = failure.to_string();
                    tracing::error!(step = step.name(), why, "the change is given up");
                    if let Some(event) = state.events.last_mut() {
                        event.took(step.name(), started.elapsed(), why.clone());
                        event.outcome = Outcome::GivenUp(why.clone());
                    }
                    match plan::abandon(&state.record, &why) {
                        Some(record) => state.record = record,
                        None => return Ok(state),
                    }
                }
            }
            self.commit(&state).await?;
        }
        Ok(state)
    }

    fn report(&self, state: &mut State, step: &Step, at: Instant, says: String, began: Instant) {
        let promoted = state.record.change.as_ref().and_then(|c| c.promoted);
        let window = |to: &Name| Some(began.saturating_duration_since(*self.before.fresh.get(to)?));
        let Some(event) = state.events.last_mut() else { return };
        tracing::info!(step = step.name(), took = ?at.elapsed(), says, "failover step done");
        event.took(step.name(), at.elapsed(), says);
        match step {
            Step::Promote(to) => {
                event.to = Some(to.clone());
                let (written, window) = (self.before.written, window(to));
                event.loss = promoted.and_then(|promoted| loss(written, promoted, window));
            }
            Step::Install(_) => event.held_millis = millis(began.elapsed()),
            Step::Checkpoint(_) => event.outcome = Outcome::Done,
            _ => {}
        }
    }

    /// Tries until it is done; as long as patience lasts, where the change can be given up.
    async fn insist(&self, step: &Step, record: &Record) -> Result<Fact, Failure> {
        let started = Instant::now();
        let mut warned = started;
        loop {
            let failure = match self.take(step, record).await {
                Ok(fact) => return Ok(fact),
                Err(failure) => failure,
            };
            let over = started.elapsed() >= self.settings.patience;
            let last = match step {
                Step::Restore(_) if over => return Ok(Fact::Restored),
                Step::Checkpoint(_) if over => return Ok(Fact::Checkpointed),
                _ => over && step.may_be_abandoned(),
            };
            if last || matches!(failure, Failure::Obstacle(_) | Failure::NoCandidate(_)) {
                return Err(failure);
            }
            if warned.elapsed() >= Duration::from_secs(2) {
                warned = Instant::now();
                tracing::warn!(step = step.name(), %failure, "not yet");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn take(&self, step: &Step, record: &Record) -> Result<Fact, Failure> {
        let Some(change) = &record.change else { return Ok(Fact::Checkpointed) };
        match step {
            Step::Quiet => self.quiet(change),
            Step::Revoke => self.revoke(record, change).await,
            Step::Fence => {
                let evidence = fence::fence(&*self.actuator, &self.settings, record, &self.nodes);
                evidence.await.map(Fact::Fenced).map_err(Failure::NoEvidence)
            }
            Step::Drain => self.drain(change).await,
            Step::Choose => self.choose(record, change).await,
            Step::Order(_) => Ok(Fact::Ordered),
            Step::Promote(to) => Ok(Fact::Promoted(self.actuator.promote(to).await?)),
            Step::Install(to) => {
                let quorum = plan::quorum_after(record);
                self.actuator.install(record, to, quorum.as_ref()).await?;
                Ok(Fact::Installed)
            }
            Step::Repoint(to) => {
                self.repoint(change, to, record).await;
                Ok(Fact::Repointed)
            }
            Step::Checkpoint(to) => {
                self.actuator.checkpoint(to).await?;
                Ok(Fact::Checkpointed)
            }
            Step::Restore(from) => self.restore(record, from).await,
        }
    }

    fn quiet(&self, change: &Change) -> Result<Fact, Failure> {
        match self.gate.users(&change.from) {
            0 => Ok(Fact::Quiet),
            clients => Err(Failure::Busy { node: change.from.clone(), clients }),
        }
    }

    /// All that can be reached, and at least as many as a promotion needs.
    async fn revoke(&self, record: &Record, change: &Change) -> Result<Fact, Failure> {
        let term = record.term;
        let others = self.nodes.iter().map(|(name, _)| name).filter(|n| **n != change.from);
        let asked =
            others.map(|name| async move { (name, self.actuator.revoke(name, term).await) });
        let answers = join_all(asked).await;
        let (mut revoked, mut why) = (BTreeMap::new(), None);
        for (name, answer) in answers {
            match answer {
                Ok(place) => drop(revoked.insert(name.clone(), place)),
                Err(trouble) => why = Some(trouble),
            }
        }
        let fact = Fact::Revoked(revoked);
        let would_be = plan::note(record, fact.clone());
        match (plan::may_promote(&would_be), why) {
            // Evidence comes later.
            (Ok(()) | Err(Obstacle::NoEvidence), _) => Ok(fact),
            (Err(_), Some(trouble)) => Err(trouble.into()),
            (Err(obstacle), None) => Err(obstacle.into()),
        }
    }

    async fn drain(&self, change: &Change) -> Result<Fact, Failure> {
        let place = self.actuator.end_of_log(&change.from).await?;
        let others = self.nodes.iter().map(|(name, _)| name).filter(|n| **n != change.from);
        let wanted = others.filter(|name| change.to.as_ref().is_none_or(|to| to == *name));
        for name in wanted {
            let seen = self.actuator.look(name).await?;
            if seen.received.timeline == place.timeline && seen.received.lsn >= place.lsn {
                return Ok(Fact::Drained(place));
            }
        }
        Err(Failure::Behind { node: change.from.clone(), place })
    }

    async fn choose(&self, record: &Record, change: &Change) -> Result<Fact, Failure> {
        plan::may_promote(record)?;
        let none = BTreeMap::new();
        let revoked = change.revoked.as_ref().unwrap_or(&none);
        let mut seen = Vec::new();
        for name in revoked.keys() {
            // Who was counted and does not answer now may be the one that has most.
            seen.push(self.actuator.look(name).await?);
        }
        Ok(Fact::Chosen(choose(record, &seen)?))
    }

    /// Who is not reached now is told when it comes back.
    async fn repoint(&self, change: &Change, to: &Name, record: &Record) {
        let revoked = change.revoked.iter().flat_map(BTreeMap::keys).filter(|name| *name != to);
        let told = revoked.map(|name| async move {
            if let Err(trouble) = self.actuator.repoint(name, to, record.term).await {
                tracing::warn!(%trouble, "a standby is told later whom to follow");
            }
        });
        join_all(told).await;
    }

    async fn restore(&self, record: &Record, from: &Name) -> Result<Fact, Failure> {
        if let Some(agent) = self.actuator.agent(from) {
            let of = orders::Name { term: record.term.0, system: record.system };
            if let Err(error) = agent.start(of, true).await {
                tracing::warn!(node = &**from, %error, "not started by its agent");
            }
        }
        self.actuator.unfence(from).await?;
        self.actuator.install(record, from, record.quorum.as_ref()).await?;
        for (name, _) in self.nodes.iter().filter(|(name, _)| name != from) {
            if let Err(trouble) = self.actuator.repoint(name, from, record.term).await {
                tracing::warn!(%trouble, "a standby is told later whom to follow");
            }
        }
        Ok(Fact::Restored)
    }
}

fn millis(duration: Duration) -> Option<u64> {
    u64::try_from(duration.as_millis()).ok()
}

fn describe(fact: &Fact) -> String {
    match fact {
        Fact::Quiet => "no client uses the old primary".into(),
        Fact::Revoked(standbys) => {
            let all: Vec<_> =
                standbys.iter().map(|(n, place)| format!("{n} has {place}")).collect();
            all.join(", ")
        }
        Fact::Fenced(evidence) => evidence.to_string(),
        Fact::Drained(place) => format!("all of it is on a standby, up to {place}"),
        Fact::Chosen(name) => name.to_string(),
        Fact::Ordered => "written down".into(),
        Fact::Promoted(promoted) => {
            format!("timeline {} since {}", promoted.timeline, promoted.fork)
        }
        Fact::Installed => "the term is on the new primary".into(),
        Fact::Repointed => "the others were told".into(),
        Fact::Checkpointed => "done".into(),
        Fact::Restored => "the old primary reigns again".into(),
    }
}
