//! One client after its login: takes a batch, finds it a server, has it answered, lets go.

mod begun;
mod doubt;
mod explain;
mod hear;
mod loss;
mod perform;
mod settle;
mod slow;
mod traced;
mod wish;

use super::catalog::Defining;
use super::cluster::{Cluster, Lease, UserPools};
use super::engine::Engine;
use super::exchange::{Ended, give_back, planner};
use super::refuse;
use super::registry::{ClientEntry, ClientState, Registration};
use super::server::ExchangeError;
use super::session::batch::{Batch, End};
use super::session::owed::{Owed, Queue};
use super::session::proof::{Doubt, Residue};
use super::session::receive::Flow;
use super::session::send::Outgoing;
use super::session::{Backend, Session, Tx};
use super::wire;
use crate::dispatch::Traced;
use crate::net::Stream;
use crate::refusal::Refusal;
use crate::sql::Pin;
use crate::topology::NodeId;
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Where the bytes of the running batch stand.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub inbound: Flow,
    /// Bytes of the client's current frame that are still to come and are forwarded unseen.
    pub tail: usize,
    /// The batch has no end yet.
    pub open: bool,
    /// The client said goodbye inside of it.
    pub left: bool,
    /// Some of the answer is on its way to the client.
    pub delivered: bool,
    /// The batch asked for more than reading.
    pub writing: bool,
    /// Statements were sent ahead of the next part of the batch, and are waited for.
    pub preparing: bool,
    /// TLS holds back bytes for the client.
    pub flush: bool,
}

/// How long a client that is sent away may take to read why.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A logged-in client.
pub(super) struct Client {
    pub(super) stream: Stream,
    /// From the client, not yet done with.
    pub(super) input: BytesMut,
    /// For the client, not yet taken.
    pub(super) output: BytesMut,
    pub(super) session: Session,
    pub(super) batch: Batch,
    pub(super) owed: Queue,
    pub(super) flow: Traffic,
    pub(super) link: Option<Lease>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) entry: Registration<ClientEntry>,
    node: Option<NodeId>,
    /// An open batch failed for want of its server: its rest is skipped.
    skipping: bool,
    /// What it asks for is never to go to the primary.
    shuns_primary: bool,
    /// How the READ ONLY transaction began in which nothing was asked yet.
    begun: Option<Box<[u8]>>,
    /// It listens.
    ears: Option<Box<hear::Ears>>,
    pub(super) pools: Arc<UserPools>,
    /// What is told of its transaction, where that is wanted.
    traced: Option<Box<Traced>>,
    /// Its transaction defines something.
    defining: Option<Defining>,
    pub(super) engine: Arc<Engine>,
}

/// What a client brings from its login.
pub(super) struct Arrived {
    pub stream: Stream,
    /// Bytes that came with or after the login.
    pub input: BytesMut,
    pub session: Session,
    pub cluster: Arc<Cluster>,
    pub pools: Arc<UserPools>,
    pub entry: Registration<ClientEntry>,
}

/// Why a client's loop ends.
#[derive(Debug)]
pub(super) enum Leaving {
    /// It said goodbye or hung up.
    Gone,
    /// It is told why.
    Refused(Refusal),
    /// It was told already.
    Told,
}

impl Client {
    pub(super) fn new(engine: Arc<Engine>, arrived: Arrived) -> Client {
        Client {
            stream: arrived.stream,
            input: arrived.input,
            output: BytesMut::new(),
            session: arrived.session,
            batch: Batch::default(),
            owed: Queue::default(),
            flow: Traffic::default(),
            link: None,
            node: None,
            skipping: false,
            shuns_primary: false,
            begun: None,
            ears: None,
            cluster: arrived.cluster,
            pools: arrived.pools,
            traced: None,
            defining: None,
            entry: arrived.entry,
            engine,
        }
    }

    /// Serves the client until it leaves or is sent away. By reference: a future that owns what it
    /// was called with has room for it twice.
    pub(super) async fn run(&mut self) {
        let leaving = loop {
            if let Err(leaving) = self.serve_one().await {
                break leaving;
            }
        };
        if let Leaving::Refused(refusal) = &leaving {
            refuse::put(&mut self.output, refusal, refuse::Severity::Fatal);
            let farewell = poll_fn(|cx| self.poll_to_client(cx));
            let _ = tokio::time::timeout(LAST_WORDS, farewell).await;
        }
        self.part(&leaving);
    }

    /// One batch, from its first byte to its last answer.
    async fn serve_one(&mut self) -> Result<(), Leaving> {
        match poll_fn(|cx| self.poll_batch(cx)).await? {
            End::Leave => return Err(Leaving::Gone),
            End::Ready | End::Open => {}
        }
        self.entry.requests.fetch_add(1, Ordering::Relaxed);
        self.cluster.counters.queries.increment();
        if self.batch.asks_position() && !self.skipping {
            // Boxed: it is rare, and its state would make every idle client larger.
            let known = Box::pin(self.learn_position()).await;
            self.batch.complain(known.err());
        }
        if let Some(explained) = self.batch.explains().cloned() {
            let lines = self.explain(&explained);
            self.batch.complain(lines.map(|lines| self.session.explained = lines).err());
        }
        if self.skipping {
            self.skip_batch();
        } else if let Some(refusal) = self.batch.complaint.take() {
            self.turn_down(&refusal)?;
        } else if let Some(limit) = self.too_many_statements() {
            self.turn_down(&Refusal::TooManyStatements { limit })?;
        } else if self.link.is_none() && self.session.is_local(&self.batch) {
            self.answer_locally();
        } else {
            self.perform().await?;
        }
        if self.traced.is_some() {
            self.trace_end();
        }
        self.mind_sequences();
        if self.session.renews {
            self.cluster.statements.renew();
            self.define();
            // What a transaction did to tables, others see at its end.
            self.session.renews = self.session.tx != Tx::Idle;
        }
        if self.session.tx == Tx::Idle {
            self.defining = None;
        }
        if self.session.take_held_ready() {
            Box::pin(self.tell_what_is_heard()).await;
        }
        if let Some(doubt) = self.session.take_doubt() {
            if doubt == Doubt::Everything {
                self.pools.catalog.suspect();
            }
            // Boxed: it is rare, and its state would make every idle client larger.
            Box::pin(self.settle(doubt)).await?;
        }
        self.let_go();
        Ok(())
    }

    /// Waits for a whole batch; meanwhile what a linked server says by itself goes to the client.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Leaving>> {
        loop {
            if let Poll::Ready(Err(_)) = self.poll_to_client(cx) {
                return Poll::Ready(Err(Leaving::Gone));
            }
            if self.output.is_empty() && self.link.is_some() {
                match self.poll_from_server(cx) {
                    Poll::Ready(Ok(())) => continue,
                    // It begins again where the first statement goes.
                    Poll::Ready(Err(_)) if self.begun.is_some() => self.drop_server(),
                    Poll::Ready(Err(ended)) => return Poll::Ready(Err(self.server_ended(ended))),
                    Poll::Pending => {}
                }
            }
            if self.has_mail() {
                self.deliver_mail()?;
                continue;
            }
            if let Err(error) = self.plan() {
                return Poll::Ready(Err(Leaving::Refused(Refusal::Protocol(error.to_string()))));
            }
            if let Some(end) = self.batch.end {
                return Poll::Ready(Ok(end));
            }
            if self.must_go() {
                return Poll::Ready(Err(Leaving::Refused(self.engine.gate.farewell())));
            }
            if self.link.is_some() && self.is_of_the_past() {
                if self.begun.is_some() {
                    self.drop_server();
                    continue;
                }
                let lost = Ended::ServerLost(ExchangeError::Silent);
                return Poll::Ready(Err(self.server_ended(lost)));
            }
            match self.poll_client_input(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Leaving::Gone)),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending if self.need_not_be_whole() => return Poll::Ready(Ok(End::Open)),
                Poll::Pending => {
                    self.entry.listen(cx);
                    // It may have been told between the look and the listening.
                    if self.must_go() || self.has_mail() || self.is_of_the_past() {
                        continue;
                    }
                    self.rest();
                    return Poll::Pending;
                }
            }
        }
    }

    /// From now on until its transaction is over, nobody knows what names mean.
    fn define(&mut self) {
        let begin = || self.pools.catalog.define();
        self.defining.get_or_insert_with(begin);
    }

    /// Where applications ask for `currval` or `lastval`, what wrote keeps its server connection.
    fn mind_sequences(&mut self) {
        let sequences = &self.pools.sequences;
        if self.session.pin == Some(Pin::Sequence) {
            sequences.store(true, Ordering::Relaxed);
        } else if self.flow.writing && sequences.load(Ordering::Relaxed) {
            self.session.pin = self.session.pin.or(Some(Pin::Sequence));
        }
    }

    /// The limit that the session's prepared statements are beyond.
    pub(super) fn too_many_statements(&self) -> Option<usize> {
        // Most have few: the settings need not be looked at.
        const FEW: usize = 100;
        let many = Some(self.session.prepared()).filter(|many| *many > FEW)?;
        let limit = self.cluster.pool_settings.load().max_client_prepared;
        (many > limit).then_some(limit)
    }

    /// The server that will answer is settled, so nothing is gained by waiting for the Sync: a
    /// client may wait for an error in between, which a server reports at once.
    fn need_not_be_whole(&mut self) -> bool {
        let goes_on = self.link.is_some() && self.batch.len > 0;
        if goes_on {
            self.batch.end = Some(End::Open);
        }
        goes_on
    }

    /// It was told to go. A drain lets a transaction end first.
    pub(super) fn must_go(&self) -> bool {
        let busy = self.session.tx != Tx::Idle || !self.owed.is_empty();
        self.entry.is_killed() && (!busy || self.engine.gate.spares_nobody())
    }

    fn plan(&mut self) -> Result<(), wire::WireError> {
        self.drop_copy_leftovers()?;
        let planner = planner(&self.cluster, &self.pools);
        planner.advance(&mut self.session, &mut self.batch, &self.input)
    }

    /// CopyData that was under way when a COPY failed: nobody waits for it.
    fn drop_copy_leftovers(&mut self) -> Result<(), wire::WireError> {
        if self.flow.tail > 0 {
            let n = self.flow.tail.min(self.input.len());
            self.input.advance(n);
            self.flow.tail -= n;
        }
        while self.batch.len == 0 && !self.session.copying {
            match wire::peek(&self.input)? {
                Some(header) if matches!(header.tag, b'd' | b'c' | b'f') => {
                    let n = header.len.min(self.input.len());
                    self.input.advance(n);
                    self.flow.tail = header.len - n;
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// An idle client keeps no buffer.
    fn rest(&mut self) {
        give_back(&mut self.input);
        give_back(&mut self.output);
    }

    /// Answers that need no server.
    fn answer_locally(&mut self) {
        let (mut backend, mut unsent) = (Backend::default(), BytesMut::new());
        let mut to = Outgoing {
            backend: &mut backend,
            out: &mut unsent,
            owed: &mut self.owed,
            show: &|name| self.entry.show(name, &self.cluster),
            resolves: false,
        };
        self.session.send(&self.batch, &self.input, &mut to);
        while let Some(owed) = self.owed.pop() {
            match owed {
                Owed::Say(bytes, _) => self.output.extend_from_slice(&bytes),
                _ => wire::put_ready(&mut self.output, self.session.tx.status()),
            }
        }
        self.drop_batch();
    }

    /// The server goes back to its pool, or is closed, when the session does not need it.
    fn let_go(&mut self) {
        self.entry.note(self.session.tx, self.session.pin);
        let Some(lease) = &mut self.link else { return };
        if self.session.pin == Some(Pin::ProcessId) {
            // It asked for the server's process id, and knows its notifications by that.
            lease.entry.writer.store(0, Ordering::Relaxed);
        }
        if self.session.tx == Tx::Idle {
            lease.backend.params = self.session.variables.leave();
        }
        if !self.session.may_leave() {
            return;
        }
        let cancelled = self.unlink();
        let Some(lease) = self.link.take() else { return };
        lease.entry.prepared.store(lease.backend.prepared.len() as u64, Ordering::Relaxed);
        if !cancelled && self.owed.is_empty() && !self.owed.is_skipping() {
            lease.entry.client.store(0, Ordering::Relaxed);
            self.return_server(lease);
        }
    }

    fn unlink(&mut self) -> bool {
        self.entry.set_state(ClientState::Idle);
        if let Some(node) = self.node.take() {
            let is_primary = !self.cluster.is_replica(node);
            self.session.known.answered(node, is_primary, Instant::now());
            self.cluster.end(node);
        }
        self.entry.link.clear()
    }

    /// Closes the server connection; the session lives on without it.
    fn drop_server(&mut self) {
        self.unlink();
        self.link = None;
        self.owed.clear();
        self.session.lost();
        self.flow = Traffic { flush: self.flow.flush, ..Traffic::default() };
    }

    /// The last act: a server that is clean goes back, any other is closed.
    fn part(&mut self, leaving: &Leaving) {
        tracing::debug!(client = self.entry.id, ?leaving, "client left");
        if self.traced.is_some() {
            self.trace_left(leaving);
        }
        if self.link.is_none() {
            return;
        }
        let clean = self.owed.is_empty() && self.session.tx == Tx::Idle;
        let cancelled = self.unlink();
        if let Some(lease) = self.link.take()
            && clean
            && !cancelled
        {
            super::welcome::reset_and_give_back(lease, Residue::Statements);
        }
    }
}
