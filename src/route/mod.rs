//! Where a statement goes, and why: pure functions over what is asked and what is seen.

mod choose;
mod eligible;
mod reason;
mod rules;
mod wish;

pub use choose::{may_wait_for_replica, route, why_not};
pub use eligible::{Obstacle, holds_for};
pub use rules::{Caller, OwnRules, Rule};
pub use wish::{PLACE_WORDS, Place, Places, Wish};

use crate::sql::Why;
use crate::topology::{NodeId, NodeSet, Position};
use std::time::{Duration, Instant};

/// What a read is promised, the weakest first. See ARCHITECTURE.md, "Freshness".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consistency {
    /// Any healthy replica of this history.
    Eventual,
    /// A replica whose staleness is within `max_staleness`.
    Bounded,
    /// Such a replica that misses nothing of what the session did and saw.
    Session,
    /// A replica that misses nothing that was acknowledged before the read arrived.
    Strong,
    /// Never a replica.
    Primary,
}

impl Consistency {
    pub const ALL: [Consistency; 5] = [
        Consistency::Eventual,
        Consistency::Bounded,
        Consistency::Session,
        Consistency::Strong,
        Consistency::Primary,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Consistency::Eventual => "eventual",
            Consistency::Bounded => "bounded",
            Consistency::Session => "session",
            Consistency::Strong => "strong",
            Consistency::Primary => "primary",
        }
    }

    pub fn parse(name: &str) -> Option<Consistency> {
        Consistency::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub consistency: Consistency,
    pub max_staleness: Duration,
    /// How long a read may wait for a replica to become fresh enough.
    pub read_wait: Duration,
    pub fallback: Fallback,
    pub rules: Vec<Rule>,
}

/// What becomes of a read that no replica may answer within `read_wait`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    Primary,
    /// It waits on, as long as it may wait for a server connection.
    Wait,
    Error,
}

/// What a session knows already; what it reads next must not be older.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// When the primary last answered it.
    pub primary: Option<Instant>,
    /// The replica that answered it since, and when that was.
    pub replica: Option<(NodeId, Instant)>,
}

impl Known {
    /// A node answered at `at`: `is_primary` or a replica.
    pub fn answered(&mut self, node: NodeId, is_primary: bool, at: Instant) {
        match is_primary {
            true => *self = Known { primary: Some(at), replica: None },
            false => self.replica = Some((node, at)),
        }
    }

    /// When any node last answered it.
    pub fn last(&self) -> Option<Instant> {
        self.primary.max(self.replica.map(|(_, at)| at))
    }
}

/// What is asked for: one batch or one transaction.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub wants: Wants,
    pub place: Place,
    pub consistency: Consistency,
    pub max_staleness: Duration,
    pub known: Known,
    /// The session's last answer was that of its own write, which is here: whoever has it has all
    /// that the session did and saw before.
    pub wrote: Option<&'a Position>,
    /// A position that it must see, which came from another session.
    pub after: Option<&'a Position>,
    /// When the read arrived.
    pub arrived: Instant,
    /// Nodes that already failed this very statement.
    pub avoid: NodeSet,
    /// What to do when no replica is fresh enough. Who may still wait asks with `Wait` first,
    /// and with the settings' own fallback when the wait is over.
    pub fallback: Fallback,
    /// Decides between equals: a counter that grows with each ask spreads them evenly.
    pub tie: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// May be answered by a replica.
    Read,
    /// Needs the primary, for this reason.
    Primary(Why),
}

/// A verdict with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub to: Target,
    pub because: Because,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Node(NodeId),
    /// Nobody can take it now; wait for the next snapshot, as long as the settings allow.
    Nobody,
}

/// Why a decision fell: one word for the log, the metric label, the console and the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Because {
    /// A read on the least loaded replica that is fresh enough.
    FreshReplica,
    /// The same, in another zone, because none of this one is fresh enough.
    FarReplica,
    /// The statement needs the primary; the reason came from the classifier.
    Statement(Why),
    /// Where its user wants it.
    Asked,
    /// No replica is fresh enough.
    NoFreshReplica,
    /// No node is known to be the primary.
    NoPrimary,
}
