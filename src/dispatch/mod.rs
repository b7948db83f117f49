//! Where work goes and what serves it: the decision of [`crate::route`] over what the monitor sees,
//! and a lease of a pool, with all the waiting in between. Free of any protocol.

use crate::counters::Counters;
use crate::door::attendance::{Attendance, Guest, GuestLimits, Limit, Place};
use crate::monitor::Handle;
use crate::pool::{self, Budget, Connector, Lease, Pool, PoolError};
use crate::refusal::Refusal;
use crate::route::{self, Ask, Because, Consistency, Decision, Fallback, Known, Target, Wants};
use crate::topology::{NodeId, NodeSet, Role};
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What an engine's connector fails with.
pub trait Failure {
    /// The node itself is at fault, not this user or database.
    fn is_node_failure(&self) -> bool;
    /// What the client is told of a login that the server refused.
    fn refusal(&self, node: Arc<str>) -> Refusal;
}

/// What can change while the proxy runs.
#[derive(Clone, Debug)]
pub struct Live {
    pub route: route::Settings,
    /// How long work waits for a primary.
    pub hold: Duration,
}

/// What a server connection is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Errand {
    pub wants: Wants,
    /// What the session asked for; `None`: what the cluster is configured for.
    pub consistency: Option<Consistency>,
    pub known: Known,
    /// Nodes that failed it already.
    pub avoid: NodeSet,
    /// Its turn among equal nodes: [`Dispatch::turn`], the same for all looks at one errand.
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

/// The part of a cluster that decides and lends.
pub struct Dispatch {
    pub name: Arc<str>,
    /// Their names, in their order.
    nodes: Vec<Arc<str>>,
    pub monitor: Handle,
    pub counters: Counters,
    pub live: ArcSwap<Live>,
    pub pool_settings: Arc<ArcSwap<pool::Settings>>,
    pub budgets: Vec<Arc<Budget>>,
    paused: watch::Sender<bool>,
    tie: AtomicU32,
    clients: Arc<Attendance>,
}

/// How long to wait at most before looking at the cluster again.
const RECHECK: Duration = Duration::from_millis(100);

impl Dispatch {
    pub fn new(
        name: Arc<str>,
        nodes: Vec<Arc<str>>,
        monitor: Handle,
        live: Live,
        pool: pool::Settings,
    ) -> Dispatch {
        let budgets = nodes.iter().map(|_| Arc::new(Budget::new(pool.max_per_node))).collect();
        Dispatch {
            name,
            nodes,
            monitor,
            counters: Counters::default(),
            live: ArcSwap::from_pointee(live),
            pool_settings: Arc::new(ArcSwap::from_pointee(pool)),
            budgets,
            paused: watch::channel(false).0,
            tie: AtomicU32::new(0),
            clients: Arc::default(),
        }
    }

    /// The next turn among equal nodes.
    pub fn turn(&self) -> u32 {
        self.tie.fetch_add(1, Ordering::Relaxed)
    }

    /// Decides where work of this kind goes and leases a server there, if that needs no waiting.
    pub fn try_find<C: Connector>(
        &self,
        choice: &Choice<'_, C>,
        errand: Errand,
    ) -> Option<Found<C>> {
        if self.is_paused() {
            return None;
        }
        let now = Instant::now();
        let decision = self.decide(errand, &self.live.load(), now, now);
        let Target::Node(node) = decision.to else { return None };
        let lease = choice.nodes[usize::from(node.0)].try_lease()?;
        // A pause that began meanwhile may have counted without this lease.
        if self.is_paused() {
            lease.give_back();
            return None;
        }
        Some(Found { lease, decision, node })
    }

    /// As [`Dispatch::try_find`], but waits for a free server connection, and for a primary as long
    /// as `failover.hold` allows.
    pub async fn find<C: Connector<Error: Failure>>(
        &self,
        choice: &Choice<'_, C>,
        mut errand: Errand,
    ) -> Result<Found<C>, Refusal> {
        self.while_paused().await;
        let live = self.live.load();
        let started = Instant::now();
        let mut changes = None;
        loop {
            let decision = self.decide(errand, &live, started, Instant::now());
            let primary = self.monitor.published().load().primary.map(Target::Node);
            let replica = errand.wants == Wants::Read && Some(decision.to) != primary;
            let cause = match decision.to {
                Target::Node(node) => match self.lease(choice, node).await {
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
                        Some((node, error.to_string()))
                    }
                    Err(error) => return Err(self.pool_refusal(choice, node, error)),
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

    fn decide(&self, errand: Errand, live: &Live, started: Instant, now: Instant) -> Decision {
        let seen = self.monitor.published().load();
        let in_time = now.duration_since(started) < live.route.read_wait;
        let mut ask = Ask {
            wants: errand.wants,
            consistency: errand.consistency.unwrap_or(live.route.consistency),
            place: route::Place::Anywhere,
            max_staleness: live.route.max_staleness,
            known: errand.known,
            after: None,
            arrived: started,
            avoid: errand.avoid,
            fallback: Fallback::Error,
            tie: errand.turn,
        };
        if !(in_time && route::may_wait_for_replica(&ask, &seen)) {
            ask.fallback = live.route.fallback;
        }
        route::route(&ask, &seen, now)
    }

    fn patience(&self, because: Because, live: &Live) -> Duration {
        match because {
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

    pub fn node_name(&self, node: NodeId) -> Arc<str> {
        self.nodes[usize::from(node.0)].clone()
    }

    pub fn is_replica(&self, node: NodeId) -> bool {
        self.monitor.published().load().node(node).role == Role::Replica
    }

    /// Work begins on `node`.
    pub fn begin(&self, node: NodeId, wants: Wants) {
        let seen = self.monitor.published().load();
        let load = &seen.node(node).load;
        load.outstanding.fetch_add(1, Ordering::Relaxed);
        let served = if wants == Wants::Read { &load.reads } else { &load.writes };
        served.fetch_add(1, Ordering::Relaxed);
        self.counters.transactions.increment();
    }

    /// It ended.
    pub fn end(&self, node: NodeId) {
        let seen = self.monitor.published().load();
        seen.node(node).load.outstanding.fetch_sub(1, Ordering::Relaxed);
    }

    async fn while_paused(&self) {
        if *self.paused.borrow() {
            // An error would mean that the cluster is gone, and nobody waits then.
            let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
        }
    }

    /// New work waits from now on; `lent` tells how many connections are still in use.
    pub async fn pause(&self, lent: impl Fn() -> usize) {
        self.paused.send_replace(true);
        while lent() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// A place for a client from `address`, or which limit forbids it.
    pub fn admit(&self, address: IpAddr) -> Result<Place, Refusal> {
        let settings = self.pool_settings.load();
        let all = Limit::new(settings.max_clients, "pool.max_clients");
        let here = Limit::new(settings.max_clients_per_address, "pool.max_clients_per_address");
        self.clients.admit(address, &self.name, (&all, &here))
    }

    /// What limits a client whose login is over; `own`: the limit of its user.
    pub fn guest_limits(&self, guest: &Guest, own: Option<usize>) -> GuestLimits {
        let settings = self.pool_settings.load();
        let (user, database) = (&guest.user, &guest.database);
        GuestLimits {
            user: match own {
                Some(most) => Limit::new(most, format!("auth.users.{user}.max_clients")),
                None => Limit::new(settings.max_clients_per_user, "pool.max_clients_per_user"),
            },
            database: match settings.databases.get(&**database) {
                Some(own) => {
                    Limit::new(own.max_clients, format!("pool.databases.{database}.max_clients"))
                }
                None => {
                    Limit::new(settings.max_clients_per_database, "pool.max_clients_per_database")
                }
            },
            replication: Limit::new(settings.max_replication, "pool.max_replication"),
        }
    }

    pub fn reconfigure(&self, live: Live, pool: Arc<pool::Settings>) {
        self.budgets.iter().for_each(|b| b.set_limit(pool.max_per_node));
        self.pool_settings.store(pool);
        self.live.store(Arc::new(live));
    }
}
