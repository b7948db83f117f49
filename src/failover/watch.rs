//! What the monitor's snapshots say about the standbys, put together over time.

use super::decide::Witness;
use super::term::{Name, Record};
use crate::topology::{Lsn, Snapshot};
use std::collections::BTreeMap;
use std::time::Instant;

/// The memory of what was seen of each standby.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: BTreeMap<Name, Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    received: Option<Lsn>,
    advanced: Option<Instant>,
    asked: Option<Instant>,
}

impl Watch {
    /// The standbys of the record's history that answer now.
    pub(super) fn witnesses(
        &mut self,
        record: &Record,
        snapshot: &Snapshot,
        now: Instant,
    ) -> Vec<Witness> {
        let mut witnesses = Vec::new();
        for node in snapshot.nodes.iter().filter(|node| node.name != record.primary) {
            let Some(standing) = &node.standing else { continue };
            let Some(feed) = standing.feed.filter(|_| standing.timeline.0 == record.timeline)
            else {
                continue;
            };
            let seen = self.seen.entry(node.name.clone()).or_default();
            if feed.received > seen.received {
                // The first look is no news.
                if seen.received.is_some() {
                    seen.advanced = Some(now);
                }
                seen.received = feed.received;
            }
            witnesses.push(Witness {
                name: node.name.clone(),
                streams: feed.streams,
                advanced: seen.advanced,
                asked: seen.asked,
            });
        }
        witnesses
    }

    /// The standby was told to connect anew, and had dropped its connection at `at`.
    pub(super) fn asked(&mut self, name: &Name, at: Instant) {
        self.seen.entry(name.clone()).or_default().asked = Some(at);
    }

    /// The primary writes again: what was asked does not matter any more.
    pub(super) fn forget_questions(&mut self) {
        self.seen.values_mut().for_each(|seen| seen.asked = None);
    }
}
