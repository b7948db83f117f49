//! Spans for a collector of traces, since the start.

use serde::Serialize;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spans {
    /// The collector took them.
    pub sent: u64,
    /// Dropped: too many waited to be sent.
    pub queue_full: u64,
    /// Dropped: the collector was away, or refused them.
    pub refused: u64,
}
