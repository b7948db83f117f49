//! One command and its server: found, asked, its answer relayed.

use super::{Client, Feed, Leaving};
use crate::dispatch::{Errand, Found, LastRoute, Wanted};
use crate::mysql::exchange::{Ended, READ_AHEAD};
use crate::mysql::registry::{ClientState, Target};
use crate::mysql::server::MyConnector;
use crate::mysql::session::Asked;
use crate::mysql::session::command::Head;
use crate::mysql::wire::HEADER;
use crate::mysql::wire::ok::Fault;
use crate::mysql::wire::reply::Kind;
use crate::refusal::Refusal;
use crate::route::Wants;
use crate::sql::Why;
use crate::sql::mysql::{Analysis, Part, Uses};
use crate::topology::NodeSet;
use bytes::Buf;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// A text that is longer than what is looked at may do anything.
fn unseen() -> Analysis {
    let code = Part { uses: Uses::CODE, ..Part::default() };
    Analysis { primary: Some(Why::Unseen), parts: vec![code] }
}

/// How often a read is asked again before its failure is the client's.
const MAX_RETRIES: usize = 4;

impl Client {
    /// What the text at the front of the input asks for; in a session that keeps its server
    /// nobody needs to know.
    pub(super) fn understand(&self, head: Head, prepares: bool) -> Asked {
        if self.session.keeps {
            return Asked::Plain;
        }
        let text = &self.input[HEADER + 1..self.input.len().min(head.len)];
        let analysis = match head.is_whole {
            true => self.cluster.classifier.analyse(text, self.session.modes()),
            false => Arc::new(unseen()),
        };
        match prepares {
            true => Asked::Preparation(analysis),
            false => Asked::Text(analysis),
        }
    }

    /// Has the command at the front of the input carried out by a server, by another one where
    /// the client need not know of a failure.
    pub(super) async fn perform(
        &mut self,
        head: Head,
        kind: Option<Kind>,
        asked: Asked,
    ) -> Result<(), Leaving> {
        let (mut wants, mut avoid, mut tries) = (asked.wants(), NodeSet::EMPTY, 0);
        loop {
            self.relay.begin(kind, head.sequence);
            let fresh = self.link.is_none();
            if let Err(refusal) = self.be_linked(wants, avoid, &asked).await? {
                return self.turn_down(head, &refusal);
            }
            let replica = self.node.filter(|node| self.cluster.is_replica(*node));
            let movable = fresh && wants == Wants::Read && head.is_whole && replica.is_some();
            self.relay.hides_refusal = movable;
            if let Asked::Text(analysis) | Asked::Preparation(analysis) = &asked {
                let prepares = matches!(asked, Asked::Preparation(_));
                self.session.will_run(analysis, prepares);
            }
            self.send_command(head, movable);
            let ended = poll_fn(|cx| self.poll_exchange(cx)).await;
            let again = match (&ended, self.relay.hidden.take()) {
                (Ended::Done, Some(fault)) => {
                    wants = Wants::Primary(self.learn(head, &fault));
                    self.leave_replica().await?;
                    true
                }
                (Ended::ServerLost(_), _) if movable && !self.relay.delivered => {
                    replica.into_iter().for_each(|node| avoid.insert(node));
                    self.note_lost();
                    true
                }
                _ => false,
            };
            tries += 1;
            if again && tries <= MAX_RETRIES {
                continue;
            }
            if movable {
                self.input.advance(head.len);
            }
            if let Ended::Done = ended {
                self.session.failed = self.relay.failed;
                if let (Asked::Text(analysis), false) = (&asked, self.relay.failed) {
                    self.session.has_done(analysis);
                }
                return Ok(());
            }
            return self.after(ended);
        }
    }

    /// A replica says that this text writes: it is remembered, and the primary asked.
    fn learn(&mut self, head: Head, fault: &Fault) -> Why {
        let text = &self.input[HEADER + 1..head.len];
        self.cluster.classifier.remember(text, self.session.modes(), Why::Function);
        self.cluster.counters.retries.with(&fault.code.to_string()).increment();
        Why::Function
    }

    fn note_lost(&mut self) {
        if let Some(node) = self.node {
            self.cluster.monitor.report_failure(node, "connection lost");
        }
        self.cluster.counters.retries.with("connection_lost").increment();
        self.forget_server();
    }

    /// The command's bytes go to the server, as far as they are here; `keeps` them for another one.
    fn send_command(&mut self, head: Head, keeps: bool) {
        let there = self.input.len().min(head.len);
        if let Some(lease) = &mut self.link {
            lease.link.out.extend_from_slice(&self.input[..there]);
        }
        if !keeps {
            self.input.advance(there);
        }
        self.feed = Feed { tail: head.len - there, goes_on: head.goes_on, is_file: false };
    }

    /// Leases a server for this work.
    pub(super) async fn find_server(
        &mut self,
        wants: Wants,
        avoid: NodeSet,
    ) -> Result<Result<(), Refusal>, Leaving> {
        let (known, turn) = (self.session.known, self.cluster.turn());
        let errand = Errand { wants, wanted: Wanted::default(), known, avoid, turn };
        let found = match self.cluster.try_find(&self.pools.choice(), &errand) {
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
        self.entry.link.set(Target {
            node,
            server: lease.entry.id,
            thread: lease.link.thread,
            pools: self.pools.clone(),
        });
        self.entry.set_state(ClientState::Active);
        self.cluster.begin(node, wants);
        self.node = Some(node);
        self.id_is_there = false;
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
                return Poll::Ready(Leaving::Refused(self.engine.gate.farewell()));
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
