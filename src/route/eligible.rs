//! Whether a replica may answer a read, and if not, why not.

use super::{Ask, Consistency, Place};
use crate::topology::{NodeView, Position, Role};
use std::time::Instant;

/// Why a replica may not answer a read; the first reason that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    NotAReplica,
    /// An operator drained it.
    Drained,
    /// Its share of reads is 0, and nobody asks for it by name.
    NoShare,
    /// The read is to go elsewhere.
    NotWanted,
    /// It failed this very read already.
    Failed,
    /// Unknown freshness is too old for everyone.
    Unknown,
    /// It has not come to the position of `read_after`.
    Position,
    /// Older than `max_staleness`.
    TooOld,
    /// It may miss what the session did.
    OwnWrites,
    /// It may show less than the session has seen.
    StepBack,
    /// It may miss what was acknowledged before the read arrived.
    NotSince,
}

impl Obstacle {
    /// Half a sentence for people: "it …".
    pub fn explain(self) -> &'static str {
        match self {
            Obstacle::NotAReplica => "is no replica",
            Obstacle::Drained => "is drained by an operator",
            Obstacle::NoShare => "has weight 0",
            Obstacle::NotWanted => "is not where the read is to go",
            Obstacle::Failed => "failed this read already",
            Obstacle::Unknown => "is of unknown freshness",
            Obstacle::Position => "has not come to the position of read_after",
            Obstacle::TooOld => "is older than max_staleness",
            Obstacle::OwnWrites => "may miss what this session did",
            Obstacle::StepBack => "may show less than this session has seen",
            Obstacle::NotSince => "may miss what was acknowledged before the read came",
        }
    }
}

/// What keeps `node` from answering; `None`: nothing. Nothing older than `oldest` may be shown.
pub(super) fn obstacle(
    ask: &Ask<'_>,
    node: &NodeView,
    oldest: Option<Instant>,
) -> Option<Obstacle> {
    bar(ask, node).or_else(|| behind(ask, node, oldest))
}

/// What keeps it from answering however fresh it is.
pub(super) fn bar(ask: &Ask<'_>, node: &NodeView) -> Option<Obstacle> {
    if node.role != Role::Replica {
        return Some(Obstacle::NotAReplica);
    }
    if node.drained {
        return Some(Obstacle::Drained);
    }
    match ask.place {
        Place::Nodes(nodes) if !nodes.contains(node.id) => return Some(Obstacle::NotWanted),
        Place::Primary => return Some(Obstacle::NotWanted),
        Place::Anywhere | Place::Replica if node.weight == 0 => return Some(Obstacle::NoShare),
        _ => {}
    }
    ask.avoid.contains(node.id).then_some(Obstacle::Failed)
}

/// Whether what was seen of the node holds for a connection that was opened at this instant.
///
/// A server that starts again shows less than before until it has replayed as much. A connection
/// that lives and was there when the node was asked leads to the server that answered; one that was
/// opened later may lead to the same server started anew.
pub fn holds_for(ask: &Ask<'_>, node: &NodeView, opened: Instant) -> bool {
    let any_age = ask.consistency == Consistency::Eventual && ask.after.is_none();
    any_age || node.role == Role::Primary || node.asked.is_some_and(|asked| asked >= opened)
}

fn behind(ask: &Ask<'_>, node: &NodeView, oldest: Option<Instant>) -> Option<Obstacle> {
    let reaches = |after: &Position| node.position.as_ref().is_some_and(|p| p.reaches(after));
    if !ask.after.is_none_or(reaches) {
        return Some(Obstacle::Position);
    }
    if ask.consistency == Consistency::Eventual {
        return None;
    }
    let Some(fresh) = node.fresh_as_of else { return Some(Obstacle::Unknown) };
    // Before the clock's own beginning nothing is too old.
    let shows = |since: Option<Instant>| since.is_none_or(|since| fresh >= since);
    match ask.consistency {
        Consistency::Eventual => None,
        Consistency::Bounded | Consistency::Session if !shows(oldest) => Some(Obstacle::TooOld),
        Consistency::Bounded => None,
        Consistency::Session if !shows(ask.known.primary) && !ask.wrote.is_some_and(reaches) => {
            Some(Obstacle::OwnWrites)
        }
        Consistency::Session if steps_back(ask, node, shows) => Some(Obstacle::StepBack),
        Consistency::Session => None,
        Consistency::Strong => (!shows(Some(ask.arrived))).then_some(Obstacle::NotSince),
        Consistency::Primary => Some(Obstacle::NotWanted),
    }
}

/// A replica does not go back, unless it was away in between. Another one shows what the last one
/// showed at an instant if it shows what the primary had acknowledged then, which was no less.
fn steps_back(ask: &Ask<'_>, node: &NodeView, shows: impl Fn(Option<Instant>) -> bool) -> bool {
    match ask.known.replica {
        Some((last, at)) if last == node.id && node.away.is_none_or(|away| away < at) => false,
        Some((_, at)) => !shows(Some(at)),
        None => false,
    }
}
