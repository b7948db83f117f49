//! The record of owed replies: what the server still has to answer, in order, and what becomes
//! of each answer. A frame that nobody is owed means that the two sides no longer agree.

use crate::sql::{Analysis, Step};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// One message that was sent to the server, or an answer that we give in its stead.
#[derive(Clone, Debug)]
pub enum Owed {
    /// Parse. `ours`: injected, the client never asked for it.
    Parse {
        ours: bool,
        statement: u64,
        defines: Option<Box<[u8]>>,
    },
    Bind,
    /// Describe of a statement or a portal: (ParameterDescription) RowDescription | NoData.
    Describe,
    /// Execute; with the analysis of its statement when that has an effect on the session.
    Execute {
        effect: Option<Arc<Analysis>>,
    },
    Close {
        ours: bool,
    },
    Sync,
    /// A simple query; `step` counts its statements that are done.
    Query {
        analysis: Arc<Analysis>,
        step: usize,
    },
    /// Our own simple query ahead of the client's work; its answers are swallowed.
    Replay,
    Function,
    /// Bytes that the client gets from us at this place.
    Say(Bytes),
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
            (Owed::Sync, true) => self.skipping = false,
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

    /// The server owes nothing: all that is left comes from us.
    pub fn is_ours_alone(&self) -> bool {
        self.entries.iter().all(|entry| matches!(entry, Owed::Say(_)))
    }

    /// An error was answered: what stands before the next Sync will not be.
    /// `undo` sees every entry that fails or is skipped.
    pub fn fail(&mut self, mut undo: impl FnMut(Owed)) {
        while let Some(entry) = self.entries.front() {
            if matches!(entry, Owed::Sync) {
                return;
            }
            if let Some(entry) = self.entries.pop_front() {
                undo(entry);
            }
        }
        self.skipping = true;
    }

    /// The server entered COPY IN by an Execute: it ignores the Syncs that were already sent.
    pub fn forget_syncs(&mut self) {
        self.entries.retain(|entry| !matches!(entry, Owed::Sync));
    }

    /// A COMMIT is among what is not answered yet.
    pub fn any_commit(&self) -> bool {
        let commits = |a: &Analysis| a.steps.contains(&Step::Commit);
        self.entries.iter().any(|entry| match entry {
            Owed::Query { analysis, .. } => commits(analysis),
            Owed::Execute { effect } => effect.as_deref().is_some_and(commits),
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
        queue.push(Owed::Execute { effect: None });
        queue.push(Owed::Sync);
        queue.push(Owed::Bind);
        let mut undone = 0;
        queue.fail(|_| undone += 1);
        assert_eq!(undone, 2);
        assert!(matches!(queue.pop(), Some(Owed::Sync)));
        assert!(matches!(queue.pop(), Some(Owed::Bind)));
    }

    #[test]
    fn without_a_sync_the_server_skips_until_one_is_sent() {
        let mut queue = Queue::default();
        queue.push(Owed::Bind);
        queue.fail(|_| {});
        queue.push(Owed::Execute { effect: None });
        assert!(queue.is_empty() && queue.is_skipping());
        queue.push(Owed::Sync);
        assert!(matches!(queue.pop(), Some(Owed::Sync)));
        assert!(!queue.is_skipping());
    }
}
