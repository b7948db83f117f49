//! What is asked of a server when a statement is over, and the way back to the pool.

use super::{Client, Leaving};
use crate::mysql::link::LinkError;
use crate::mysql::registry::Pin;
use crate::mysql::session::asked::Asked;
use crate::mysql::session::command::Head;
use crate::mysql::wire::command::Command;
use crate::mysql::wire::reply::Kind;
use std::sync::atomic::Ordering;

impl Client {
    /// The server goes back to its pool when the session does not need it.
    pub(super) async fn let_go(&mut self) -> Result<(), Leaving> {
        if self.session.keeps || self.link.is_none() {
            return Ok(());
        }
        let asks_id = !self.session.inserted.is_empty() && self.session.may_leave();
        if self.relay.failed || asks_id {
            // Boxed: it is rare, and its state would make every idle client larger.
            let settled = Box::pin(self.settle()).await;
            self.relay.failed = false;
            if settled.is_err() {
                return self.lost_while_settling();
            }
        }
        // Somebody may ask for what the last statement left.
        let is_asked = self.pools.asks.load(Ordering::Relaxed) && self.session.has_run;
        if self.session.may_leave() && !is_asked {
            self.give_back();
        }
        Ok(())
    }

    /// A replica has refused to write: what it said is not the client's, and the session is not
    /// there any more.
    pub(super) async fn leave_replica(&mut self) -> Result<(), Leaving> {
        let settled = Box::pin(self.settle()).await;
        self.relay.failed = false;
        match settled {
            Ok(()) if self.session.may_leave() => self.give_back(),
            Ok(()) => {}
            Err(_) => return self.lost_while_settling(),
        }
        Ok(())
    }

    /// An ERR packet does not tell in which state the session is: a PING does. And what was
    /// inserted has a number that this session alone knows.
    async fn settle(&mut self) -> Result<(), LinkError> {
        let Some(lease) = &mut self.link else { return Ok(()) };
        let limit = lease.pool().settings().connect_timeout;
        let link = &mut lease.link;
        if self.relay.failed {
            let ping = tokio::time::timeout(limit, link.command(Command::Ping, b""));
            ping.await.unwrap_or(Err(LinkError::Silent))?;
            self.session.status = link.status;
            self.session.hear_track(&std::mem::take(&mut link.told))?;
        }
        if !self.session.inserted.is_empty() && self.session.may_leave() {
            let asked = tokio::time::timeout(limit, link.query("SELECT LAST_INSERT_ID()"));
            let rows = asked.await.unwrap_or(Err(LinkError::Silent))?;
            let id = rows.first().and_then(|row| row.first()?.as_deref());
            let id = id.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            let id = id.unwrap_or(0);
            let before = std::mem::replace(&mut lease.last_insert_id, id);
            self.session.learn_id(before, id);
        }
        Ok(())
    }

    /// The answer is with the client already; what the session had there is gone.
    fn lost_while_settling(&mut self) -> Result<(), Leaving> {
        if self.session.may_leave() {
            self.forget_server();
            return Ok(());
        }
        Err(self.server_hung_up())
    }

    fn give_back(&mut self) {
        let killed = self.unlink();
        let Some(mut lease) = self.link.take() else { return };
        lease.entry.client.store(0, Ordering::Relaxed);
        lease.entry.prepared.store(lease.prepared.len() as u64, Ordering::Relaxed);
        lease.variables = self.session.tracked.variables.clone();
        let schema = self.session.tracked.schema.take();
        if let Some(schema) = schema.filter(|schema| **schema != *self.pools.database) {
            lease.strayed = true;
            self.move_to(&schema);
        }
        if !killed && !lease.is_lost_to_its_pool() {
            lease.give_back();
        }
    }

    /// From now on the session is like one that logged in to this schema.
    fn move_to(&mut self, schema: &str) {
        self.key.database = Some(schema.into());
        self.pools = self.cluster.pools_like(&self.pools, self.key.clone());
        self.entry.identity.lock().database = self.pools.database.clone();
    }

    /// COM_RESET_CONNECTION on a connection that the session holds.
    pub(super) async fn reset(&mut self, head: Head) -> Result<(), Leaving> {
        self.perform(head, Some(Kind::Ok), Asked::default()).await?;
        if self.relay.failed {
            return Ok(());
        }
        self.session.reset();
        let Some(lease) = &mut self.link else { return Ok(()) };
        lease.was_reset();
        if !self.session.keeps && !lease.link.is_mariadb {
            // Its character sets are not those of its pool any more.
            self.session.pins.add(Pin::Setting);
        }
        if self.session.keeps {
            return Ok(());
        }
        // From here on it has to tell what changes.
        match Box::pin(self.make_ready(false, false)).await {
            Ok(()) => Ok(()),
            Err(refusal) => Err(Leaving::Refused(refusal)),
        }
    }
}
