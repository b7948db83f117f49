//! Which server work gets, and the wait for it.

use super::{Dispatch, Live, Wanted};
use crate::pool::{self, Connector, Lease, Pool, PoolError};
use crate::refusal::Refusal;
use crate::route::{self, Ask, Because, Decision, Fallback, Known, Target, Wants};
use crate::topology::{NodeId, NodeSet, Position, Snapshot};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an engine's connector fails with.
pub trait Failure {
    /// The node itself is at fault, not this user or database.
    fn is_node_failure(&self) -> bool;
    /// What the client is told of a login that the server refused.
    fn refusal(&self, node: Arc<str>) -> Refusal;
}

/// What a server connection is wanted for.
#[derive(Clone, Debug)]
pub struct Errand {
    pub wants: Wants,
    /// What its user wants of a read, beyond what the cluster is configured for.
    pub wanted: Wanted,
    pub known: Known,
    /// See [`Ask::wrote`].
    pub wrote: Option<Arc<Position>>,
    /// Nodes that failed it already.
    pub avoid: NodeSet,
    /// Its turn among equal nodes: [`Dispatch::turn`], the same for all looks at one errand, or
    /// a node whose pool is still empty would be passed over for its neighbour time and again.
    pub turn: u32,
}

/// A server connection, and why this one.
pub struct Found<C: Connector> {
    pub lease: Lease<C>,
    pub decision: Decision,
    pub node: NodeId,
}

/// The pools that one kind of client uses, one for each node, and what they are called in errors.
pub struct Choice<'a, C: Connector> {
    pub user: &'a str,
    pub database: &'a str,
    pub nodes: &'a [Arc<Pool<C>>],
}

/// What work still needs.
enum Lack {
    /// A node, for this reason, and why the last one could not be reached.
    Node(Because, Option<(NodeId, String)>),
    /// An answer of this replica to the monitor that is younger than the connection to it.
    Answer(NodeId),
}

impl Lack {
    fn because(&self) -> Because {
        match self {
            Lack::Node(because, _) => *because,
            Lack::Answer(_) => Because::NoFreshReplica,
        }
    }
}

/// How long to wait at most before looking at the cluster again.
const RECHECK: Duration = Duration::from_millis(100);

impl Dispatch {
    /// Decides where work of this kind goes and leases a server there, if that needs no waiting.
    pub fn try_find<C: Connector>(
        &self,
        choice: &Choice<'_, C>,
        errand: &Errand,
    ) -> Option<Found<C>> {
        if self.is_paused() {
            return None;
        }
        let (now, live, seen) = (Instant::now(), self.live.load(), self.monitor.published().load());
        let decision = self.decide(errand, &live, &seen, (now, now));
        let Target::Node(node) = decision.to else { return None };
        let lease = choice.nodes[usize::from(node.0)].try_lease()?;
        let holds = errand.wants != Wants::Read
            || route::holds_for(&self.ask(errand, &live, now), seen.node(node), lease.opened());
        // A pause that began meanwhile may have counted without this lease.
        if !holds || self.is_paused() {
            lease.give_back();
            return None;
        }
        if self.is_deposed(node) {
            return None;
        }
        Some(Found { lease, decision, node })
    }

    /// As [`Dispatch::try_find`], but waits for a free server connection, and for a primary as
    /// long as `failover.hold` allows.
    pub async fn find<C: Connector<Error: Failure>>(
        &self,
        choice: &Choice<'_, C>,
        mut errand: Errand,
    ) -> Result<Found<C>, Refusal> {
        self.while_paused().await;
        let live = self.live.load_full();
        let started = Instant::now();
        let (mut changes, mut refused) = (None, None);
        loop {
            // One look at the clock, so that what may no longer wait is also decided so.
            let now = Instant::now();
            let decision = self.decide_now(&errand, &live, (started, now));
            let lacks = match decision.to {
                Target::Nobody => Lack::Node(decision.because, None),
                Target::Node(node) => match self.lease(choice, node).await {
                    // The reign ended while a connection was waited for: it is closed.
                    Ok(_) if self.is_deposed(node) => continue,
                    Ok(lease) if self.is_paused() => {
                        lease.give_back();
                        self.while_paused().await;
                        continue;
                    }
                    Ok(lease) if self.still_holds(&errand, &live, started, &lease, node) => {
                        return Ok(Found { lease, decision, node });
                    }
                    Ok(lease) => {
                        lease.give_back();
                        Lack::Answer(node)
                    }
                    Err(PoolError::Connect(error)) if error.is_node_failure() => {
                        self.monitor.report_failure(node, &error.to_string());
                        if errand.wants == Wants::Read && !self.is_primary(node) {
                            errand.avoid.insert(node);
                            continue;
                        }
                        Lack::Node(decision.because, Some((node, error.to_string())))
                    }
                    // The user or the database may be too young for this replica.
                    Err(error @ PoolError::Connect(_))
                        if errand.wants == Wants::Read && !self.is_primary(node) =>
                    {
                        refused = Some(self.pool_refusal(choice, node, error));
                        errand.avoid.insert(node);
                        continue;
                    }
                    Err(error) => return Err(self.pool_refusal(choice, node, error)),
                },
            };
            let limit = self.patience(lacks.because(), &live);
            let Some(left) = limit.checked_sub(now - started).filter(|l| !l.is_zero()) else {
                match lacks {
                    Lack::Answer(node) => errand.avoid.insert(node),
                    Lack::Node(because, cause) => {
                        return Err(
                            refused.unwrap_or_else(|| self.gave_up(because, cause, now - started))
                        );
                    }
                }
                continue;
            };
            if lacks.because() == Because::NoFreshReplica {
                // Whoever waits shares the answers.
                self.monitor.nudge();
            }
            let changes = changes.get_or_insert_with(|| self.monitor.published().changes());
            // Something may have changed before we subscribed: look again soon in any case.
            let _ = tokio::time::timeout(left.min(RECHECK), changes.changed()).await;
        }
    }

    /// Whether the node may answer the read over this connection, as it was seen last: waiting for
    /// the connection took its time.
    fn still_holds<C: Connector>(
        &self,
        errand: &Errand,
        live: &Live,
        started: Instant,
        lease: &Lease<C>,
        node: NodeId,
    ) -> bool {
        let seen = self.monitor.published().load();
        if errand.wants != Wants::Read || seen.primary == Some(node) {
            return true;
        }
        let (ask, view) = (self.ask(errand, live, started), seen.node(node));
        route::why_not(&ask, view, Instant::now()).is_none()
            && route::holds_for(&ask, view, lease.opened())
    }

    fn is_primary(&self, node: NodeId) -> bool {
        self.monitor.published().load().primary == Some(node)
    }

    fn decide_now(&self, errand: &Errand, live: &Live, times: (Instant, Instant)) -> Decision {
        self.decide(errand, live, &self.monitor.published().load(), times)
    }

    fn decide(
        &self,
        errand: &Errand,
        live: &Live,
        seen: &Snapshot,
        (started, now): (Instant, Instant),
    ) -> Decision {
        let mut ask = self.ask(errand, live, started);
        let in_time = now.duration_since(started) < live.route.read_wait;
        if !(in_time && route::may_wait_for_replica(&ask, seen)) {
            ask.fallback = live.route.fallback;
        }
        route::route(&ask, seen, now)
    }

    /// The question to the router: what is wanted, and what is configured where nothing is.
    pub(super) fn ask<'a>(&self, errand: &'a Errand, live: &Live, started: Instant) -> Ask<'a> {
        let wish = errand.wanted.wish;
        Ask {
            wants: errand.wants,
            place: wish.place.unwrap_or_default(),
            consistency: wish.consistency.unwrap_or(live.route.consistency),
            max_staleness: wish.max_staleness.unwrap_or(live.route.max_staleness),
            known: errand.known,
            wrote: errand.wrote.as_deref(),
            after: errand.wanted.after.as_deref(),
            arrived: started,
            avoid: errand.avoid,
            fallback: Fallback::Wait,
            tie: errand.turn,
        }
    }

    fn patience(&self, because: Because, live: &Live) -> Duration {
        match because {
            Because::NoFreshReplica if live.route.fallback == Fallback::Wait => {
                self.pool_settings.load().query_wait
            }
            Because::NoFreshReplica => live.route.read_wait,
            _ => live.hold,
        }
    }

    async fn lease<C: Connector>(
        &self,
        choice: &Choice<'_, C>,
        node: NodeId,
    ) -> Result<Lease<C>, PoolError<C::Error>> {
        let pool = &choice.nodes[usize::from(node.0)];
        if let Some(lease) = pool.try_lease() {
            return Ok(lease);
        }
        let started = Instant::now();
        let leased = pool.lease().await;
        self.counters.waits.observe(started.elapsed());
        leased
    }

    fn gave_up(
        &self,
        because: Because,
        cause: Option<(NodeId, String)>,
        waited: Duration,
    ) -> Refusal {
        let cluster = self.name.clone();
        match (cause, because) {
            (Some((node, cause)), _) => {
                Refusal::ServerUnreachable { node: self.node_name(node), cause }
            }
            (None, Because::NoFreshReplica) => Refusal::NoFreshReplica { cluster },
            (None, _) => Refusal::NoPrimary { cluster, waited },
        }
    }

    fn pool_refusal<C: Connector<Error: Failure>>(
        &self,
        Choice { user, database, .. }: &Choice<'_, C>,
        node: NodeId,
        error: PoolError<C::Error>,
    ) -> Refusal {
        let node = self.node_name(node);
        match error {
            PoolError::Exhausted { waited, limit } => {
                let pool = format!("pool of user {user} and database {database} on node {node}");
                let what = match limit {
                    pool::Limit::Pool(size) => {
                        format!("the {pool} (pool.size = {size}) is exhausted")
                    }
                    pool::Limit::Node(most) => format!(
                        "node {node} (pool.max_per_node = {most}) leaves none to the {pool}"
                    ),
                };
                Refusal::PoolExhausted { what, waited }
            }
            PoolError::Connect(error) => {
                tracing::warn!(node = &*node, user, %error, "no server connection");
                error.refusal(node)
            }
        }
    }
}
