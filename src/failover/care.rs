//! While the primary is well: former primaries that come back, standbys that follow nobody, and
//! the quorum that commits wait for.

use super::actuator::Actuator;
use super::coordinator::Coordinator;
use super::execute::Gate;
use super::rejoin::Errand;
use super::settings::Rejoin;
use super::store::{Ledger, State, StoreError};
use super::term::{Guarantee, Name, Quorum, Record};
use crate::topology::{NodeView, Role, Snapshot, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Between two attempts at the same node.
const AGAIN: Duration = Duration::from_secs(1);

/// How long one node may take, so that the primary is not out of sight meanwhile.
const LIMIT: Duration = Duration::from_millis(500);

/// Between two attempts to bring a former primary back.
const ANOTHER_REJOIN: Duration = Duration::from_secs(30);

/// What was done, and when.
#[derive(Debug, Default)]
pub(super) struct Care {
    tried: BTreeMap<Name, Instant>,
    /// Former primaries that were fenced since they came back.
    fenced: BTreeSet<Name>,
    /// Former primaries that were begun to be brought back, and when.
    rejoined: BTreeMap<Name, Instant>,
}

impl Care {
    fn is_due(&mut self, name: &Name) -> bool {
        let due = self.tried.get(name).is_none_or(|at| at.elapsed() >= AGAIN);
        if due {
            self.tried.insert(name.clone(), Instant::now());
        }
        due
    }
}

/// What a node needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It reigned once and takes writes still, or again.
    Fence,
    /// It follows now.
    Welcome,
    /// It follows nobody, or somebody of the past.
    Lead,
}

fn need(record: &Record, node: &NodeView) -> Option<Need> {
    let Standing { in_recovery, system, timeline, feed } = node.standing?;
    let deposed = record.deposed.contains_key(&node.name);
    if node.name == record.primary || system != record.system {
        return None;
    }
    if !in_recovery {
        return deposed.then_some(Need::Fence);
    }
    if record.fenced.contains(&node.name) {
        return None;
    }
    let feed = feed?;
    if deposed && feed.streams && timeline.0 == record.timeline && node.role == Role::Replica {
        return Some(Need::Welcome);
    }
    (feed.held || (timeline.0 < record.timeline && !feed.streams)).then_some(Need::Lead)
}

impl<A: Actuator, G: Gate, L: Ledger> Coordinator<A, G, L> {
    /// At most one thing in a round.
    pub(super) async fn care_for(
        &mut self,
        state: State,
        seen: &Snapshot,
    ) -> Result<State, StoreError> {
        for node in &seen.nodes {
            let needed = need(&state.record, node);
            if needed != Some(Need::Fence) {
                self.care.fenced.remove(&node.name);
            }
            let Some(needed) = needed else { continue };
            let done = needed == Need::Fence && self.care.fenced.contains(&node.name);
            if !done && self.care.is_due(&node.name) {
                return self.serve(state, &node.name, needed).await;
            }
        }
        self.bring_back(&state.record, seen);
        self.keep_quorum(state, seen).await
    }

    /// Where it is to happen by itself, former primaries with an agent become standbys.
    fn bring_back(&mut self, record: &Record, seen: &Snapshot) {
        if self.executor.settings.rejoin != Rejoin::Automatic {
            return;
        }
        let follows = |name: &Name| {
            let node = seen.nodes.iter().find(|node| node.name == *name);
            node.and_then(|node| node.standing).is_some_and(|standing| standing.in_recovery)
        };
        for name in record.deposed.keys().filter(|name| !follows(name)) {
            let free = self.executor.actuator.agent(name).is_some() && !self.is_rejoining(name);
            let begun = self.care.rejoined.get(name).copied();
            if free && begun.is_none_or(|at: Instant| at.elapsed() >= ANOTHER_REJOIN) {
                self.care.rejoined.insert(name.clone(), Instant::now());
                // A full queue is tried again.
                let _ = self.rejoins.try_send(Errand { node: name.clone(), answer: None });
            }
        }
    }

    fn is_rejoining(&self, name: &Name) -> bool {
        let rejoin = self.board.rejoin.load();
        rejoin.as_ref().is_some_and(|rejoin| rejoin.node == *name && rejoin.failed.is_none())
    }

    async fn serve(
        &mut self,
        mut state: State,
        name: &Name,
        needed: Need,
    ) -> Result<State, StoreError> {
        let (actuator, record) = (self.executor.actuator.clone(), state.record.clone());
        let served = match needed {
            Need::Fence => timeout(LIMIT, actuator.fence(name)).await.map(|done| done.map(drop)),
            Need::Welcome => timeout(LIMIT, actuator.unfence(name)).await,
            Need::Lead => {
                timeout(LIMIT, actuator.repoint(name, &record.primary, record.term)).await
            }
        };
        match served {
            Ok(Ok(())) => tracing::info!(node = &**name, ?needed, "a node was seen to"),
            Ok(Err(trouble)) => {
                tracing::warn!(%trouble, ?needed, "a node cannot be seen to");
                return Ok(state);
            }
            Err(_) => return Ok(state),
        }
        match needed {
            Need::Fence => drop(self.care.fenced.insert(name.clone())),
            Need::Welcome => {
                state.record.deposed.remove(name);
                self.executor.commit(&state).await?;
                self.show(&state);
            }
            Need::Lead => {}
        }
        Ok(state)
    }

    /// Where no acknowledged write may be lost, commits wait for a quorum of the standbys.
    async fn keep_quorum(&mut self, state: State, seen: &Snapshot) -> Result<State, StoreError> {
        if self.executor.settings.guarantee != Guarantee::Strict {
            return Ok(state);
        }
        let follows = |node: &&NodeView| {
            node.role == Role::Replica
                && node.standing.and_then(|s| s.feed).is_some_and(|feed| feed.streams)
        };
        let voters: BTreeSet<Name> =
            seen.nodes.iter().filter(follows).map(|node| node.name.clone()).collect();
        let write = self.executor.settings.write_quorum;
        match &state.record.quorum {
            None if voters.len() >= write => self.arm(state, Quorum { write, voters }).await,
            Some(quorum) if !voters.is_subset(&quorum.voters) => {
                let voters = voters.union(&quorum.voters).cloned().collect();
                let quorum = Quorum { write: quorum.write, voters };
                self.grow(state, quorum).await
            }
            _ => Ok(state),
        }
    }

    /// For the first time: what was acknowledged before must be everywhere before it is promised.
    async fn arm(&mut self, mut state: State, quorum: Quorum) -> Result<State, StoreError> {
        if !self.care.is_due(&"quorum".into()) {
            return Ok(state);
        }
        match timeout(LIMIT, self.executor.actuator.arm(&state.record, &quorum)).await {
            Ok(Ok(())) => {
                tracing::info!(?quorum, "commits wait for a quorum of standbys");
                state.record.quorum = Some(quorum);
                self.executor.commit(&state).await?;
                self.show(&state);
            }
            Ok(Err(trouble)) => tracing::debug!(%trouble, "no quorum yet"),
            Err(_) => {}
        }
        Ok(state)
    }

    /// One more voter: written down first, so that who counts the voters after a crash asks for
    /// one more than may be needed, and never for one less.
    async fn grow(&mut self, mut state: State, quorum: Quorum) -> Result<State, StoreError> {
        state.record.quorum = Some(quorum);
        self.executor.commit(&state).await?;
        self.show(&state);
        let record = &state.record;
        let installed =
            self.executor.actuator.install(record, &record.primary, record.quorum.as_ref());
        if let Err(trouble) = installed.await {
            tracing::warn!(%trouble, "the new voter does not count yet");
        }
        Ok(state)
    }
}
