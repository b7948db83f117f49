//! The start: whose term is it? Until that is known nobody may write.

use super::actuator::{Actuator, Row, Trouble};
use super::execute::{Executor, Gate};
use super::store::{Ledger, State};
use super::term::{Name, Record, Term};
use crate::topology::{NodeView, Snapshot};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::sleep;

/// Why the term cannot be taken up yet.
#[derive(Debug, Error)]
pub(super) enum NotYet {
    #[error("no node, or more than one, says that it is the primary: {0}")]
    NoPrimary(String),
    #[error(
        "another proxy, {holder}, keeps term {term} of this cluster: give both the same state, or \
         switch failover off in one of them"
    )]
    Foreign { term: Term, holder: String },
    #[error(
        "{node} was promoted by somebody else, to timeline {timeline}; {primary} holds term {term}"
    )]
    Usurped { node: Name, timeline: u32, primary: Name, term: Term },
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error("{0}")]
    Store(#[from] super::store::StoreError),
}

impl<A: Actuator, G: Gate, L: Ledger> Executor<A, G, L> {
    /// The state to go on with, in force.
    pub(super) async fn take_up(
        &mut self,
        kept: Option<State>,
        seen: &Snapshot,
    ) -> Result<State, NotYet> {
        let state = match kept {
            Some(state) if state.record.change.is_some() => state,
            Some(state) => self.resume(state, seen).await?,
            None => self.adopt(seen).await?,
        };
        self.commit(&state).await?;
        Ok(state)
    }

    /// Our own term, unless another proxy or a person has changed the primary meanwhile.
    async fn resume(&self, mut state: State, seen: &Snapshot) -> Result<State, NotYet> {
        let record = &state.record;
        for (node, standing) in claimants(seen) {
            if node.name != record.primary && standing.1 > record.timeline {
                self.only_ours(record, &node.name).await?;
                return Err(NotYet::Usurped {
                    node: node.name.clone(),
                    timeline: standing.1,
                    primary: record.primary.clone(),
                    term: record.term,
                });
            }
        }
        let primary = record.primary.clone();
        let answers = seen.nodes.iter().any(|n| n.name == primary && n.standing.is_some());
        if answers && let Some(term) = self.only_ours(record, &primary).await? {
            state.record.term = term;
        }
        if answers {
            self.actuator.install(&state.record, &primary, state.record.quorum.as_ref()).await?;
        }
        Ok(state)
    }

    /// The first term: the one node that says it is the primary.
    async fn adopt(&self, seen: &Snapshot) -> Result<State, NotYet> {
        let claims = claimants(seen);
        let highest = claims.iter().map(|(_, (_, timeline))| *timeline).max();
        let top: Vec<_> = claims.iter().filter(|(_, (_, t))| Some(*t) == highest).collect();
        let [(node, (system, timeline))] = top.as_slice() else {
            let names: Vec<&str> = claims.iter().map(|(node, _)| &*node.name).collect();
            return Err(NotYet::NoPrimary(names.join(", ")));
        };
        let (cluster, holder) = (seen.cluster.clone(), holder());
        let seat = (node.name.clone(), *system, *timeline);
        let mut record = Record::adopt(cluster, holder, Term(1), seat);
        if let Some(term) = self.only_ours(&record, &node.name).await? {
            record.term = term;
        }
        // Who claims the reign and does not hold it serves nothing from now on.
        let others = claims.iter().filter(|(other, _)| other.name != node.name);
        record.deposed = others.map(|(other, (_, t))| (other.name.clone(), *t)).collect();
        self.actuator.install(&record, &record.primary, None).await?;
        Ok(State { record, events: Vec::new() })
    }

    /// Is the row on this node ours, or nobody's any more? Answers with the term to take where a
    /// former holder is gone.
    async fn only_ours(&self, record: &Record, node: &Name) -> Result<Option<Term>, NotYet> {
        let read = async || self.actuator.row(node, &record.cluster).await;
        let Some(before) = read().await? else { return Ok(None) };
        if *before.holder == *record.holder && before.term <= record.term {
            return Ok(None);
        }
        // It beats once in a while: whoever holds it shows that soon.
        let long = (self.settings.heartbeat * 3).max(Duration::from_secs(3));
        for _ in 0..10 {
            sleep(long / 10).await;
            let now = read().await?;
            if now.as_ref() != Some(&before) {
                let Row { term, holder, .. } = now.unwrap_or(before);
                return Err(NotYet::Foreign { term, holder });
            }
        }
        tracing::warn!(
            node = &**node, holder = before.holder, term = %before.term,
            "whoever kept the term does not beat any more; it is taken over"
        );
        Ok(Some(before.term.max(record.term).next()))
    }
}

type Claim<'a> = (&'a NodeView, (u64, u32));

/// Who says that it takes writes, of which system and on which timeline.
fn claimants(seen: &Snapshot) -> Vec<Claim<'_>> {
    let claims = seen.nodes.iter().filter_map(|node| {
        let standing = node.standing.filter(|standing| !standing.in_recovery)?;
        Some((node, (standing.system, standing.timeline.0)))
    });
    claims.collect()
}

/// A name for this holder that no other has.
fn holder() -> Arc<str> {
    use std::hash::{BuildHasher, RandomState};
    let chance = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", chance(), chance()).into()
}
