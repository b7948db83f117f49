//! One PostgreSQL cluster as its clients use it: its nodes, pools and settings.

mod find;

pub use find::{Errand, Found};

use super::attendance::{Attendance, Guest, GuestLimits, Limit, Place};
use super::auth::throttle::Throttle;
use super::auth::{self, ServerSecret, UserTable};
use super::catalog::{self, Catalogs, Database};
use super::connect::{Node, PgConnector};
use super::counters::Counters;
use super::listen::Hubs;
use super::replication::Destination;
use super::statement::Statements;
use super::welcome::Welcomes;
use crate::monitor::Handle;
use crate::pool::{self, Budget, Pool, Slot};
use crate::refusal::Refusal;
use crate::route::{self, Places, Wants};
use crate::sql::Classifier;
use crate::topology::{NodeId, NodeSet, Role};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;

pub type Lease = pool::Lease<PgConnector>;
pub type PgPool = Pool<PgConnector>;

/// What can change while the proxy runs.
#[derive(Clone, Debug)]
pub struct Live {
    pub route: route::Settings,
    /// How long work waits for a primary.
    pub hold: Duration,
    pub auth: Arc<auth::Settings>,
    pub replication: Destination,
}

pub struct Cluster {
    pub name: Arc<str>,
    /// `None`: any.
    pub databases: Option<Vec<Arc<str>>>,
    pub nodes: Vec<Arc<Node>>,
    /// The words for its nodes and groups.
    pub places: Places,
    pub monitor: Handle,
    pub classifier: Arc<Classifier>,
    pub statements: Statements,
    pub counters: Counters,
    pub live: ArcSwap<Live>,
    pub pool_settings: Arc<ArcSwap<pool::Settings>>,
    pub users: UserTable,
    pub throttle: Throttle,
    pub welcomes: Welcomes,
    /// Users that the database was asked for.
    pub asked: super::users::Asked,
    /// Who listens in the place of sessions.
    pub hubs: Hubs,
    /// What the names in statements mean.
    pub catalogs: Catalogs,
    budgets: Vec<Arc<Budget>>,
    pools: Mutex<HashMap<PoolKey, Arc<UserPools>>>,
    paused: watch::Sender<bool>,
    tie: AtomicU32,
    clients: Arc<Attendance>,
}

type PoolKey = (Arc<str>, Arc<str>);

/// The pools of one user and database, one for each node, in the nodes' order.
pub struct UserPools {
    pub user: Arc<str>,
    pub database: Arc<str>,
    /// Who logs in to the servers.
    server_user: Arc<str>,
    pub nodes: Vec<Arc<PgPool>>,
    pub catalog: Arc<Database>,
    /// Somebody asked for `currval` or `lastval` here.
    pub sequences: AtomicBool,
    secret: Arc<ArcSwap<ServerSecret>>,
}

#[cfg(test)]
impl UserPools {
    /// Without any node.
    pub(super) fn none(user: &str, database: &str) -> UserPools {
        let server_user = user.into();
        let (sequences, secret, nodes) = Default::default();
        UserPools {
            user: user.into(),
            database: database.into(),
            server_user,
            nodes,
            catalog: Database::unknown(database),
            sequences,
            secret,
        }
    }
}

/// What a cluster is made of.
pub struct Parts {
    pub name: Arc<str>,
    pub databases: Option<Vec<Arc<str>>>,
    pub nodes: Vec<Arc<Node>>,
    pub places: Places,
    pub monitor: Handle,
    pub classifier: Arc<Classifier>,
    pub live: Live,
    pub pool: pool::Settings,
    pub users: UserTable,
    pub catalog: catalog::Settings,
}

/// Statements that are remembered for sharing.
const SHARED_STATEMENTS: usize = 10_000;

impl Cluster {
    pub fn new(parts: Parts) -> Cluster {
        let limit = parts.pool.max_per_node;
        let budgets = parts.nodes.iter().map(|_| Arc::new(Budget::new(limit))).collect();
        Cluster {
            name: parts.name,
            databases: parts.databases,
            nodes: parts.nodes,
            places: parts.places,
            monitor: parts.monitor,
            classifier: parts.classifier,
            statements: Statements::new(SHARED_STATEMENTS),
            counters: Counters::default(),
            live: ArcSwap::from_pointee(parts.live),
            pool_settings: Arc::new(ArcSwap::from_pointee(parts.pool)),
            users: parts.users,
            throttle: Throttle::default(),
            welcomes: Welcomes::default(),
            asked: Default::default(),
            hubs: Hubs::default(),
            catalogs: Catalogs::new(parts.catalog),
            budgets,
            pools: Mutex::default(),
            paused: watch::channel(false).0,
            tie: AtomicU32::new(0),
            clients: Arc::default(),
        }
    }

    /// The pools of this user and database; a secret that came with the login opens them.
    pub fn pools(&self, user: &str, database: &str, secret: &ServerSecret) -> Arc<UserPools> {
        let (server_user, secret) = self.users.current().opener(user, secret);
        let mut pools = self.pools.lock();
        let key: PoolKey = (Arc::from(user), Arc::from(database));
        let open = || self.open_pools(key.clone(), server_user.clone());
        let found = pools.entry(key.clone()).or_insert_with(open);
        if found.server_user != server_user {
            // A reload said so; clients that are here already keep what they have.
            *found = open();
        }
        if !secret.is_empty() {
            found.secret.store(Arc::new(secret));
        }
        let found = found.clone();
        drop(pools);
        self.catalogs.expect_use(&found.catalog);
        found
    }

    fn open_pools(&self, (user, database): PoolKey, server_user: Arc<str>) -> Arc<UserPools> {
        let secret = Arc::new(ArcSwap::from_pointee(ServerSecret::default()));
        let pool = |(node, budget): (&Arc<Node>, &Arc<Budget>)| {
            let connector = PgConnector {
                node: node.clone(),
                user: server_user.clone(),
                database: database.clone(),
                secret: secret.clone(),
                settings: self.pool_settings.clone(),
            };
            Pool::new(connector, self.pool_settings.load_full(), budget.clone())
        };
        let nodes = self.nodes.iter().zip(&self.budgets).map(pool).collect();
        let sequences = AtomicBool::new(false);
        let catalog = self.catalogs.of(&database);
        Arc::new(UserPools { user, database, server_user, nodes, catalog, sequences, secret })
    }

    pub fn all_pools(&self) -> Vec<Arc<UserPools>> {
        self.pools.lock().values().cloned().collect()
    }

    /// Closes the server connections to a database that no client uses now: they would be in the
    /// way of what needs it for itself.
    pub fn close_idle(&self, database: &str) {
        let pools = self.all_pools().into_iter().filter(|pools| *pools.database == *database);
        pools.for_each(|pools| pools.nodes.iter().for_each(|pool| pool.retire_all()));
        self.hubs.close_idle(database);
    }

    pub fn node_name(&self, node: NodeId) -> Arc<str> {
        self.nodes[usize::from(node.0)].name.clone()
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

    /// A transaction begins on `node`.
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

    pub(super) async fn while_paused(&self) {
        if *self.paused.borrow() {
            // An error would mean that the cluster is gone, and nobody waits then.
            let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
        }
    }

    /// New transactions wait from now on; resolves when none runs.
    pub async fn pause(&self) {
        self.paused.send_replace(true);
        while self.all_pools().iter().flat_map(|p| &p.nodes).any(|p| p.counts().lent > 0) {
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

    /// What limits a client whose login is over.
    pub fn guest_limits(&self, guest: &Guest) -> GuestLimits {
        let settings = self.pool_settings.load();
        let (user, database) = (&guest.user, &guest.database);
        GuestLimits {
            user: match self.users.current().max_clients(user) {
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

    /// Room for a server connection to `node` that belongs to no pool.
    pub(super) fn slot(&self, node: NodeId) -> Result<Slot, Refusal> {
        let budget = &self.budgets[usize::from(node.0)];
        budget.reserve().ok_or_else(|| {
            let (name, most) = (self.node_name(node), budget.limit());
            let what = format!("node {name} (pool.max_per_node = {most}) has none left");
            Refusal::PoolExhausted { what, waited: Duration::ZERO }
        })
    }

    pub fn reconfigure(&self, live: Live, pool: pool::Settings) {
        let pool = Arc::new(pool);
        self.budgets.iter().for_each(|b| b.set_limit(pool.max_per_node));
        self.pool_settings.store(pool.clone());
        self.live.store(Arc::new(live));
        for pools in self.all_pools() {
            pools.nodes.iter().for_each(|p| p.reconfigure(pool.clone()));
        }
    }
}
