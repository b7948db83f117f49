//! What becomes of a client whose server was lost or could not be had.

use super::{Client, Feed, Leaving};
use crate::mysql::exchange::Ended;
use crate::mysql::refuse;
use crate::mysql::registry::Pin;
use crate::mysql::session::command::Head;
use crate::mysql::session::relay::Relay;
use crate::refusal::Refusal;
use bytes::Buf;
use std::sync::Arc;

impl Client {
    /// No server for this command: it is answered with an error, and the session goes on.
    pub(super) fn turn_down(&mut self, head: Head, refusal: &Refusal) -> Result<(), Leaving> {
        self.count(refusal);
        if !head.is_whole {
            // What follows of it could not be told from the next command.
            return Err(Leaving::Refused(refusal.clone()));
        }
        self.input.advance(head.len);
        let sequence = self.relay.next();
        let is_owed = !self.relay.is_answered();
        self.relay = Relay::default();
        if is_owed {
            refuse::put(&mut self.output, sequence, refusal);
        }
        Ok(())
    }

    /// Closes the server connection; the session lives on without it.
    pub(super) fn forget_server(&mut self) {
        self.unlink();
        self.link = None;
        self.feed = Feed::default();
        self.relay = Relay::default();
    }

    fn count(&mut self, refusal: &Refusal) {
        self.trace_refused(refusal);
        let code = refuse::words(refusal).code.to_string();
        self.cluster.counters.refused.with(&code).increment();
    }

    /// An exchange went wrong: what the client is told, and whether it can stay.
    pub(super) fn after(&mut self, ended: Ended) -> Result<(), Leaving> {
        let node: Arc<str> =
            self.node.map_or_else(|| "?".into(), |node| self.cluster.node_name(node));
        tracing::debug!(client = self.entry.id, node = &*node, ?ended, "an exchange broke");
        let killed = matches!(ended, Ended::Killed);
        let refusal = match ended {
            Ended::Done => return Ok(()),
            Ended::ClientLeft => return Err(Leaving::Gone),
            Ended::Killed => self.engine.gate.farewell(),
            Ended::Desync(error) => {
                tracing::warn!(node = &*node, %error, "a server connection is closed");
                self.cluster.counters.desyncs.increment();
                Refusal::Desynchronised { node, what: error.to_string() }
            }
            Ended::ServerLost(error) => {
                if let Some(id) = self.node {
                    self.cluster.monitor.report_failure(id, "connection lost");
                }
                if self.relay.is_answered() {
                    // The server has said why, and takes no more of what the client still sends.
                    return Err(Leaving::Told);
                }
                match (self.session.in_transaction(), self.relay.delivered) {
                    // It may have been a COMMIT.
                    (_, false) => Refusal::OutcomeUnknown { node },
                    (true, true) => Refusal::ServerLost { node, cause: error.to_string() },
                    (false, true) => Refusal::AnswerCut { node },
                }
            }
        };
        self.count(&refusal);
        if self.relay.is_inside() {
            return Err(Leaving::Told);
        }
        let was_pinned = self.session.pin() != Pin::None || self.session.in_transaction();
        if was_pinned || killed || !self.feed.is_over() {
            return Err(Leaving::Refused(refusal));
        }
        // Nothing of the session was on that connection.
        refuse::put(&mut self.output, self.relay.next(), &refusal);
        self.forget_server();
        Ok(())
    }

    /// While idle: the server connection of the session has ended.
    pub(super) fn server_hung_up(&mut self) -> Leaving {
        let node: Arc<str> =
            self.node.map_or_else(|| "?".into(), |node| self.cluster.node_name(node));
        let told = self.relay.delivered;
        self.unlink();
        self.link = None;
        // Read as the answer to its next command.
        self.relay.begin(None, 0);
        if told {
            return Leaving::Told;
        }
        let cause = "the server closed it while the session was idle".into();
        Leaving::Refused(Refusal::ServerLost { node, cause })
    }
}
