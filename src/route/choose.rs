//! The choice of a node. Nothing is allocated: this runs for every transaction.

use super::eligible::{Obstacle, bar, obstacle};
use super::{Ask, Because, Consistency, Decision, Fallback, Place, Target, Wants};
use crate::topology::{NodeView, Snapshot};
use std::time::Instant;

/// Says where a batch or a transaction goes, and why. `now` is on the clock of `fresh_as_of`.
pub fn route(ask: &Ask<'_>, seen: &Snapshot, now: Instant) -> Decision {
    if let Wants::Primary(why) = ask.wants {
        return primary(ask, seen, Because::Statement(why));
    }
    if ask.consistency == Consistency::Primary || ask.place == Place::Primary {
        return primary(ask, seen, Because::Asked);
    }
    if let Some(node) = replica(ask, seen, now) {
        return Decision { to: Target::Node(node.id), because: reason(ask, node) };
    }
    match (ask.place, seen.primary) {
        (Place::Nodes(nodes), Some(primary)) if nodes.contains(primary) => {
            self::primary(ask, seen, Because::Asked)
        }
        (Place::Anywhere | Place::Nodes(_), _) if ask.fallback == Fallback::Primary => {
            primary(ask, seen, Because::NoFreshReplica)
        }
        _ => Decision { to: Target::Nobody, because: Because::NoFreshReplica },
    }
}

/// Why the read goes to this replica.
fn reason(ask: &Ask<'_>, node: &NodeView) -> Because {
    match ask.place {
        Place::Nodes(_) => Because::Asked,
        _ if node.near => Because::FreshReplica,
        _ => Because::FarReplica,
    }
}

/// Waiting may help a read that no replica may answer now: there are replicas at all.
pub fn may_wait_for_replica(ask: &Ask<'_>, seen: &Snapshot) -> bool {
    ask.wants == Wants::Read && seen.nodes.iter().any(|node| bar(ask, node).is_none())
}

/// What keeps this node from answering a read now, for people who ask.
pub fn why_not(ask: &Ask<'_>, node: &NodeView, now: Instant) -> Option<Obstacle> {
    obstacle(ask, node, now.checked_sub(ask.max_staleness))
}

fn primary(ask: &Ask<'_>, seen: &Snapshot, because: Because) -> Decision {
    match seen.primary {
        Some(id) if !ask.avoid.contains(id) => Decision { to: Target::Node(id), because },
        _ => Decision { to: Target::Nobody, because: Because::NoPrimary },
    }
}

/// The eligible replica with the least work for its weight, a near one before the others. Equals
/// share by weight, in turns.
fn replica<'a>(ask: &Ask<'_>, seen: &'a Snapshot, now: Instant) -> Option<&'a NodeView> {
    let oldest = now.checked_sub(ask.max_staleness);
    let eligible = |node: &&NodeView| obstacle(ask, node, oldest).is_none();
    // The loads change under our feet: one that is read twice may differ, which at worst makes
    // another eligible node win.
    let mut best: Option<(&NodeView, u32)> = None;
    let mut equals_weight = 0_u64;
    for node in seen.nodes.iter().filter(eligible) {
        let work = node.load.outstanding();
        match best.map(|(least, least_work)| compare(work, node, least_work, least)) {
            None | Some(std::cmp::Ordering::Less) => {
                best = Some((node, work));
                equals_weight = share(node);
            }
            Some(std::cmp::Ordering::Equal) => equals_weight += share(node),
            Some(std::cmp::Ordering::Greater) => {}
        }
    }
    let (least, work) = best?;
    let mut turn = u64::from(ask.tie) % equals_weight.max(1);
    for node in seen.nodes.iter().filter(eligible) {
        if compare(node.load.outstanding(), node, work, least).is_eq() {
            match turn.checked_sub(share(node)) {
                None => return Some(node),
                Some(rest) => turn = rest,
            }
        }
    }
    Some(least)
}

/// Less: it goes before the other. Compares work per weight without a division.
fn compare(work: u32, node: &NodeView, than: u32, other: &NodeView) -> std::cmp::Ordering {
    let mine = u64::from(work) * share(other);
    other.near.cmp(&node.near).then_with(|| mine.cmp(&(u64::from(than) * share(node))))
}

/// A node without a share of reads gets those that ask for it by name.
fn share(node: &NodeView) -> u64 {
    u64::from(node.weight.max(1))
}

#[cfg(test)]
mod tests;
