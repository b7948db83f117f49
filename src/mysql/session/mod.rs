//! What is remembered of a client's session, and what its packets mean for it. No I/O.

pub(super) mod command;
pub(super) mod relay;

use super::registry::Pin;
use super::wire::{capability, status};
use crate::route::Known;

/// A client's session.
#[derive(Debug)]
pub(super) struct Session {
    /// What was agreed on with the client.
    pub(super) capabilities: u32,
    /// The collation's number of its login.
    pub(super) collation: u8,
    /// The server's flags as they were told last.
    pub(super) status: u16,
    pub(super) known: Known,
    pub(super) pin: Pin,
}

impl Session {
    pub(super) fn new(capabilities: u32, collation: u8, status: u16) -> Session {
        let (known, pin) = (Known::default(), Pin::Mode);
        Session { capabilities, collation, status, known, pin }
    }

    /// Answers differ from what our connections to servers give.
    fn needs_translation(&self) -> bool {
        const OURS: u32 = capability::DEPRECATE_EOF | capability::SESSION_TRACK;
        self.capabilities & OURS != OURS
    }

    fn expects_eof(&self) -> bool {
        self.capabilities & capability::DEPRECATE_EOF == 0
    }

    /// A transaction is open, or will be with the next statement.
    pub(super) fn in_transaction(&self) -> bool {
        self.status & status::IN_TRANS != 0
    }
}
