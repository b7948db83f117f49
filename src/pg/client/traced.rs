//! A client's transactions in traces, where they are wanted.

use super::{Client, Leaving};
use crate::dispatch::{LastRoute, Party, Traced};
use crate::pg::refuse;
use crate::pg::session::Tx;
use crate::pg::session::batch::Item;
use crate::pg::wire::{self, HEADER};
use crate::refusal::Refusal;
use crate::spans;
use crate::sql;

impl Client {
    /// The batch is part of the transaction that is traced, or begins one. A prepared statement
    /// says what it said when it was prepared.
    #[cold]
    pub(super) fn trace_batch(&mut self) {
        let mut traced = match self.traced.take() {
            Some(traced) => traced,
            None => {
                (self.session.fault, self.session.rows) = (None, Some(0));
                let route = self.node.and_then(|_| *self.entry.last_route.lock());
                Box::new(Traced::begin(&self.cluster.tracer, route))
            }
        };
        if self.session.tx != Tx::Failed {
            // What failed before was undone.
            self.session.fault = None;
        }
        let readable = !self.session.reads_strings_differently();
        let mut rest = &self.input[..];
        for frame in &self.batch.frames {
            let (this, next) = rest.split_at(frame.here.min(rest.len()));
            rest = next;
            let text = match &frame.item {
                Item::Query(_) => this.get(HEADER..).and_then(wire::cstr).map(|(text, _)| text),
                Item::Bind { statement, .. } => statement.as_ref().map(|s| s.query()),
                _ => continue,
            };
            let shape = || text.filter(|_| readable).and_then(sql::printed_shape);
            traced.add(text.and_then(spans::context_of), shape);
        }
        self.traced = Some(traced);
    }

    /// Its transaction goes to this node.
    pub(super) fn trace_route(&mut self, route: LastRoute) {
        if let Some(traced) = &mut self.traced {
            traced.route = Some(route);
        }
    }

    pub(super) fn trace_retry(&mut self) {
        if let Some(traced) = &mut self.traced {
            traced.retries += 1;
        }
    }

    pub(super) fn trace_refused(&mut self, refusal: &Refusal) {
        if let Some(traced) = &mut self.traced {
            traced.failure = Some(refuse::sqlstate(refusal).to_owned());
        }
    }

    /// The transaction is over when nothing of it is open any more.
    #[cold]
    pub(super) fn trace_end(&mut self) {
        if self.session.tx == Tx::Idle && !self.flow.open && !self.skipping {
            self.end_trace();
        }
    }

    /// The client leaves in the middle of it.
    #[cold]
    pub(super) fn trace_left(&mut self, leaving: &Leaving) {
        match leaving {
            Leaving::Refused(refusal) => self.trace_refused(refusal),
            Leaving::Gone | Leaving::Told => {
                if let Some(traced) = &mut self.traced {
                    traced.failure.get_or_insert_with(|| "disconnected".into());
                }
            }
        }
        self.end_trace();
    }

    fn end_trace(&mut self) {
        let Some(mut traced) = self.traced.take() else { return };
        traced.rows = self.session.rows.take();
        let fault = self.session.fault.take();
        if let (None, Some(code)) = (&traced.failure, fault) {
            traced.failure = Some(String::from_utf8_lossy(&code).into_owned());
        }
        let (user, database) = (&*self.entry.user, &*self.entry.database);
        let party = Party { system: "postgresql", user, database };
        self.cluster.end_trace(*traced, &party);
    }
}
