//! One command and its server: found, asked, its answer relayed; and asked again elsewhere where
//! the client need not know of a failure.

use super::{Client, Feed, Leaving};
use crate::dispatch::{Errand, Found, LastRoute, Wanted};
use crate::mysql::exchange::Ended;
use crate::mysql::link::LinkError;
use crate::mysql::registry::{ClientState, Target};
use crate::mysql::server::MyConnector;
use crate::mysql::session::asked::{Asked, Work};
use crate::mysql::session::command::Head;
use crate::mysql::wire::ok::Fault;
use crate::mysql::wire::reply::Kind;
use crate::mysql::wire::{HEADER, Header};
use crate::refusal::Refusal;
use crate::route::Wants;
use crate::sql::Why;
use crate::topology::{NodeId, NodeSet};
use bytes::Buf;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often a read is asked again before its failure is the client's.
const MAX_RETRIES: usize = 4;

/// A command on its way to an answer.
pub(super) struct Job {
    pub(super) head: Head,
    /// What kind of answer it gets; `None`: none.
    pub(super) kind: Option<Kind>,
    pub(super) asked: Asked,
    pub(super) wants: Wants,
    wanted: Wanted,
    /// Nodes that failed it.
    avoid: NodeSet,
    tries: usize,
    /// Another server may be asked the same: nothing of it is anywhere.
    movable: bool,
    /// The replica that it is asked of.
    replica: Option<NodeId>,
    started: Instant,
}

impl Client {
    /// Has the command at the front of the input carried out by a server, by another one where
    /// the client need not know of a failure.
    pub(super) async fn perform(
        &mut self,
        head: Head,
        kind: Option<Kind>,
        asked: Asked,
    ) -> Result<(), Leaving> {
        self.relay.begin(kind, head.sequence);
        if self.cluster.tracer.is_on() {
            self.trace_command(head, &asked);
        }
        let wants = asked.wants();
        let wanted = match self.wanted(wants, &asked) {
            Ok(wanted) => wanted,
            Err(refusal) => return self.give_up(head, &asked, &refusal),
        };
        let (avoid, started) = (NodeSet::EMPTY, Instant::now());
        let (tries, movable, replica) = (0, false, None);
        let mut job =
            Job { head, kind, asked, wants, wanted, avoid, tries, movable, replica, started };
        loop {
            self.relay.begin(kind, head.sequence);
            let fresh = self.link.is_none();
            if let Err(refusal) = self.be_linked(&job).await? {
                return self.give_up(head, &job.asked, &refusal);
            }
            job.replica = self.node.filter(|node| self.cluster.is_replica(*node));
            let reads_there = job.wants == Wants::Read && job.replica.is_some();
            job.movable = fresh && reads_there && head.is_whole;
            let under = match self.have_prepared(&job.asked).await {
                Ok(under) => under,
                Err(LinkError::Fault(_)) if self.tries_primary(&mut job) => {
                    self.leave_replica().await?;
                    continue;
                }
                Err(LinkError::Fault(fault)) => return self.say_fault(&job, &fault),
                Err(error) => {
                    let ended = Ended::ServerLost(error);
                    if self.tries_again(&mut job, &ended).await? {
                        continue;
                    }
                    return self.after(ended);
                }
            };
            self.relay.hides_refusal = job.movable && !job.wanted.shuns_primary();
            self.will_run(&job.asked).await;
            if let Err(refusal) = self.send_command(head, job.movable, under) {
                return self.give_up(head, &job.asked, &refusal);
            }
            let ended = poll_fn(|cx| self.poll_exchange(cx)).await;
            if self.tries_again(&mut job, &ended).await? {
                continue;
            }
            if job.movable {
                self.input.advance(head.len);
            }
            return match ended {
                Ended::Done => {
                    self.has_run(&job);
                    Ok(())
                }
                ended => self.after(ended),
            };
        }
    }

    /// Whether it goes to another server now, of which the client hears nothing.
    async fn tries_again(&mut self, job: &mut Job, ended: &Ended) -> Result<bool, Leaving> {
        match (ended, self.relay.hidden.take()) {
            (Ended::Done, Some(fault)) => {
                self.learn(job, &fault);
                self.leave_replica().await?;
            }
            (Ended::ServerLost(_), _) if job.movable && !self.relay.delivered => {
                job.replica.into_iter().for_each(|node| job.avoid.insert(node));
                self.note_lost();
            }
            _ => return Ok(false),
        }
        if let Some(usage) = job.asked.runs().and_then(|analysis| analysis.usage.as_ref()) {
            usage.retried();
        }
        job.tries += 1;
        self.trace_retry();
        Ok(job.tries <= MAX_RETRIES)
    }

    /// A replica cannot prepare it: the primary may, and if not, what it says counts.
    fn tries_primary(&mut self, job: &mut Job) -> bool {
        let tries = job.movable && !job.wanted.shuns_primary();
        if tries {
            job.wants = Wants::Primary(Why::Refused);
            self.relay.failed = true;
        }
        tries
    }

    /// A replica says that this text writes: it is remembered, and the primary asked.
    fn learn(&mut self, job: &mut Job, fault: &Fault) {
        job.wants = Wants::Primary(Why::Refused);
        self.cluster.counters.retries.with(&fault.code.to_string()).increment();
        let modes = self.session.modes();
        match &job.asked.work {
            Work::Execution(_, statement) | Work::Preparation(statement) => {
                statement.refuse();
                self.cluster.classifier.remember(&statement.content.text, modes, Why::Refused);
            }
            _ => {
                let text = &self.input[HEADER + 1..job.head.len];
                self.cluster.classifier.remember(text, modes, Why::Refused);
            }
        }
    }

    fn note_lost(&mut self) {
        if let Some(node) = self.node {
            self.cluster.monitor.report_failure(node, "connection lost");
        }
        self.cluster.counters.retries.with("connection_lost").increment();
        self.forget_server();
    }

    /// The answer is there.
    fn has_run(&mut self, job: &Job) {
        let took = job.started.elapsed();
        self.cluster.counters.took.observe(took);
        self.session.failed = self.relay.failed;
        if self.relay.failed {
            self.trace_failure(self.relay.code);
        }
        if let Some(analysis) = job.asked.runs() {
            if !self.relay.failed {
                self.session.has_done(analysis);
            }
            if let Some(usage) = &analysis.usage {
                usage.answered(job.replica.is_none(), took);
            }
        }
        if self.cluster.slow.is_slow(took) {
            self.was_slow(job.asked.runs().and_then(|analysis| analysis.usage.as_ref()), took);
        }
        self.note_statement(&job.asked);
    }

    /// The command's bytes go to the server, as far as they are here; `keeps` them for another
    /// one. `under`: the numbers of its statement at the client and at the server.
    fn send_command(
        &mut self,
        head: Head,
        keeps: bool,
        under: Option<(u32, u32)>,
    ) -> Result<(), Refusal> {
        let there = self.input.len().min(head.len);
        self.session.asks();
        if let Some(lease) = &mut self.link {
            let (packet, out) = (&self.input[..there], &mut lease.link.out);
            match under {
                None => out.extend_from_slice(packet),
                Some(numbers) => {
                    let header = Header { len: head.len - HEADER, sequence: head.sequence };
                    let put = self.session.statements.put(numbers, (header, packet), out);
                    put.map_err(|error| Refusal::Unsupported(error.to_string()))?;
                }
            }
        }
        if !keeps {
            self.input.advance(there);
        }
        self.feed = Feed { tail: head.len - there, goes_on: head.goes_on, is_file: false };
        Ok(())
    }

    /// Leases a server for this work.
    pub(super) async fn find_server(&mut self, job: &Job) -> Result<Result<(), Refusal>, Leaving> {
        let errand = Errand {
            wants: job.wants,
            wanted: job.wanted.clone(),
            known: self.session.known,
            wrote: self.session.wrote.clone(),
            avoid: job.avoid,
            turn: self.cluster.turn(),
        };
        let (found, waited) = match self.cluster.try_find(&self.pools.choice(), &errand) {
            Some(found) => (found, Duration::ZERO),
            None => {
                let began = Instant::now();
                // Boxed: waiting is rare, and its state would make every idle client larger.
                match Box::pin(self.wait_for_server(errand)).await? {
                    Ok(found) => (found, began.elapsed()),
                    Err(refusal) => return Ok(Err(refusal)),
                }
            }
        };
        self.take_over(found, job.wants, waited);
        Ok(Ok(()))
    }

    fn take_over(&mut self, found: Found<MyConnector>, wants: Wants, waited: Duration) {
        let Found { lease, decision, node } = found;
        let because = decision.because;
        let route = LastRoute { node, because, waited };
        *self.entry.last_route.lock() = Some(route);
        self.trace_route(route);
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
}
