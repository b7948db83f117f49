//! One command and its server: found, asked, its answer relayed.

use super::{Client, Feed, Leaving};
use crate::dispatch::{Errand, Found};
use crate::mysql::exchange::{Ended, READ_AHEAD};
use crate::mysql::registry::{ClientState, LastRoute, Target};
use crate::mysql::server::MyConnector;
use crate::mysql::session::command::Head;
use crate::mysql::wire::reply::Kind;
use crate::refusal::Refusal;
use crate::route::Wants;
use crate::sql::Why;
use crate::topology::NodeSet;
use bytes::Buf;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

impl Client {
    /// Has the command at the front of the input carried out by a server.
    pub(super) async fn perform(&mut self, head: Head, kind: Option<Kind>) -> Result<(), Leaving> {
        self.relay.begin(kind, head.sequence);
        if self.link.is_none()
            && let Err(refusal) = self.find_server().await?
        {
            return self.turn_down(head, &refusal);
        }
        self.send_command(head);
        match poll_fn(|cx| self.poll_exchange(cx)).await {
            Ended::Done => Ok(()),
            ended => self.after(ended),
        }
    }

    /// The command's bytes go to the server, as far as they are here.
    fn send_command(&mut self, head: Head) {
        let there = self.input.len().min(head.len);
        if let Some(lease) = &mut self.link {
            lease.link.out.extend_from_slice(&self.input[..there]);
        }
        self.input.advance(there);
        self.feed = Feed { tail: head.len - there, goes_on: head.goes_on, is_file: false };
    }

    /// Leases a server of the primary for this session.
    async fn find_server(&mut self) -> Result<Result<(), Refusal>, Leaving> {
        let wants = Wants::Primary(Why::Session);
        let (known, turn) = (self.session.known, self.cluster.turn());
        let errand = Errand { wants, consistency: None, known, avoid: NodeSet::EMPTY, turn };
        let found = match self.cluster.try_find(&self.pools.choice(), errand) {
            Some(found) => found,
            // Boxed: waiting is rare, and its state would make every idle client larger.
            None => match Box::pin(self.wait_for_server(errand)).await? {
                Ok(found) => found,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        self.take_over(found, wants);
        Ok(Ok(()))
    }

    fn take_over(&mut self, found: Found<MyConnector>, wants: Wants) {
        let Found { lease, decision, node } = found;
        *self.entry.last_route.lock() = Some(LastRoute { node, because: decision.because });
        self.cluster.counters.routed(decision.because);
        lease.entry.client.store(self.entry.id, Ordering::Relaxed);
        self.entry.link(Target {
            node,
            server: lease.entry.id,
            thread: lease.link.thread,
            login: Arc::new(lease.pool().connector().login()),
        });
        self.entry.set_state(ClientState::Active);
        self.cluster.begin(node, wants);
        self.node = Some(node);
        self.link = Some(lease);
    }

    /// Waits for its turn; who leaves meanwhile leaves the queue too, and nothing is executed.
    async fn wait_for_server(
        &mut self,
        errand: Errand,
    ) -> Result<Result<Found<MyConnector>, Refusal>, Leaving> {
        self.entry.set_state(ClientState::Waiting);
        let (cluster, pools) = (self.cluster.clone(), self.pools.clone());
        let choice = pools.choice();
        let mut found = pin!(cluster.find(&choice, errand));
        let ended = poll_fn(|cx| match found.as_mut().poll(cx) {
            Poll::Ready(found) => Poll::Ready(Ok(found)),
            Poll::Pending => self.poll_patience(cx).map(Err),
        });
        let ended = ended.await;
        if !matches!(ended, Ok(Ok(_))) {
            self.entry.set_state(ClientState::Idle);
        }
        ended
    }

    /// Ready when the client will not wait any longer.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Leaving> {
        const LONGEST: usize = 2 * READ_AHEAD;
        loop {
            // Registered first: who is told to go after this look is woken.
            self.entry.listen(cx);
            if self.entry.is_killed() {
                return Poll::Ready(Leaving::Refused(self.engine.farewell()));
            }
            if self.input.len() >= LONGEST {
                return Poll::Pending;
            }
            match self.poll_client_input(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Leaving::Gone),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
