//! What a server owes a client: enough of the protocol to know when an answer is complete.

use crate::script::Message;
use crate::support::wire::Frame;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// One frame with this tag, or an error: Parse, Bind, Close.
    One(u8),
    Describe,
    Execute,
    /// ReadyForQuery after a simple query or a function call, whatever comes before it.
    Ready,
    Sync,
    /// CopyDone or CopyFail: not answered, but it ends a COPY that may begin before it.
    CopyEnd,
}

/// The answers that are still to come on one connection, in their order.
#[derive(Debug, Default)]
pub struct Awaited {
    due: VecDeque<Due>,
    /// The server skips everything up to a Sync.
    skipping: bool,
    /// The server reads CopyData and waits for their end.
    copying: bool,
}

impl Awaited {
    pub fn sent(&mut self, message: &Message) {
        if self.copying {
            self.copying = !matches!(message, Message::CopyDone | Message::CopyFail(_));
            return;
        }
        let due = match message {
            Message::Query(_) | Message::Function(..) => Due::Ready,
            Message::Parse { .. } => Due::One(b'1'),
            Message::Bind { .. } => Due::One(b'2'),
            Message::Close(..) => Due::One(b'3'),
            Message::Describe(..) => Due::Describe,
            Message::Execute { .. } => Due::Execute,
            Message::Sync => Due::Sync,
            Message::CopyDone | Message::CopyFail(_) => Due::CopyEnd,
            Message::Flush | Message::CopyData(_) => return,
        };
        if self.skipping && due != Due::Sync {
            return;
        }
        self.skipping = false;
        self.due.push_back(due);
        self.drop_ends();
    }

    /// An end of a COPY outside of a COPY is not answered.
    fn drop_ends(&mut self) {
        while self.due.front() == Some(&Due::CopyEnd) {
            self.due.pop_front();
        }
    }

    pub fn got(&mut self, frame: &Frame) {
        match (frame.tag, self.due.front()) {
            (b'N' | b'S' | b'A', _) | (_, None) => return,
            (b'E', Some(Due::Ready)) => self.copying = false,
            (b'E', _) => {
                self.copying = false;
                let sync = self.due.iter().position(|due| *due == Due::Sync);
                self.due.drain(..sync.unwrap_or(self.due.len()));
                self.skipping = sync.is_none();
            }
            (b'Z', _) => {
                self.copying = false;
                self.due.pop_front();
            }
            (b'G', _) => self.enter_copy(),
            (tag, Some(Due::One(awaited))) if tag == *awaited => drop(self.due.pop_front()),
            (b'T' | b'n', Some(Due::Describe)) => drop(self.due.pop_front()),
            (b'C' | b'I' | b's', Some(Due::Execute)) => drop(self.due.pop_front()),
            _ => {}
        }
        self.drop_ends();
    }

    /// Syncs inside of a COPY are ignored.
    fn enter_copy(&mut self) {
        let end = self.due.iter().position(|due| *due == Due::CopyEnd);
        self.copying = end.is_none();
        let mut at = 0;
        self.due.retain(|due| {
            at += 1;
            let inside = end.is_none_or(|end| at <= end + 1);
            !(inside && matches!(due, Due::Sync | Due::CopyEnd))
        });
    }

    /// Nothing more comes before the client says more.
    pub fn is_complete(&self) -> bool {
        self.copying || self.due.is_empty()
    }
}
