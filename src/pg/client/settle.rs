//! Asks the server what it keeps for a session, before the connection may go to another one.

use super::{Client, Leaving};
use crate::pg::exchange::Ended;
use crate::pg::server::ExchangeError;
use crate::pg::session::proof::Doubt;
use bytes::BytesMut;
use std::io;

impl Client {
    /// One question between two statements of the client. A server that does not answer it is
    /// lost; one that refuses (the session's own `statement_timeout`, say) leaves the doubt.
    pub(super) async fn settle(&mut self, doubt: Doubt) -> Result<(), Leaving> {
        let Some(mut lease) = self.link.take() else { return Ok(()) };
        let limit = lease.pool().settings().connect_timeout;
        let (question, mut aside) = (self.session.question(doubt), BytesMut::new());
        let asked = tokio::time::timeout(limit, lease.ask(&question, &mut aside)).await;
        self.session.pass_on(&aside, &mut self.output);
        let answer = asked.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
        match answer {
            Ok(row) => self.session.settle(&row, &lease.backend),
            Err(ExchangeError::Fault(_)) => self.session.still_doubts(doubt),
            Err(error) => {
                self.link = Some(lease);
                return Err(self.server_ended(Ended::ServerLost(error)));
            }
        }
        self.link = Some(lease);
        Ok(())
    }
}
