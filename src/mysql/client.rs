//! One client after its login: takes a command, finds it a server, has it answered.

mod change;
mod loss;
mod ours;
mod perform;
mod ready;
mod settle;
mod slow;
mod statement;
mod traced;
mod wait;
mod wish;

use super::cluster::{Cluster, PoolKey, UserPools};
use super::engine::Engine;
use super::exchange::give_back;
use super::refuse;
use super::registry::{ClientEntry, ClientState, Pin};
use super::server::{self, Lease};
use super::session::Session;
use super::session::asked::Asked;
use super::session::command::{Head, Plan, look};
use super::session::relay::Relay;
use super::wire::command::Command;
use super::wire::ok::put_error;
use super::wire::reply::Kind;
use crate::dispatch::Traced;
use crate::door::attendance::Place;
use crate::net::Stream;
use crate::refusal::Refusal;
use crate::registry::Registration;
use crate::topology::NodeId;
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How long a client that is sent away may take to read why.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What of the running command, or of a file, has yet to come from the client.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// Bytes of its packet.
    pub(super) tail: usize,
    /// Another packet follows.
    pub(super) goes_on: bool,
    /// The packets are those of a file.
    pub(super) is_file: bool,
}

impl Feed {
    pub(super) fn is_over(&self) -> bool {
        self.tail == 0 && !self.goes_on && !self.is_file
    }
}

/// A logged-in client.
pub(super) struct Client {
    pub(super) stream: Stream,
    /// From the client, not yet done with.
    pub(super) input: BytesMut,
    /// For the client, not yet taken.
    pub(super) output: BytesMut,
    pub(super) session: Session,
    pub(super) relay: Relay,
    pub(super) feed: Feed,
    /// TLS holds back bytes for the client.
    pub(super) flush: bool,
    pub(super) link: Option<Lease>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) pools: Arc<UserPools>,
    key: PoolKey,
    pub(super) entry: Registration<ClientEntry>,
    pub(super) engine: Arc<Engine>,
    node: Option<NodeId>,
    /// What is told of its transaction, where that is wanted.
    traced: Option<Box<Traced>>,
    /// The server knows the session's LAST_INSERT_ID().
    id_is_there: bool,
}

/// What a client brings from its login.
pub(super) struct Arrived {
    pub(super) stream: Stream,
    pub(super) session: Session,
    pub(super) cluster: Arc<Cluster>,
    pub(super) pools: Arc<UserPools>,
    pub(super) key: PoolKey,
    pub(super) entry: Registration<ClientEntry>,
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

/// What a command about a statement is answered with.
fn answer_of(command: Command) -> Option<Kind> {
    match command {
        Command::StmtSendLongData => None,
        Command::StmtFetch => Some(Kind::Rows),
        Command::StmtReset => Some(Kind::Ok),
        _ => Some(Kind::Results),
    }
}

impl Client {
    pub(super) fn new(engine: Arc<Engine>, arrived: Arrived) -> Client {
        Client {
            stream: arrived.stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            session: arrived.session,
            relay: Relay::default(),
            feed: Feed::default(),
            flush: false,
            link: None,
            cluster: arrived.cluster,
            pools: arrived.pools,
            key: arrived.key,
            entry: arrived.entry,
            engine,
            node: None,
            traced: None,
            id_is_there: false,
        }
    }

    /// Serves the client until it leaves or is sent away.
    pub(super) async fn run(mut self: Box<Self>, mut place: Place) {
        let leaving = loop {
            if let Err(leaving) = self.serve_one(&mut place).await {
                break leaving;
            }
        };
        if let Leaving::Refused(refusal) = &leaving {
            refuse::put(&mut self.output, self.relay.next(), refusal);
        }
        if !matches!(leaving, Leaving::Gone) {
            let farewell = poll_fn(|cx| self.poll_to_client(cx));
            let _ = tokio::time::timeout(LAST_WORDS, farewell).await;
        }
        tracing::debug!(client = self.entry.id, ?leaving, "client left");
        if self.traced.is_some() {
            self.trace_left(&leaving);
        }
        self.part();
    }

    /// One command, from its first byte to the last of its answer.
    async fn serve_one(&mut self, place: &mut Place) -> Result<(), Leaving> {
        let head = poll_fn(|cx| self.poll_command(cx)).await?;
        self.entry.requests.fetch_add(1, Ordering::Relaxed);
        self.cluster.counters.queries.increment();
        match head.plan {
            Plan::Leave => return Err(Leaving::Gone),
            Plan::ChangeUser => return Box::pin(self.change_user(head, place)).await,
            Plan::Kill { query, id } => Box::pin(self.kill(head, query, id)).await,
            Plan::Unknown => self.turn_away_unknown(head)?,
            Plan::Ping if self.link.is_none() => self.say_ok(head),
            Plan::Ping => self.perform(head, Some(Kind::Ok), Asked::default()).await?,
            Plan::Close(id) if !self.session.keeps => self.close_statement(head, id),
            // The statement that it means is nowhere.
            Plan::Close(_) if self.link.is_none() => self.input.advance(head.len),
            Plan::Close(_) => self.perform(head, None, Asked::default()).await?,
            Plan::Statement(command, id) if !self.session.keeps => {
                self.use_statement(head, command, id).await?;
            }
            Plan::Statement(Command::StmtSendLongData, _)
                if self.link.is_none() && head.is_whole =>
            {
                self.input.advance(head.len);
            }
            Plan::Statement(command, _) => {
                self.perform(head, answer_of(command), Asked::default()).await?;
            }
            Plan::Reset if self.link.is_none() => {
                self.session.reset();
                self.say_ok(head);
            }
            Plan::Reset => self.reset(head).await?,
            Plan::SetOption => {
                self.session.pins.add(Pin::Setting);
                self.perform(head, Some(Kind::Ok), Asked::default()).await?;
            }
            Plan::Query => self.query(head).await?,
            Plan::Prepare => self.prepare(head).await?,
            Plan::Forward(kind) => self.perform(head, kind, Asked::default()).await?,
        }
        self.let_go().await?;
        if self.traced.is_some() {
            self.trace_end();
        }
        self.entry.note(self.session.in_transaction(), self.pin());
        Ok(())
    }

    fn pin(&self) -> Pin {
        match self.session.pin() {
            _ if self.link.is_none() => Pin::None,
            Pin::None if self.pools.asks.load(Ordering::Relaxed) => Pin::Asked,
            pin => pin,
        }
    }

    /// Waits for a command; meanwhile what a server says by itself goes to the client.
    fn poll_command(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Leaving>> {
        loop {
            if let Poll::Ready(Err(_)) = self.poll_to_client(cx) {
                return Poll::Ready(Err(Leaving::Gone));
            }
            if let Some(head) = look(&self.input) {
                return Poll::Ready(Ok(head));
            }
            if self.output.is_empty() && self.link.is_some() {
                match self.poll_last_words(cx) {
                    Poll::Ready(true) => continue,
                    Poll::Ready(false) => return Poll::Ready(Err(self.server_hung_up())),
                    Poll::Pending => {}
                }
            }
            if self.must_go() {
                // Read as the answer to its next command.
                self.relay.begin(None, 0);
                return Poll::Ready(Err(Leaving::Refused(self.engine.gate.farewell())));
            }
            match self.poll_client_input(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Leaving::Gone)),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    self.entry.listen(cx);
                    // It may have been told between the look and the listening.
                    if self.must_go() {
                        continue;
                    }
                    give_back(&mut self.input);
                    give_back(&mut self.output);
                    return Poll::Pending;
                }
            }
        }
    }

    /// It was told to go. A drain lets a transaction end first.
    pub(super) fn must_go(&self) -> bool {
        let busy = self.session.in_transaction() || !self.relay.is_answered();
        self.entry.is_killed() && (!busy || self.engine.gate.spares_nobody())
    }

    /// A command that nobody knows; one that is not whole cannot be skipped.
    fn turn_away_unknown(&mut self, head: Head) -> Result<(), Leaving> {
        if !head.is_whole {
            return Err(Leaving::Refused(Refusal::Protocol("an unknown command".into())));
        }
        self.input.advance(head.len);
        let sequence = head.sequence.wrapping_add(1);
        put_error(&mut self.output, sequence, 1047, "08S01", "Unknown command");
        Ok(())
    }

    fn say_ok(&mut self, head: Head) {
        self.input.advance(head.len);
        let ok = super::accept::welcome(self.session.flags());
        let sequence = head.sequence.wrapping_add(1);
        ok.put(&mut self.output, sequence, 0, self.session.capabilities);
    }

    /// Another client of ours is meant, by the number that it was told.
    async fn kill(&mut self, head: Head, query: bool, id: u64) {
        self.input.advance(head.len);
        let sequence = head.sequence.wrapping_add(1);
        let mine = self.entry.identity.lock().clone();
        let Some(client) = self.engine.clients.get(id) else {
            let message = format!("Unknown thread id: {id}");
            return put_error(&mut self.output, sequence, 1094, "HY000", &message);
        };
        let theirs = client.identity.lock().clone();
        if (&theirs.user, &theirs.cluster) != (&mine.user, &mine.cluster) {
            let message = format!("You are not owner of thread {id}");
            return put_error(&mut self.output, sequence, 1095, "HY000", &message);
        }
        let engine = self.engine.clone();
        engine.kill_at_server(&client, query).await;
        if !query {
            client.kill();
        }
        let ok = super::accept::welcome(self.session.status);
        ok.put(&mut self.output, sequence, 0, self.session.capabilities);
    }

    /// Lets go of the server; true when it was killed meanwhile.
    fn unlink(&mut self) -> bool {
        self.entry.set_state(ClientState::Idle);
        if let Some(node) = self.node.take() {
            let is_primary = !self.cluster.is_replica(node);
            self.session.answered(node, is_primary, Instant::now());
            if self.session.wrote.is_some() && !self.cluster.has_one_order() {
                self.session.wrote = None;
            }
            self.cluster.end(node);
        }
        self.entry.link.clear()
    }

    /// The session is over: a server that can be cleaned goes back, any other is closed.
    fn leave_server(&mut self) {
        let answered = self.relay.is_answered() && self.feed.is_over();
        let cleanable = answered && self.link.as_ref().is_some_and(|l| l.link.out.is_empty());
        if !answered && self.link.is_some() {
            self.abandon();
        }
        let killed = self.unlink();
        if let Some(lease) = self.link.take()
            && cleanable
            && !killed
        {
            server::reset_and_give_back(lease);
        }
    }

    /// A statement runs whose answer nobody wants: closing its connection would not end it.
    fn abandon(&self) {
        let Some(target) = self.entry.link.target() else { return };
        let node = self.cluster.nodes[usize::from(target.node.0)].clone();
        tokio::spawn(async move { super::kill::send(&node, &target, false).await });
    }

    fn part(mut self: Box<Self>) {
        self.leave_server();
    }
}
