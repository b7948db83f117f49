//! Which server a batch gets, and the wait for it.

use super::{Cluster, Lease, Live, UserPools};
use crate::pg::connect::ConnectError;
use crate::pg::session::wishes::Wanted;
use crate::pool::{self, PoolError};
use crate::refusal::Refusal;
use crate::route::{self, Ask, Because, Decision, Fallback, Known, Target, Wants};
use crate::topology::{NodeId, NodeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long to wait at most before looking at the cluster again.
const RECHECK: Duration = Duration::from_millis(100);

/// What a server connection is wanted for.
#[derive(Clone, Debug)]
pub struct Errand {
    pub wants: Wants,
    /// What its user wants of a read, beyond what the cluster is configured for.
    pub wanted: Wanted,
    pub known: Known,
    /// Nodes that failed it already.
    pub avoid: NodeSet,
    /// Its turn among equal nodes: [`Cluster::turn`], the same for all looks at one errand, or
    /// a node whose pool is still empty would be passed over for its neighbour time and again.
    pub turn: u32,
}

/// A server connection, and why this one.
pub struct Found {
    pub lease: Lease,
    pub decision: Decision,
    pub node: NodeId,
}

impl Cluster {
    /// The next turn among equal nodes.
    pub fn turn(&self) -> u32 {
        self.tie.fetch_add(1, Ordering::Relaxed)
    }

    /// Decides where work of this kind goes and leases a server there, if that needs no waiting.
    pub fn try_find(&self, pools: &UserPools, errand: &Errand) -> Option<Found> {
        if self.is_paused() {
            return None;
        }
        let now = Instant::now();
        let decision = self.decide(errand, &self.live.load(), (now, now));
        let Target::Node(node) = decision.to else { return None };
        let lease = pools.nodes[usize::from(node.0)].try_lease()?;
        // A pause that began meanwhile may have counted without this lease.
        if self.is_paused() {
            lease.give_back();
            return None;
        }
        Some(Found { lease, decision, node })
    }

    /// As [`Cluster::try_find`], but waits for a free server connection, and for a primary as
    /// long as `failover.hold` allows.
    pub async fn find(&self, pools: &UserPools, mut errand: Errand) -> Result<Found, Refusal> {
        self.while_paused().await;
        let live = self.live.load();
        let started = Instant::now();
        let mut changes = None;
        loop {
            let decision = self.decide(&errand, &live, (started, Instant::now()));
            let primary = self.monitor.published().load().primary.map(Target::Node);
            let replica = errand.wants == Wants::Read && Some(decision.to) != primary;
            let cause = match decision.to {
                Target::Node(node) => match self.lease(pools, node).await {
                    Ok(lease) if self.is_paused() => {
                        lease.give_back();
                        self.while_paused().await;
                        continue;
                    }
                    Ok(lease) => return Ok(Found { lease, decision, node }),
                    Err(PoolError::Connect(error)) if error.is_node_failure() => {
                        self.monitor.report_failure(node, &error.to_string());
                        if replica {
                            errand.avoid.insert(node);
                            continue;
                        }
                        Some((node, error))
                    }
                    Err(error) => return Err(self.pool_refusal(pools, node, error)),
                },
                Target::Nobody => None,
            };
            let limit = self.patience(decision.because, &live);
            let Some(left) = limit.checked_sub(started.elapsed()).filter(|l| !l.is_zero()) else {
                return Err(self.gave_up(decision.because, cause, started.elapsed()));
            };
            if decision.because == Because::NoFreshReplica {
                // Whoever waits shares the answers.
                self.monitor.nudge();
            }
            let changes = changes.get_or_insert_with(|| self.monitor.published().changes());
            // Something may have changed before we subscribed: look again soon in any case.
            let _ = tokio::time::timeout(left.min(RECHECK), changes.changed()).await;
        }
    }

    fn decide(&self, errand: &Errand, live: &Live, (started, now): (Instant, Instant)) -> Decision {
        let seen = self.monitor.published().load();
        let mut ask = self.ask(errand, live, started);
        let in_time = now.duration_since(started) < live.route.read_wait;
        if !(in_time && route::may_wait_for_replica(&ask, &seen)) {
            ask.fallback = live.route.fallback;
        }
        route::route(&ask, &seen, now)
    }

    /// The question to the router: what is wanted, and what is configured where nothing is.
    fn ask<'a>(&self, errand: &'a Errand, live: &Live, started: Instant) -> Ask<'a> {
        let wish = errand.wanted.wish;
        Ask {
            wants: errand.wants,
            place: wish.place.unwrap_or_default(),
            consistency: wish.consistency.unwrap_or(live.route.consistency),
            max_staleness: wish.max_staleness.unwrap_or(live.route.max_staleness),
            known: errand.known,
            after: errand.wanted.after.as_deref(),
            arrived: started,
            avoid: errand.avoid,
            fallback: Fallback::Wait,
            tie: errand.turn,
        }
    }

    /// Where such work would go now, and each node's part in it.
    pub fn explain(&self, errand: &Errand) -> Vec<String> {
        let (seen, live, now) = (self.monitor.snapshot(), self.live.load(), Instant::now());
        let ask = Ask { fallback: live.route.fallback, ..self.ask(errand, &live, now) };
        let decision = route::route(&ask, &seen, now);
        let to = match decision.to {
            Target::Node(node) => self.node_name(node),
            Target::Nobody => "nowhere".into(),
        };
        let because = decision.because;
        let mut lines = vec![
            format!("Route: {to} ({}): {}", because.name(), because.explain()),
            format!(
                "Reads: consistency {}, max_staleness {:?}",
                ask.consistency.name(),
                ask.max_staleness
            ),
        ];
        lines.extend(seen.nodes.iter().map(|node| {
            let age = node.fresh_as_of.map(|fresh| now.saturating_duration_since(fresh));
            let age = age.map_or("of unknown age".into(), |age| format!("at most {age:.1?} old"));
            let part = match route::why_not(&ask, node, now) {
                None => "may answer it",
                Some(obstacle) => obstacle.explain(),
            };
            format!("  {}: {}, {age}: {part}", node.name, node.role.name())
        }));
        lines
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

    async fn lease(
        &self,
        pools: &UserPools,
        node: NodeId,
    ) -> Result<Lease, PoolError<ConnectError>> {
        let pool = &pools.nodes[usize::from(node.0)];
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
        cause: Option<(NodeId, ConnectError)>,
        waited: Duration,
    ) -> Refusal {
        let cluster = self.name.clone();
        match (cause, because) {
            (Some((node, error)), _) => {
                Refusal::ServerUnreachable { node: self.node_name(node), cause: error.to_string() }
            }
            (None, Because::NoFreshReplica) => Refusal::NoFreshReplica { cluster },
            (None, _) => Refusal::NoPrimary { cluster, waited },
        }
    }

    fn pool_refusal(
        &self,
        pools: &UserPools,
        node: NodeId,
        error: PoolError<ConnectError>,
    ) -> Refusal {
        let node = self.node_name(node);
        match error {
            PoolError::Exhausted { waited, limit } => {
                let UserPools { user, database, .. } = pools;
                let pool = format!("pool of user {user} and database {database} on node {node}");
                let what = match limit {
                    pool::Limit::Pool(size) => {
                        format!("the {pool} (pool.size = {size}) is exhausted")
                    }
                    pool::Limit::Node(most) => {
                        format!(
                            "node {node} (pool.max_per_node = {most}) leaves none to the {pool}"
                        )
                    }
                };
                Refusal::PoolExhausted { what, waited }
            }
            PoolError::Connect(ConnectError::Refused { code, message }) => {
                tracing::warn!(node = &*node, user = &*pools.user, code, message, "login refused");
                Refusal::ServerEnded { node, code, message }
            }
            PoolError::Connect(error) => {
                tracing::warn!(node = &*node, user = &*pools.user, %error, "no server connection");
                Refusal::ServerRefused { node, cause: error.to_string() }
            }
        }
    }
}
