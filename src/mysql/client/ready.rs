//! A server connection made like the session's, before a statement of the session runs there.

use super::perform::Job;
use super::{Client, Leaving};
use crate::mysql::link::LinkError;
use crate::mysql::server::Needs;
use crate::refusal::Refusal;
use crate::sql::mysql::Uses;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Client {
    /// A server connection on which what is asked means what it means in this session.
    pub(super) async fn be_linked(&mut self, job: &Job) -> Result<Result<(), Refusal>, Leaving> {
        let fresh = self.link.is_none();
        let uses = job.asked.uses();
        if fresh && let Some(refusal) = self.asks_what_is_gone(uses) {
            return Ok(Err(refusal));
        }
        if fresh && let Err(refusal) = self.find_server(job).await? {
            return Ok(Err(refusal));
        }
        if self.session.keeps {
            return Ok(Ok(()));
        }
        let asks_id =
            uses.has(Uses::LAST_INSERT_ID) && !self.id_is_there && self.session.inserted.is_empty();
        match (fresh, asks_id) {
            (true, _) => Ok(Box::pin(self.make_ready(asks_id, uses.has(Uses::DIAGNOSTICS))).await),
            (false, true) => Ok(Box::pin(self.tell_id()).await),
            (false, false) => Ok(Ok(())),
        }
    }

    /// What belongs to the statement before, and was left with its server connection.
    fn asks_what_is_gone(&mut self, uses: Uses) -> Option<Refusal> {
        let counts = uses.has(Uses::ROW_COUNT | Uses::FOUND_ROWS);
        let asks = counts || uses.has(Uses::DIAGNOSTICS);
        if self.session.keeps || !asks || !self.session.has_run {
            return None;
        }
        // From now on each statement of such clients keeps its server until the next one.
        self.pools.asks.store(true, Ordering::Relaxed);
        // Nobody was warned of anything: that can be said anywhere.
        let known = !counts && !self.session.failed && !self.session.warnings;
        (!known).then(|| {
            Refusal::Unsupported(
                "what belongs to the statement before (ROW_COUNT(), FOUND_ROWS(), warnings) was \
                 given back with its server connection; from now on it is kept for this user and \
                 schema (hint: repeat both statements, or set pool.mode = \"session\")"
                    .into(),
            )
        })
    }

    /// A question to the server, if anything has to be said. A connection that fails is closed.
    pub(super) async fn make_ready(&mut self, asks_id: bool, clears: bool) -> Result<(), Refusal> {
        let Some(node) = self.node else { return Ok(()) };
        let Some(mut lease) = self.link.take() else { return Ok(()) };
        let needs = Needs {
            variables: &self.session.tracked.variables.clone(),
            last_insert_id: asks_id.then_some(self.session.last_insert_id),
            replica: self.cluster.is_replica(node),
            clears,
        };
        let limit = lease.pool().settings().connect_timeout;
        let ready = tokio::time::timeout(limit, lease.make_ready(&needs)).await;
        let ready = ready.unwrap_or(Err(LinkError::Silent));
        self.link = Some(lease);
        self.id_is_there |= asks_id;
        ready.map_err(|error| {
            let node: Arc<str> = self.cluster.node_name(node);
            self.forget_server_before_use();
            let cause = error.to_string();
            match error {
                LinkError::Fault(_) => Refusal::Parameter { node, cause },
                _ => Refusal::ServerUnreachable { node, cause },
            }
        })
    }

    /// The session has its server already, which does not know what it inserted elsewhere.
    async fn tell_id(&mut self) -> Result<(), Refusal> {
        let (Some(node), Some(lease)) = (self.node, &mut self.link) else { return Ok(()) };
        let limit = lease.pool().settings().connect_timeout;
        let statement = format!("SET last_insert_id = {}", self.session.last_insert_id);
        let told = tokio::time::timeout(limit, lease.link.query(&statement)).await;
        self.id_is_there = true;
        lease.last_insert_id = self.session.last_insert_id;
        told.unwrap_or(Err(LinkError::Silent)).map(drop).map_err(|error| {
            let node = self.cluster.node_name(node);
            Refusal::Parameter { node, cause: error.to_string() }
        })
    }

    /// Nothing was asked of it: what the client is owed stays owed.
    fn forget_server_before_use(&mut self) {
        self.unlink();
        self.link = None;
    }
}
