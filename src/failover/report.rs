//! What happened at each change of the primary, for people who ask afterwards.

use super::term::{Kind, Name, Place, Promoted, Term};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Events that are kept; the oldest go first.
pub(super) const KEPT: usize = 50;

/// One step that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub step: String,
    pub millis: u64,
    /// What was observed, or what went wrong.
    pub says: String,
}

/// What a failover may have lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Log that the old primary was last seen to have, beyond the fork.
    pub bytes: u64,
    /// Writes acknowledged earlier than so many milliseconds before the change began are safe.
    /// `None`: it is not known since when.
    pub window_millis: Option<u64>,
}

/// One change of the primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub term: Term,
    pub kind: Kind,
    pub from: Name,
    pub to: Option<Name>,
    pub cause: String,
    /// Seconds since 1970.
    pub began: u64,
    pub steps: Vec<Taken>,
    /// From the first step until writes went on.
    pub held_millis: Option<u64>,
    pub outcome: Outcome,
    pub loss: Option<Loss>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    UnderWay,
    Done,
    GivenUp(String),
}

impl Event {
    pub fn took(&mut self, step: &str, took: Duration, says: String) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.steps.push(Taken { step: step.to_owned(), millis, says });
    }
}

/// What is lost when the old primary had got to `written` and the new timeline begins at the fork.
pub(super) fn loss(
    written: Option<Place>,
    promoted: Promoted,
    window: Option<Duration>,
) -> Option<Loss> {
    let written = written?;
    let bytes = written.lsn.0.saturating_sub(promoted.fork.0);
    let window_millis = window.and_then(|w| u64::try_from(w.as_millis()).ok());
    Some(Loss { bytes, window_millis })
}
