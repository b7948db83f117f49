//! Where work goes and what serves it: the decision of [`crate::route`] over what the monitor sees,
//! and a lease of a pool, with all the waiting in between. Free of any protocol.

mod explain;
mod find;
mod guests;
mod pause;
mod position;
mod slow;
mod standing;
mod traced;
mod wanted;

pub use find::{Choice, Errand, Failure, Found};
pub use slow::{Slow, SlowLog};
pub use standing::Standing;
pub use traced::{Party, Traced};
pub use wanted::{Wanted, Words};

use crate::counters::Counters;
use crate::door::attendance::Attendance;
use crate::monitor::Handle;
use crate::pool::{self, Budget, Slot};
use crate::refusal::Refusal;
use crate::route::{self, Because, Places, Wants};
use crate::spans::Tracer;
use crate::topology::{NodeId, NodeSet, Position, Role};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// What can change while the proxy runs.
#[derive(Clone, Debug)]
pub struct Live {
    pub route: route::Settings,
    /// How long work waits for a primary.
    pub hold: Duration,
}

/// What a dispatch is made of.
pub struct Parts {
    /// The cluster's name.
    pub name: Arc<str>,
    /// The nodes' names, in their order.
    pub nodes: Vec<Arc<str>>,
    /// The words for nodes and groups.
    pub places: Places,
    pub monitor: Handle,
    pub live: Live,
    pub pool: pool::Settings,
    /// That of the process.
    pub tracer: Arc<Tracer>,
}

/// The part of a cluster that decides and lends.
pub struct Dispatch {
    pub name: Arc<str>,
    node_names: Vec<Arc<str>>,
    pub places: Places,
    pub monitor: Handle,
    pub counters: Counters,
    pub live: ArcSwap<Live>,
    pub pool_settings: Arc<ArcSwap<pool::Settings>>,
    pub budgets: Vec<Arc<Budget>>,
    pub slow: SlowLog,
    pub tracer: Arc<Tracer>,
    paused: watch::Sender<bool>,
    disabled: AtomicBool,
    tie: AtomicU32,
    clients: Arc<Attendance>,
}

/// Where the last statement of a client went and why.
#[derive(Clone, Copy, Debug)]
pub struct LastRoute {
    pub node: NodeId,
    pub because: Because,
    /// How long its transaction waited for the server connection.
    pub waited: Duration,
}

impl Dispatch {
    pub fn new(parts: Parts) -> Dispatch {
        let limit = parts.pool.max_per_node;
        let budgets = parts.nodes.iter().map(|_| Arc::new(Budget::new(limit))).collect();
        Dispatch {
            name: parts.name,
            node_names: parts.nodes,
            places: parts.places,
            monitor: parts.monitor,
            counters: Counters::default(),
            live: ArcSwap::from_pointee(parts.live),
            pool_settings: Arc::new(ArcSwap::from_pointee(parts.pool)),
            budgets,
            slow: SlowLog::default(),
            tracer: parts.tracer,
            paused: watch::channel(false).0,
            disabled: AtomicBool::new(false),
            tie: AtomicU32::new(0),
            clients: Arc::default(),
        }
    }

    /// The next turn among equal nodes.
    pub fn turn(&self) -> u32 {
        self.tie.fetch_add(1, Ordering::Relaxed)
    }

    pub fn node_name(&self, node: NodeId) -> Arc<str> {
        self.node_names[usize::from(node.0)].clone()
    }

    pub fn is_replica(&self, node: NodeId) -> bool {
        self.monitor.published().load().node(node).role == Role::Replica
    }

    pub fn replicas(&self) -> NodeSet {
        let seen = self.monitor.published().load();
        let mut replicas = NodeSet::default();
        let all = seen.nodes.iter().filter(|node| node.role == Role::Replica);
        all.for_each(|node| replicas.insert(node.id));
        replicas
    }

    /// The node reigned once, and serves nothing until it follows.
    pub fn is_deposed(&self, node: NodeId) -> bool {
        self.monitor.published().load().node(node).role == Role::Fenced
    }

    /// The node is not reached, and there is a primary that reads can go to.
    pub fn is_replaceable(&self, node: NodeId) -> bool {
        let seen = self.monitor.published().load();
        matches!(seen.node(node).role, Role::Unknown(_)) && seen.primary().is_some()
    }

    /// All that is written here has one order: who has a transaction has all before it.
    pub fn has_one_order(&self) -> bool {
        let seen = self.monitor.published().load();
        let position = seen.primary().and_then(|primary| primary.position.as_ref());
        position.is_some_and(Position::has_one_order)
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

    /// Room for a server connection to `node` that belongs to no pool.
    pub fn slot(&self, node: NodeId) -> Result<Slot, Refusal> {
        let budget = &self.budgets[usize::from(node.0)];
        budget.reserve().ok_or_else(|| {
            let (name, most) = (self.node_name(node), budget.limit());
            let what = format!("node {name} (pool.max_per_node = {most}) has none left");
            Refusal::PoolExhausted { what, waited: Duration::ZERO }
        })
    }

    pub fn reconfigure(&self, live: Live, pool: Arc<pool::Settings>) {
        self.budgets.iter().for_each(|b| b.set_limit(pool.max_per_node));
        self.pool_settings.store(pool);
        self.live.store(Arc::new(live));
    }
}
