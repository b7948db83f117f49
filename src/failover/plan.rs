//! What to do next, and what a fact makes of the record. Pure: no I/O, no clock.
//!
//! [`next`] is a function of the record alone, so whoever reads it after a crash goes on where the
//! last one stopped. Every step may be done twice.

use super::term::{Change, Evidence, Guarantee, Kind, Name, Place, Promoted, Quorum, Record};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// One thing to do. What is done is a fact only when it was observed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Wait until no client of this proxy uses the old primary.
    Quiet,
    /// Have the standbys let go of the old primary.
    Revoke,
    /// See to it that the old primary acknowledges nothing.
    Fence,
    /// Wait until the successor has all that the old primary wrote.
    Drain,
    /// Pick the successor.
    Choose,
    /// Write down that the order is about to be sent.
    Order(Name),
    Promote(Name),
    /// The row of the term, and what commits wait for.
    Install(Name),
    /// Tell the other standbys.
    Repoint(Name),
    /// CHECKPOINT: only then can a former primary be rewound.
    Checkpoint(Name),
    /// Undo what was done to the old primary and the standbys.
    Restore(Name),
}

impl Step {
    pub fn name(&self) -> &'static str {
        match self {
            Step::Quiet => "quiet",
            Step::Revoke => "revoke",
            Step::Fence => "fence",
            Step::Drain => "drain",
            Step::Choose => "choose",
            Step::Order(_) => "order",
            Step::Promote(_) => "promote",
            Step::Install(_) => "install",
            Step::Repoint(_) => "repoint",
            Step::Checkpoint(_) => "checkpoint",
            Step::Restore(_) => "restore",
        }
    }

    /// Once the order to promote may be out there is no way back.
    pub fn may_be_abandoned(&self) -> bool {
        matches!(self, Step::Quiet | Step::Revoke | Step::Fence | Step::Drain | Step::Choose)
    }
}

/// What was observed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    Quiet,
    Revoked(BTreeMap<Name, Place>),
    Fenced(Evidence),
    Drained(Place),
    Chosen(Name),
    Ordered,
    Promoted(Promoted),
    Installed,
    Repointed,
    Checkpointed,
    Restored,
}

/// Why nobody may be promoted.
#[derive(Clone, Debug, Error, PartialEq, Eq, Hash)]
pub enum Obstacle {
    #[error("{have} of {of} voters let go of the old primary, {need} are needed")]
    NoQuorum { have: usize, need: usize, of: usize },
    #[error("commits did not wait for a quorum in this term, so what was acknowledged may be lost")]
    NoGuarantee,
    #[error("nothing proves that the old primary stopped")]
    NoEvidence,
    #[error("no standby has let go of the old primary")]
    NoStandby,
}

/// What to do next; `None`: the reign is settled.
pub fn next(record: &Record) -> Option<Step> {
    let change = record.change.as_ref()?;
    if change.abandoned.is_some() {
        return Some(Step::Restore(change.from.clone()));
    }
    if !change.quiet {
        return Some(Step::Quiet);
    }
    if let Some(step) = take_over(change) {
        return Some(step);
    }
    let Some(chosen) = change.chosen.clone() else { return Some(Step::Choose) };
    Some(match change {
        Change { ordered: false, .. } => Step::Order(chosen),
        Change { promoted: None, .. } => Step::Promote(chosen),
        Change { installed: false, .. } => Step::Install(chosen),
        Change { repointed: false, .. } => Step::Repoint(chosen),
        _ => Step::Checkpoint(chosen),
    })
}

/// Until the old primary is harmless. A switchover fences it while its standbys still listen,
/// so that they get all that it wrote.
fn take_over(change: &Change) -> Option<Step> {
    let fence = change.evidence.is_none().then_some(Step::Fence);
    let revoke = change.revoked.is_none().then_some(Step::Revoke);
    match change.kind {
        Kind::Failover => revoke.or(fence),
        Kind::Switchover => {
            let drain = change.drained.is_none().then_some(Step::Drain);
            fence.or(drain).or(revoke)
        }
    }
}

/// The record with one more fact. A fact that belongs to no change under way changes nothing.
pub fn note(record: &Record, fact: Fact) -> Record {
    let mut record = record.clone();
    let Some(change) = record.change.as_mut() else { return record };
    match fact {
        Fact::Quiet => change.quiet = true,
        Fact::Revoked(standbys) => change.revoked = Some(standbys),
        Fact::Fenced(evidence) => change.evidence = Some(evidence),
        Fact::Drained(place) => change.drained = Some(place),
        Fact::Chosen(name) if !change.ordered => change.chosen = Some(name),
        Fact::Chosen(_) => {}
        Fact::Ordered => change.ordered = true,
        Fact::Promoted(promoted) => change.promoted = Some(promoted),
        Fact::Installed => enthrone(&mut record),
        Fact::Repointed => change.repointed = true,
        Fact::Checkpointed => record.change = None,
        Fact::Restored => restored(&mut record),
    }
    record
}

/// What commits of the new reign wait for: the standbys that will follow it. Where there is none,
/// they wait for the former primary: nothing is acknowledged until it follows.
pub fn quorum_after(record: &Record) -> Option<Quorum> {
    let quorum = record.quorum.as_ref()?;
    let change = record.change.as_ref()?;
    let revoked = change.revoked.as_ref();
    let others = revoked.into_iter().flat_map(BTreeMap::keys).cloned();
    let mut voters: BTreeSet<Name> = others.filter(|n| Some(n) != change.chosen.as_ref()).collect();
    if voters.len() < quorum.write {
        voters.insert(change.from.clone());
    }
    Some(Quorum { write: quorum.write.min(voters.len()), voters })
}

fn enthrone(record: &mut Record) {
    let Some(change) = record.change.as_mut() else { return };
    let (Some(chosen), Some(promoted)) = (change.chosen.clone(), change.promoted) else { return };
    let from = change.from.clone();
    change.installed = true;
    if from != chosen {
        record.deposed.insert(from, record.timeline);
    }
    record.deposed.remove(&chosen);
    record.quorum = quorum_after(record);
    record.primary = chosen;
    record.timeline = promoted.timeline;
}

fn restored(record: &mut Record) {
    let Some(change) = record.change.take() else { return };
    if let Some(why) = change.abandoned {
        record.latch = Some(format!("the {} was given up: {why}", change.kind.name()));
    }
}

/// The start of a change: the term grows, and nobody reigns until it is over.
pub fn begin(record: &Record, change: Change) -> Record {
    Record { term: record.term.next(), change: Some(change), ..record.clone() }
}

/// Gives a change up, if that is still possible.
pub fn abandon(record: &Record, why: &str) -> Option<Record> {
    let change = record.change.as_ref()?;
    if change.ordered {
        return None;
    }
    let abandoned = Some(why.to_owned());
    Some(Record { change: Some(Change { abandoned, ..change.clone() }), ..record.clone() })
}

/// Whether what was observed allows a promotion at all.
pub fn may_promote(record: &Record) -> Result<(), Obstacle> {
    let Some(change) = &record.change else { return Err(Obstacle::NoEvidence) };
    let none = BTreeMap::new();
    let revoked = change.revoked.as_ref().unwrap_or(&none);
    if revoked.is_empty() {
        return Err(Obstacle::NoStandby);
    }
    if change.vouched.is_some() {
        return Ok(());
    }
    match change.guarantee {
        Guarantee::Available => match change.evidence {
            None | Some(Evidence::Revocation) => Err(Obstacle::NoEvidence),
            Some(_) => Ok(()),
        },
        // All that it wrote is on the standby that was waited for.
        Guarantee::Strict if change.drained.is_some() && is_observed(&change.evidence) => Ok(()),
        Guarantee::Strict => quorum(record, revoked),
    }
}

/// It was seen to have stopped, with nobody's word taken for it.
fn is_observed(evidence: &Option<Evidence>) -> bool {
    matches!(
        evidence,
        Some(Evidence::AgentStopped(_) | Evidence::LoginsRefused | Evidence::NobodyListens)
    )
}

/// Enough voters let go: every acknowledged commit is on one of them, and no further commit can
/// gather its acknowledgements.
fn quorum(record: &Record, revoked: &BTreeMap<Name, Place>) -> Result<(), Obstacle> {
    let quorum = record.quorum.as_ref().ok_or(Obstacle::NoGuarantee)?;
    let have = quorum.voters.iter().filter(|voter| revoked.contains_key(*voter)).count();
    let (need, of) = (quorum.read(), quorum.voters.len());
    if have >= need { Ok(()) } else { Err(Obstacle::NoQuorum { have, need, of }) }
}

#[cfg(test)]
mod tests;
