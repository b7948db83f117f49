//! A client's transactions in traces, where they are wanted.

use super::{Client, Leaving};
use crate::dispatch::{LastRoute, Party, Traced};
use crate::mysql::refuse;
use crate::mysql::session::asked::{Asked, Work};
use crate::mysql::session::command::{Head, Plan};
use crate::refusal::Refusal;
use crate::spans;
use crate::sql::mysql::printed_shape;

impl Client {
    /// The command is part of the transaction that is traced, or begins one. A prepared statement
    /// says what it said when it was prepared; what only prepares or fetches is part of no other.
    #[cold]
    pub(super) fn trace_command(&mut self, head: Head, asked: &Asked) {
        let known = self.traced.take();
        let text = match (&asked.work, head.plan) {
            (Work::Execution(_, statement), _) => &statement.content.text[..],
            (_, Plan::Query) => self.text(head),
            _ => {
                self.traced = known;
                return;
            }
        };
        let modes = self.session.modes();
        let mut traced = known.unwrap_or_else(|| {
            let route = self.node.and_then(|_| *self.entry.last_route.lock());
            Box::new(Traced::begin(&self.cluster.tracer, route))
        });
        // What failed before was undone by itself.
        traced.failure = None;
        traced.add(spans::context_of(text), || printed_shape(text, modes));
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
        self.trace_failure(refuse::words(refusal).code);
    }

    /// By the number of the error.
    pub(super) fn trace_failure(&mut self, code: u16) {
        if let Some(traced) = &mut self.traced {
            traced.failure = Some(code.to_string());
        }
    }

    /// The transaction is over when nothing of it is open any more.
    #[cold]
    pub(super) fn trace_end(&mut self) {
        if !self.session.in_transaction() {
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
        let Some(traced) = self.traced.take() else { return };
        let identity = self.entry.identity.lock().clone();
        let system = self.cluster.flavour.name();
        let party = Party { system, user: &identity.user, database: &identity.database };
        self.cluster.end_trace(*traced, &party);
    }
}
