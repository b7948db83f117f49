//! One batch and its server: found, made ready, asked; and asked again elsewhere where the client
//! need not know of a failure.

use super::{Client, Leaving};
use crate::dispatch::{Errand, Found, LastRoute};
use crate::pg::exchange::{Ended, planner};
use crate::pg::registry::{CancelTarget, ClientState};
use crate::pg::session::batch::{End, Item, Planned};
use crate::pg::session::receive::Hope;
use crate::pg::session::{Session, Tx};
use crate::pg::wire::{self, HEADER};
use crate::refusal::Refusal;
use crate::route::Wants;
use crate::topology::NodeSet;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often a read is asked again before its failure is the client's.
const MAX_RETRIES: usize = 4;

/// How often a batch was tried, and how.
#[derive(Debug, Default)]
struct Tries {
    count: usize,
    /// Nodes that did not do.
    avoid: NodeSet,
    /// Its statements were prepared anew.
    renewed: bool,
}

impl Client {
    /// Has the batch answered by a server, by another one if the first cannot.
    pub(super) async fn perform(&mut self) -> Result<(), Leaving> {
        self.batch.empties().for_each(|database| self.cluster.close_idle(database));
        if self.batch.defines() {
            self.define();
        }
        let (usage, started) = (self.batch.usage.clone(), Instant::now());
        if self.cluster.tracer.is_on() {
            self.trace_batch();
        }
        if self.begun.is_some() {
            // Boxed: it is rare, and its state would make every idle client larger.
            Box::pin(self.leave_replica()).await;
        }
        let mut tries = Tries::default();
        // Nothing was asked of the server yet that another one could not be asked.
        let mut fresh = self.begun.is_some();
        loop {
            if self.link.is_none() {
                if let Err(refusal) = self.find_server(tries.avoid).await? {
                    self.begun = None;
                    return self.turn_down(&refusal);
                }
                fresh = true;
            }
            let hope = if fresh { self.hope(&tries) } else { Hope::None };
            self.flow.inbound.hope = hope;
            self.flow.delivered = false;
            self.flow.writing = self.batch.wants() != Wants::Read || self.session.tx == Tx::Open;
            match self.make_ready().await {
                Err(ended) if self.try_again(&ended, hope, &mut tries) => continue,
                Err(ended) if self.begin_elsewhere(&ended, &mut tries) => continue,
                Err(ended) => return self.after_unsent(ended),
                Ok(()) if self.look_elsewhere(hope, &mut tries) => continue,
                Ok(()) => {}
            }
            if self.batch.listens {
                Box::pin(self.prepare_to_hear()).await;
            }
            let idles = self.begun.is_some() && self.asks_nothing();
            let begun = self.begin_of_batch().filter(|_| self.reads_elsewhere());
            self.flow.open = self.batch.end == Some(End::Open);
            self.send_batch();
            if hope == Hope::None {
                self.drop_batch();
            }
            let ended = poll_fn(|cx| self.poll_exchange(cx)).await;
            if self.try_again(&ended, hope, &mut tries) {
                continue;
            }
            if hope != Hope::None {
                self.drop_batch();
            }
            if !idles {
                self.begun = begun.filter(|_| self.session.tx == Tx::Open);
            }
            return match ended {
                Ended::Done => {
                    let took = started.elapsed();
                    self.cluster.counters.took.observe(took);
                    if let Some(usage) = &usage {
                        usage.answered(!self.reads_elsewhere(), took);
                    }
                    if self.cluster.slow.is_slow(took) {
                        self.was_slow(usage.as_ref(), took);
                    }
                    Ok(())
                }
                // Boxed: it is rare, and its state would make every idle client larger.
                ended => Box::pin(self.after_a_commit(ended)).await,
            };
        }
    }

    /// What an error of the batch on a server that was just found may be hidden by.
    fn hope(&self, tries: &Tries) -> Hope {
        let renewal = !tries.renewed && self.batch.is_renewable() && self.batch.is_atomic();
        match self.is_movable() {
            true => {
                let standby = !self.shuns_primary && self.reads_elsewhere();
                Hope::Elsewhere { renewal, standby }
            }
            false if renewal => Hope::Renewal,
            false => Hope::None,
        }
    }

    /// The server is a replica.
    pub(in crate::pg) fn reads_elsewhere(&self) -> bool {
        self.node.is_some_and(|node| self.cluster.is_replica(node))
    }

    /// What the server has to know ahead of the batch: the session's parameters, and statements
    /// that are not to have changed. The answer is waited for only where it matters.
    async fn make_ready(&mut self) -> Result<(), Ended> {
        let wait = match self.session.tx {
            Tx::Idle => self.replay(),
            Tx::Open => self.send_ahead(Session::repay),
            Tx::Failed => false,
        };
        if wait {
            self.exchange_ahead().await?;
        }
        if self.session.tx == Tx::Idle {
            self.send_ahead(Session::listen_ahead);
        }
        if self.begun.is_some() {
            Box::pin(self.begin_again()).await?;
        }
        if self.send_ahead(Session::prepare) {
            self.exchange_ahead().await?;
        }
        Ok(())
    }

    /// The session's parameters; and no sequence of another session's, where that matters.
    fn replay(&mut self) -> bool {
        let me = self.entry.id;
        if self.batch.asks_sequence() {
            self.pools.sequences.store(true, Ordering::Relaxed);
        }
        let matter = self.pools.sequences.load(Ordering::Relaxed);
        self.send_ahead(|session, _, to| {
            if matter && to.backend.last_session != me {
                to.forget_sequences();
            }
            to.backend.last_session = me;
            session.replay(to)
        })
    }

    pub(super) async fn exchange_ahead(&mut self) -> Result<(), Ended> {
        match poll_fn(|cx| self.poll_exchange(cx)).await {
            Ended::Done => Ok(()),
            ended => Err(ended),
        }
    }

    /// Statements of the batch have other types here than clients were told: a replica that is
    /// behind is left alone; else they are prepared anew, where that is nobody's loss.
    fn look_elsewhere(&mut self, hope: Hope, tries: &mut Tries) -> bool {
        let Some(link) = &self.link else { return false };
        if !self.session.finds_others(&self.batch, &link.backend) {
            return false;
        }
        self.cluster.counters.retries.with("stale_plan").increment();
        match self.node.filter(|node| hope.is_elsewhere() && self.cluster.is_replica(*node)) {
            Some(node) => {
                tries.avoid.insert(node);
                match self.session.tx {
                    Tx::Idle => self.let_go(),
                    _ => self.drop_server(),
                }
                true
            }
            None if !tries.renewed && self.batch.is_renewable() => {
                self.plan_anew();
                tries.renewed = true;
                true
            }
            None => false,
        }
    }

    /// The batch has failed in a way that the client need not know of.
    fn try_again(&mut self, ended: &Ended, hope: Hope, tries: &mut Tries) -> bool {
        let stale = matches!(ended, Ended::Retry(fault) if fault.is_stale_plan());
        let again = (stale || hope.is_elsewhere())
            && ended.may_retry()
            && !self.flow.delivered
            && tries.count < MAX_RETRIES;
        if again {
            tries.count += 1;
            self.note_retry(ended, &mut tries.avoid);
            if stale {
                self.plan_anew();
                tries.renewed = true;
            }
        }
        again
    }

    /// The server was lost before anything of the batch was sent: whatever it is, another server, or
    /// the same one after its return, can be asked.
    fn begin_elsewhere(&mut self, ended: &Ended, tries: &mut Tries) -> bool {
        let again = matches!(ended, Ended::ServerLost(_) | Ended::Fatal(_))
            && self.session.tx == Tx::Idle
            && self.session.pin.is_none()
            && self.begun.is_none()
            && tries.count < MAX_RETRIES;
        if again {
            tries.count += 1;
            self.note_retry(ended, &mut tries.avoid);
        }
        again
    }

    /// The statements of the batch are analysed anew.
    fn plan_anew(&mut self) {
        let (frames, end) = (std::mem::take(&mut self.batch.frames), self.batch.end);
        self.session.undo(&frames);
        planner(&self.cluster, &self.pools).renew(&mut self.session, &frames);
        self.batch.clear();
        // It was understood before.
        let _ = self.plan();
        self.batch.end = end;
    }

    /// A read that is whole in the buffer can be asked of another node.
    fn is_movable(&self) -> bool {
        let whole = self.batch.end == Some(End::Ready)
            && self.batch.frames.last().is_none_or(|frame| frame.later == 0);
        whole && self.batch.wants() == Wants::Read
    }

    fn note_retry(&mut self, ended: &Ended, avoid: &mut NodeSet) {
        let reason = match ended {
            Ended::Retry(fault) | Ended::Fatal(fault) => fault.sqlstate(),
            _ => "connection_lost",
        };
        if let Some(node) = self.node {
            // The primary is where a read goes that nobody else can answer.
            if self.cluster.is_replica(node) {
                avoid.insert(node);
            }
            if matches!(ended, Ended::Retry(fault) if fault.is_of_a_standby()) {
                *avoid = self.cluster.replicas();
                self.remember_refusal();
            }
            if matches!(ended, Ended::ServerLost(_)) {
                self.cluster.monitor.report_failure(node, "connection lost");
            }
        }
        self.cluster.counters.retries.with(reason).increment();
        if let Some(usage) = &self.batch.usage {
            usage.retried();
        }
        self.trace_retry();
        tracing::debug!(client = self.entry.id, ?ended, "a read is asked of another node");
        self.drop_server();
    }

    /// A replica refused the batch: statements like its own go to the primary at once. Which of
    /// several it was is not known, and a read loses little by being there.
    fn remember_refusal(&self) {
        let runs = |frame: &&Planned| matches!(frame.item, Item::Query(_) | Item::Bind { .. });
        if self.batch.frames.iter().filter(runs).count() != 1 {
            // Which of several was refused is not known, and the others are innocent.
            return;
        }
        let (classifier, catalog) = (&self.cluster.classifier, self.pools.catalog.current());
        let mut rest = &self.input[..];
        for frame in &self.batch.frames {
            let (this, next) = rest.split_at(frame.here.min(rest.len()));
            rest = next;
            match &frame.item {
                Item::Query(_) => {
                    if let Some((sql, _)) = this.get(HEADER..).and_then(wire::cstr) {
                        classifier.remember(sql, &catalog);
                    }
                }
                Item::Bind { statement: Some(statement), .. } => {
                    statement.refuse();
                    classifier.remember(statement.query(), &catalog);
                }
                _ => {}
            }
        }
    }

    /// Routes the batch and leases a server for it.
    async fn find_server(&mut self, avoid: NodeSet) -> Result<Result<(), Refusal>, Leaving> {
        let wants = self.batch.wants();
        let wanted = match self.wanted(wants) {
            Ok(wanted) => wanted,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.shuns_primary = wanted.shuns_primary();
        let (known, turn) = (self.session.known, self.cluster.turn());
        let errand = Errand { wants, wanted, known, wrote: None, avoid, turn };
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
        let Found { lease, decision, node } = found;
        let because = decision.because;
        let route = LastRoute { node, because, waited };
        *self.entry.last_route.lock() = Some(route);
        self.trace_route(route);
        self.cluster.counters.routed(decision.because);
        let (server, key) = (lease.entry.id, lease.cancel.clone());
        lease.entry.client.store(self.entry.id, Ordering::Relaxed);
        if wants != Wants::Read {
            lease.entry.writer.store(self.entry.id, Ordering::Relaxed);
        }
        self.entry.link.set(CancelTarget { node, server, key });
        self.entry.set_state(ClientState::Active);
        self.cluster.begin(node, wants);
        self.node = Some(node);
        self.link = Some(lease);
        Ok(Ok(()))
    }
}
