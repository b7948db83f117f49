//! Taking back what a message did to the session's prepared statements when the server did not
//! carry it out: it failed, or stood behind one that did.

use super::batch::Planned;
use super::owed::{Owed, Queue};
use super::{Backend, Named, Names, Session};
use crate::pg::statement::{OnServer, Slot, Statement};
use crate::sql::{Analysis, Step};
use std::sync::Arc;

/// What was there before a message. Several are taken back last first.
#[derive(Clone, Debug)]
pub enum Undo {
    /// The statement of this name; the empty name is the unnamed one.
    Name {
        name: Box<[u8]>,
        was: Option<Arc<Statement>>,
    },
    All(Box<Forgotten>),
}

/// What DEALLOCATE ALL and DISCARD ALL forget.
#[derive(Clone, Debug, Default)]
pub struct Forgotten {
    named: Names,
    /// Filled when the message is sent.
    pub on_server: OnServer,
}

fn take_back_name(names: &mut Names, name: Box<[u8]>, was: Option<Arc<Statement>>, number: u64) {
    match was {
        Some(statement) => drop(names.insert(name, Named { statement, seen: true, number })),
        None => drop(names.remove(&name)),
    }
}

impl Session {
    /// Forgets what the execution of a statement with these effects will deallocate.
    pub(super) fn forget(&mut self, by: &Analysis) -> Option<Undo> {
        if self.tx == super::Tx::Failed {
            return None;
        }
        match by.steps.first()? {
            Step::Deallocate(name) => {
                let (name, was) = self.named.remove_entry(name.as_bytes())?;
                Some(Undo::Name { name, was: Some(was.statement) })
            }
            Step::DeallocateAll | Step::DiscardAll => {
                let named = std::mem::take(&mut self.named);
                Some(Undo::All(Box::new(Forgotten { named, ..Forgotten::default() })))
            }
            _ => None,
        }
    }

    pub(super) fn take_back(&mut self, undo: Undo, backend: Option<&mut Backend>) {
        match undo {
            Undo::Name { name, was } if name.is_empty() => self.unnamed = was,
            Undo::Name { name, was } => take_back_name(&mut self.named, name, was, self.numbers),
            Undo::All(forgotten) => {
                self.named = forgotten.named;
                if let Some(backend) = backend {
                    backend.prepared = forgotten.on_server;
                    backend.prepared.unnamed = None;
                }
            }
        }
    }

    /// The named statements as they were before these frames were planned.
    pub(super) fn names_before(&self, frames: &[Planned]) -> Names {
        let mut names = self.named.clone();
        for undo in frames.iter().rev().filter_map(|frame| frame.item.undo()) {
            match undo {
                Undo::Name { name, .. } if name.is_empty() => {}
                Undo::Name { name, was } => take_back_name(&mut names, name, was, self.numbers),
                Undo::All(forgotten) => names = forgotten.named,
            }
        }
        names
    }

    /// An entry that the server did not carry out; `before`: how many such stood before it.
    pub(super) fn failed(&mut self, before: usize, entry: Owed, backend: &mut Backend) {
        match entry {
            Owed::Parse { slot, undo, .. } => {
                match slot {
                    Slot::Shared(id) => backend.prepared.remove(id),
                    Slot::Unnamed { was } => {
                        backend.prepared.unnamed = was.filter(|_| before > 0);
                    }
                    Slot::Private => backend.prepared.lacking = true,
                    Slot::Other => {}
                }
                match undo {
                    // The Parse that failed destroyed the unnamed statement first.
                    Some(Undo::Name { name, .. }) if before == 0 && name.is_empty() => {
                        self.unnamed = None;
                    }
                    Some(undo) => self.take_back(undo, Some(backend)),
                    None => {}
                }
            }
            Owed::Close { slot, undo, .. } => {
                if let Some(undo) = undo {
                    self.take_back(undo, Some(backend));
                }
                match slot {
                    Slot::Shared(id) => backend.prepared.keep(id),
                    Slot::Unnamed { was } => backend.prepared.unnamed = was,
                    Slot::Private | Slot::Other => {}
                }
            }
            Owed::Query { undo, unnamed, .. } => {
                backend.prepared.unnamed = unnamed;
                if let Some(undo) = undo {
                    self.take_back(undo, Some(backend));
                }
            }
            Owed::Execute { undo: Some(undo), .. } | Owed::Say(_, Some(undo)) => {
                self.take_back(undo, Some(backend));
            }
            _ => {}
        }
    }

    /// The server is gone and the client is told that nothing of this was done.
    pub fn abandon(&mut self, owed: &mut Queue) {
        let mut nobody = Backend::default();
        owed.fail(|before, entry| self.failed(before, entry, &mut nobody));
    }
}
