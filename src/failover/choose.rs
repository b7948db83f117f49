//! Which standby becomes the primary. Pure.

use super::term::{Change, Name, Place, Record};
use std::collections::BTreeMap;
use thiserror::Error;

/// A standby as it was looked at after it had let go of the old primary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    pub name: Name,
    /// The end of what it received and keeps.
    pub received: Place,
    /// Received, but not applied yet, in bytes: it is busy for so long before it takes writes.
    pub unreplayed: u64,
    /// The operator's order among equals: higher is better; 0: never.
    pub priority: u32,
}

/// Why none of them is.
#[derive(Clone, Debug, Error, PartialEq, Eq, Hash)]
pub enum NoCandidate {
    #[error("no standby on timeline {timeline} let go of the old primary")]
    Nobody { timeline: u32 },
    #[error("{name} has received most, and its priority is 0, or it is fenced")]
    Barred { name: Name },
    #[error("{name} is no standby that let go of the old primary, or it is fenced")]
    NotThere { name: Name },
    #[error("{name} has received up to {has} only, {best} up to {most}")]
    Behind { name: Name, has: Place, best: Name, most: Place },
}

/// The standby that lost least of this term's history; among equals the one that is ready first,
/// then the operator's order, then the name.
///
/// A standby of another timeline than the term's is of another history and never chosen: it may
/// be a standby that slept through the last failover, or one that somebody else promoted.
pub fn choose(record: &Record, seen: &[Candidate]) -> Result<Name, NoCandidate> {
    let none = BTreeMap::new();
    let change = record.change.as_ref();
    let revoked = change.and_then(|c| c.revoked.as_ref()).unwrap_or(&none);
    let timeline = record.timeline;
    let eligible: Vec<&Candidate> = seen
        .iter()
        .filter(|c| revoked.contains_key(&c.name) && c.received.timeline == timeline)
        .collect();
    // Whoever has most counts even if it may not reign: what it has is not to be lost.
    let most = eligible.iter().map(|c| c.received).max();
    let most = most.ok_or(NoCandidate::Nobody { timeline })?;
    if let Some(Change { to: Some(to), vouched, .. }) = change {
        let wanted = eligible.iter().find(|c| c.name == *to && !record.fenced.contains(to));
        let wanted = wanted.ok_or_else(|| NoCandidate::NotThere { name: to.clone() })?;
        return match wanted.received == most || vouched.is_some() {
            true => Ok(to.clone()),
            false => Err(behind(wanted, &eligible, most)),
        };
    }
    let first = |c: &&&Candidate| (std::cmp::Reverse(c.unreplayed), c.priority);
    let may_reign = |c: &Candidate| c.priority > 0 && !record.fenced.contains(&c.name);
    let best = eligible.iter().filter(|c| c.received == most && may_reign(c));
    // The first by name wins a draw: `max_by_key` keeps the last.
    let mut best: Vec<&&Candidate> = best.collect();
    best.sort_by(|a, b| b.name.cmp(&a.name));
    let found = best.iter().max_by_key(|c| first(c));
    let barred = || NoCandidate::Barred { name: owner(&eligible, most) };
    found.map(|c| c.name.clone()).ok_or_else(barred)
}

fn behind(wanted: &Candidate, all: &[&Candidate], most: Place) -> NoCandidate {
    let (name, has) = (wanted.name.clone(), wanted.received);
    NoCandidate::Behind { name, has, best: owner(all, most), most }
}

fn owner(all: &[&Candidate], most: Place) -> Name {
    all.iter().find(|c| c.received == most).map_or_else(|| "?".into(), |c| c.name.clone())
}

#[cfg(test)]
mod tests;
