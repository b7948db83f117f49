//! The record of owed replies: what the server still has to answer, in order, and what becomes
//! of each answer. A frame that nobody is owed means that the two sides no longer agree.

use super::undo::Undo;
use crate::pg::statement::{Slot, Statement};
use crate::sql::{Analysis, Step};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// One message that was sent to the server, or an answer that we give in its stead.
#[derive(Debug)]
pub enum Owed {
    /// Parse into `slot`. `ours`: injected, the client never asked for it.
    Parse {
        ours: bool,
        slot: Slot,
        undo: Option<Undo>,
    },
    /// Parse under a name that the client has given already: it fails.
    Duplicate(Box<[u8]>),
    Bind,
    /// Describe of a statement or a portal: (ParameterDescription) RowDescription | NoData.
    Describe,
    /// Describe of a statement whose types are to be what they were. `ours`: injected.
    Types {
        ours: bool,
        statement: Arc<Statement>,
        types: Vec<u8>,
    },
    /// It fails, because the types of a statement are not what the client was told.
    Stale,
    /// Execute; with the analysis of its statement when that has an effect on the session.
    Execute {
        effect: Option<Arc<Analysis>>,
        undo: Option<Undo>,
    },
    Close {
        ours: bool,
        slot: Slot,
        undo: Option<Undo>,
    },
    Sync,
    /// A Sync that the client never asked for.
    OurSync,
    /// A simple query; `step` counts its statements that are done. It destroys the unnamed
    /// statement, the client's (`undo`) and the server's (`unnamed`), unless it is skipped.
    Query {
        analysis: Arc<Analysis>,
        step: usize,
        undo: Option<Undo>,
        unnamed: Option<u64>,
    },
    /// Our own simple query ahead of the client's work; its answers are swallowed.
    Replay,
    /// A BEGIN or ROLLBACK of ours, of a transaction that the client is in.
    Transaction,
    Function,
    /// Our question for the transaction's number; so many of its Closes are not answered.
    CommitsAs {
        open: u8,
    },
    /// Bytes that the client gets from us at this place.
    Say(Bytes, Option<Undo>),
    /// CopyDone or CopyFail, sent before it is known whether an Execute starts a COPY.
    CopyEnd,
}

/// Owed replies of one server connection, oldest first.
#[derive(Debug, Default)]
pub struct Queue {
    entries: VecDeque<Owed>,
    /// The server skips everything until the next Sync.
    skipping: bool,
}

impl Queue {
    pub fn push(&mut self, owed: Owed) {
        match (&owed, self.skipping) {
            (Owed::Sync | Owed::OurSync, true) => self.skipping = false,
            (_, true) => return,
            (_, false) => {}
        }
        self.entries.push_back(owed);
    }

    pub fn head(&mut self) -> Option<&mut Owed> {
        self.entries.front_mut()
    }

    pub fn pop(&mut self) -> Option<Owed> {
        self.entries.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Owed> {
        self.entries.iter()
    }

    /// An error was answered: what stands before the next Sync will not be.
    /// `undo` sees every entry that fails or is skipped, the last one first, and how many stand
    /// before it.
    pub fn fail(&mut self, mut undo: impl FnMut(usize, Owed)) {
        let is_sync = |entry: &Owed| matches!(entry, Owed::Sync | Owed::OurSync);
        let sync = self.entries.iter().position(is_sync);
        let dropped = self.entries.drain(..sync.unwrap_or(self.entries.len()));
        dropped.enumerate().rev().for_each(|(at, entry)| undo(at, entry));
        self.skipping = sync.is_none();
    }

    /// What failed is of ours, and nothing of the client's stands before the next Sync.
    pub fn fails_apart(&self) -> bool {
        let ours = |entry: &&Owed| {
            matches!(
                entry,
                Owed::Parse { ours: true, .. }
                    | Owed::Close { ours: true, .. }
                    | Owed::Types { ours: true, .. }
            )
        };
        let before = self.entries.iter().take_while(ours).count();
        before > 0 && matches!(self.entries.get(before), Some(Owed::OurSync))
    }

    /// The server entered COPY IN by an Execute: it ignores the Syncs that were sent since.
    /// True when the end of the COPY was sent already, too.
    pub fn enter_copy(&mut self) -> bool {
        let end = self.entries.iter().position(|entry| matches!(entry, Owed::CopyEnd));
        let mut at = 0;
        self.entries.retain(|entry| {
            at += 1;
            let inside = end.is_none_or(|end| at <= end + 1);
            !(inside && matches!(entry, Owed::Sync | Owed::CopyEnd))
        });
        end.is_some()
    }

    /// An Execute is not answered yet, and so may turn out to be a COPY.
    pub fn may_enter_copy(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry, Owed::Execute { .. }))
    }

    /// Takes off the front what needs no word of the server.
    pub fn said(&mut self) -> Option<Bytes> {
        while let Some(Owed::CopyEnd) = self.entries.front() {
            self.entries.pop_front();
        }
        match self.entries.pop_front() {
            Some(Owed::Say(bytes, _)) => Some(bytes),
            Some(other) => {
                self.entries.push_front(other);
                None
            }
            None => None,
        }
    }

    /// The server has nothing to say, and yet something is owed.
    pub fn is_ours_alone(&self) -> bool {
        let ours = |entry: &Owed| matches!(entry, Owed::Say(..) | Owed::CopyEnd);
        !self.entries.is_empty() && self.entries.iter().all(ours)
    }

    /// A COMMIT is among what is not answered yet.
    pub fn any_commit(&self) -> bool {
        self.any(|step| matches!(step, Step::Commit { .. }))
    }

    /// A BEGIN is among what is not answered yet.
    pub fn any_begin(&self) -> bool {
        self.any(|step| matches!(step, Step::Begin { .. }))
    }

    fn any(&self, wanted: impl Fn(&Step) -> bool) -> bool {
        let has = |a: &Analysis| a.steps.iter().any(&wanted);
        self.entries.iter().any(|entry| match entry {
            Owed::Query { analysis, .. } => has(analysis),
            Owed::Execute { effect, .. } => effect.as_deref().is_some_and(has),
            _ => false,
        })
    }

    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.skipping = false;
        if self.entries.capacity() > 64 {
            self.entries = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_drops_what_is_owed_up_to_the_next_sync() {
        let mut queue = Queue::default();
        queue.push(Owed::Bind);
        queue.push(Owed::Execute { effect: None, undo: None });
        queue.push(Owed::Sync);
        queue.push(Owed::Bind);
        let mut undone = 0;
        queue.fail(|_, _| undone += 1);
        assert_eq!(undone, 2);
        assert!(matches!(queue.pop(), Some(Owed::Sync)));
        assert!(matches!(queue.pop(), Some(Owed::Bind)));
    }

    #[test]
    fn without_a_sync_the_server_skips_until_one_is_sent() {
        let mut queue = Queue::default();
        queue.push(Owed::Bind);
        queue.fail(|_, _| {});
        queue.push(Owed::Execute { effect: None, undo: None });
        assert!(queue.is_empty() && queue.is_skipping());
        queue.push(Owed::Sync);
        assert!(matches!(queue.pop(), Some(Owed::Sync)));
        assert!(!queue.is_skipping());
    }
}
