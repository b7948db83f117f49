//! The choice of a node. Nothing is allocated: this runs for every transaction.

use super::{Ask, Because, Consistency, Decision, Fallback, Target, Wants};
use crate::topology::{NodeView, Role, Snapshot};
use std::time::Instant;

/// Says where a batch or a transaction goes, and why. `now` is on the clock of `fresh_as_of`.
pub fn route(ask: &Ask, seen: &Snapshot, now: Instant) -> Decision {
    match (ask.wants, ask.consistency) {
        (Wants::Primary(why), _) => primary(ask, seen, Because::Statement(why)),
        (Wants::Read, Consistency::Primary) => primary(ask, seen, Because::Asked),
        (Wants::Read, _) => match replica(ask, seen, now) {
            Some(node) => Decision { to: Target::Node(node.id), because: Because::FreshReplica },
            None if ask.fallback == Fallback::Primary => {
                primary(ask, seen, Because::NoFreshReplica)
            }
            None => Decision { to: Target::Nobody, because: Because::NoFreshReplica },
        },
    }
}

/// Waiting may help a read that no replica may answer now: there are replicas at all.
pub fn may_wait_for_replica(ask: &Ask, seen: &Snapshot) -> bool {
    ask.wants == Wants::Read && seen.nodes.iter().any(|node| is_candidate(ask, node))
}

fn primary(ask: &Ask, seen: &Snapshot, because: Because) -> Decision {
    match seen.primary {
        Some(id) if !ask.avoid.contains(id) => Decision { to: Target::Node(id), because },
        _ => Decision { to: Target::Nobody, because: Because::NoPrimary },
    }
}

/// The eligible replica with the least work for its weight. Equals share by weight, in turns.
fn replica<'a>(ask: &Ask, seen: &'a Snapshot, now: Instant) -> Option<&'a NodeView> {
    // Before the clock's own beginning nothing is too old.
    let oldest = now.checked_sub(ask.max_staleness);
    let eligible = |node: &&NodeView| is_eligible(ask, node, oldest);
    // The loads change under our feet: one that is read twice may differ, which at worst makes
    // another eligible node win.
    let mut best: Option<(&NodeView, u32)> = None;
    let mut equals_weight = 0_u64;
    for node in seen.nodes.iter().filter(eligible) {
        let work = node.load.outstanding();
        match best.map(|(least, least_work)| compare(work, node, least_work, least)) {
            None | Some(std::cmp::Ordering::Less) => {
                best = Some((node, work));
                equals_weight = u64::from(node.weight);
            }
            Some(std::cmp::Ordering::Equal) => equals_weight += u64::from(node.weight),
            Some(std::cmp::Ordering::Greater) => {}
        }
    }
    let (least, work) = best?;
    let mut turn = u64::from(ask.tie) % equals_weight.max(1);
    for node in seen.nodes.iter().filter(eligible) {
        if compare(node.load.outstanding(), node, work, least).is_eq() {
            match turn.checked_sub(u64::from(node.weight)) {
                None => return Some(node),
                Some(rest) => turn = rest,
            }
        }
    }
    Some(least)
}

/// Compares work per weight without a division.
fn compare(work: u32, node: &NodeView, than: u32, other: &NodeView) -> std::cmp::Ordering {
    let mine = u64::from(work) * u64::from(other.weight);
    mine.cmp(&(u64::from(than) * u64::from(node.weight)))
}

fn is_eligible(ask: &Ask, node: &NodeView, oldest: Option<Instant>) -> bool {
    // Unknown freshness is too old for everyone.
    let shows = |since: Option<Instant>| {
        node.fresh_as_of.is_some_and(|fresh| since.is_none_or(|since| fresh >= since))
    };
    is_candidate(ask, node)
        && match ask.consistency {
            Consistency::Eventual => true,
            Consistency::Bounded => shows(oldest),
            Consistency::Session => {
                shows(oldest.max(ask.known.primary)) && is_no_step_back(ask, node, shows)
            }
            Consistency::Strong => shows(Some(ask.arrived)),
            Consistency::Primary => false,
        }
}

/// A replica does not go back, unless it was away in between. Another one shows what the last one
/// showed at an instant if it shows what the primary had acknowledged then, which was no less.
fn is_no_step_back(ask: &Ask, node: &NodeView, shows: impl Fn(Option<Instant>) -> bool) -> bool {
    match ask.known.replica {
        Some((last, at)) if last == node.id && node.away.is_none_or(|away| away < at) => true,
        Some((_, at)) => shows(Some(at)),
        None => true,
    }
}

/// It may answer reads, whenever it is fresh enough.
fn is_candidate(ask: &Ask, node: &NodeView) -> bool {
    node.role == Role::Replica && node.weight > 0 && !ask.avoid.contains(node.id)
}

#[cfg(test)]
mod tests;
