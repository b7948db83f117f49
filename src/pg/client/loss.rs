//! What becomes of a client whose server was lost or could not be had.

use super::{Client, Leaving};
use crate::pg::exchange::Ended;
use crate::pg::refuse;
use crate::pg::session::Tx;
use crate::pg::session::batch::{End, Item};
use crate::pg::wire;
use crate::refusal::Refusal;
use std::sync::Arc;

/// What was under way when an exchange went wrong.
pub(super) struct Loss {
    pub(super) node: Arc<str>,
    pub(super) was: refuse::Circumstances,
    /// The batch had no end yet.
    pub(super) open: bool,
    /// Bytes of its last frame that were still to come.
    pub(super) tail: usize,
}

impl Client {
    /// The node gave up its reign: nothing that it still says reaches a client.
    pub(in crate::pg) fn is_of_the_past(&self) -> bool {
        self.node.is_some_and(|node| self.cluster.is_deposed(node))
    }

    /// Nobody waits for a node that gave up its reign; and a read that another node can answer
    /// does not wait for one that is not reached any more.
    pub(in crate::pg) fn waits_in_vain(&self) -> bool {
        if self.is_of_the_past() {
            return true;
        }
        let Some(node) = self.node.filter(|_| self.flow.inbound.hope.is_elsewhere()) else {
            return false;
        };
        self.cluster.is_replaceable(node)
    }

    /// An exchange went wrong: what the client is told, and whether it can stay.
    pub(super) fn after(&mut self, ended: Ended) -> Result<(), Leaving> {
        let loss = self.size_up(&ended);
        self.break_it(ended, loss)
    }

    /// What was under way; who has to know of it does.
    pub(super) fn size_up(&mut self, ended: &Ended) -> Loss {
        let node = self.node.map_or_else(|| "?".into(), |node| self.cluster.node_name(node));
        tracing::debug!(client = self.entry.id, node = &*node, ?ended, "an exchange broke");
        if let (Ended::ServerLost(_), Some(node)) = (ended, self.node) {
            self.cluster.monitor.report_failure(node, "connection lost");
        }
        let gone = matches!(ended, Ended::ClientLeft | Ended::Killed);
        if gone && !self.owed.is_empty() {
            self.engine.cancel_abandoned(&self.cluster, self.entry.shared());
        }
        if let Ended::Desync(desync) = ended {
            tracing::warn!(node = &*node, %desync, "a server connection is closed");
            self.cluster.counters.desyncs.increment();
        }
        let (was, open, tail) = (self.circumstances(ended), self.flow.open, self.flow.tail);
        Loss { node, was, open, tail }
    }

    pub(super) fn circumstances(&self, ended: &Ended) -> refuse::Circumstances {
        let in_transaction = self.session.tx != Tx::Idle || self.owed.any_begin();
        let commits = !in_transaction || self.owed.any_commit();
        refuse::Circumstances {
            delivered: self.flow.delivered,
            inside_frame: self.flow.inbound.is_inside_frame(),
            may_have_committed: self.flow.writing
                && commits
                && !self.owed.is_empty()
                && !self.session.copying,
            // What follows belongs to the transaction: it must not run outside of it.
            pinned: self.session.pin.is_some()
                || (in_transaction && !matches!(ended, Ended::Unreplicated)),
        }
    }

    pub(super) fn break_it(&mut self, ended: Ended, loss: Loss) -> Result<(), Leaving> {
        let killed = matches!(ended, Ended::Killed) && !loss.was.inside_frame;
        self.session.abandon(&mut self.owed);
        self.drop_server();
        match refuse::after(ended, loss.node, loss.was) {
            _ if killed => Err(Leaving::Refused(self.engine.gate.farewell())),
            Err(leaving) => Err(leaving),
            Ok(refusal) => {
                self.flow.tail = loss.tail;
                self.skipping = loss.open;
                self.say_refused(&refusal);
                Ok(())
            }
        }
    }

    /// The same before anything of the batch was sent: nobody carries it out any more.
    pub(super) fn after_unsent(&mut self, ended: Ended) -> Result<(), Leaving> {
        self.flow.writing = false;
        self.flow.open = self.batch.end != Some(End::Ready);
        self.forget_batch();
        self.after(ended)
    }

    /// While idle: the server connection that a pinned or open session holds has ended.
    pub(super) fn server_ended(&mut self, ended: Ended) -> Leaving {
        let node = self.node.map_or_else(|| "?".into(), |node| self.cluster.node_name(node));
        self.drop_server();
        let was = refuse::Circumstances { pinned: true, ..refuse::Circumstances::default() };
        refuse::after(ended, node, was).map_or_else(|leaving| leaving, Leaving::Refused)
    }

    /// No server for this batch: it is answered with an error, and the session goes on.
    pub(super) fn turn_down(&mut self, refusal: &Refusal) -> Result<(), Leaving> {
        self.cluster.counters.refused.with(refuse::sqlstate(refusal)).increment();
        self.skipping = self.batch.end != Some(End::Ready);
        self.forget_batch();
        self.say_refused(refusal);
        Ok(())
    }

    /// Nobody carries out what is planned; the rest of its last frame is not listened to.
    fn forget_batch(&mut self) {
        self.session.undo(&self.batch.frames);
        self.flow.tail = self.batch.frames.last().map_or(0, |frame| frame.later);
        self.drop_batch();
    }

    /// After an error inside a batch: up to its Sync nothing is done.
    pub(super) fn skip_batch(&mut self) {
        self.skipping = !self.batch.frames.last().is_some_and(|f| matches!(f.item, Item::Sync));
        self.forget_batch();
        if !self.skipping {
            wire::put_ready(&mut self.output, self.session.tx.status());
        }
    }

    pub(super) fn say_refused(&mut self, refusal: &Refusal) {
        self.trace_refused(refusal);
        refuse::put(&mut self.output, refusal, refuse::Severity::Error);
        if !self.skipping {
            wire::put_ready(&mut self.output, self.session.tx.status());
        }
    }
}

impl Ended {
    pub(super) fn may_retry(&self) -> bool {
        matches!(self, Ended::Retry(_) | Ended::Fatal(_) | Ended::ServerLost(_))
    }
}
