//! One MySQL or MariaDB cluster as its clients use it: its nodes, pools and settings.

use super::auth::{ServerSecret, UserTable};
use super::connect::{COLLATION, Node};
use super::server::MyConnector;
use super::statement::Statements;
use super::wire::handshake::Greeting;
use crate::dispatch::{Choice, Dispatch, Live};
use crate::door::Policy;
use crate::door::throttle::Throttle;
use crate::pool::{self, Pool, Upkeep};
use crate::sql::mysql::{Classifier, Dialect};
use crate::topology::NodeId;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub type MyPool = Pool<MyConnector>;

/// What the servers of a cluster are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    Mysql,
    Mariadb,
}

impl Flavour {
    pub fn dialect(self) -> Dialect {
        match self {
            Flavour::Mysql => Dialect::MySql,
            Flavour::Mariadb => Dialect::MariaDb,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Flavour::Mysql => "mysql",
            Flavour::Mariadb => "mariadb",
        }
    }
}

pub struct Cluster {
    pub flavour: Flavour,
    /// `None`: any.
    pub databases: Option<Vec<Arc<str>>>,
    pub nodes: Vec<Arc<Node>>,
    pub users: UserTable,
    pub throttle: Throttle,
    pub policy: ArcSwap<Policy>,
    pub classifier: Classifier,
    pub(super) statements: Statements,
    dispatch: Dispatch,
    pools: Mutex<HashMap<PoolKey, Arc<UserPools>>>,
}

impl Deref for Cluster {
    type Target = Dispatch;
    fn deref(&self) -> &Dispatch {
        &self.dispatch
    }
}

/// Clients that differ in one of these need server connections that differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    pub user: Arc<str>,
    pub database: Option<Arc<str>>,
    pub capabilities: u32,
    pub collation: u8,
}

/// The pools of one kind of client, one for each node, in the nodes' order.
pub struct UserPools {
    pub user: Arc<str>,
    /// Empty: none.
    pub database: Arc<str>,
    server_user: Arc<str>,
    pub nodes: Vec<Arc<MyPool>>,
    /// Somebody asked here for what belongs to the statement before: ROW_COUNT() and its kin.
    pub asks: AtomicBool,
    secret: Arc<ArcSwap<ServerSecret>>,
}

impl UserPools {
    pub(super) fn choice(&self) -> Choice<'_, MyConnector> {
        Choice { user: &self.user, database: &self.database, nodes: &self.nodes }
    }
}

/// What a cluster is made of.
pub struct Parts {
    pub flavour: Flavour,
    pub databases: Option<Vec<Arc<str>>>,
    pub nodes: Vec<Arc<Node>>,
    pub users: UserTable,
    pub policy: Policy,
    pub classifier: Classifier,
    pub dispatch: Dispatch,
}

impl Cluster {
    pub fn new(parts: Parts) -> Cluster {
        Cluster {
            flavour: parts.flavour,
            databases: parts.databases,
            nodes: parts.nodes,
            users: parts.users,
            throttle: Throttle::default(),
            policy: ArcSwap::from_pointee(parts.policy),
            classifier: parts.classifier,
            statements: Statements::default(),
            dispatch: parts.dispatch,
            pools: Mutex::default(),
        }
    }

    /// The pools of such clients; a secret that came with the login opens them.
    pub fn pools(&self, key: PoolKey, secret: &ServerSecret) -> Arc<UserPools> {
        let (server_user, secret) = self.users.current().opener(&key.user, secret);
        let mut pools = self.pools.lock();
        let open = || self.open_pools(&key, server_user.clone());
        let found = pools.entry(key.clone()).or_insert_with(open);
        if found.server_user != server_user {
            // A reload said so; clients that are here already keep what they have.
            *found = open();
        }
        if !secret.is_empty() {
            found.secret.store(Arc::new(secret));
        }
        found.clone()
    }

    /// The pools of the same clients in another schema.
    pub(super) fn pools_like(&self, like: &UserPools, key: PoolKey) -> Arc<UserPools> {
        let secret = (**like.secret.load()).clone();
        let mut pools = self.pools.lock();
        let open = || self.open_pools(&key, like.server_user.clone());
        let found = pools.entry(key.clone()).or_insert_with(open);
        if !secret.is_empty() {
            found.secret.store(Arc::new(secret));
        }
        found.clone()
    }

    fn open_pools(&self, key: &PoolKey, server_user: Arc<str>) -> Arc<UserPools> {
        let secret = Arc::new(ArcSwap::from_pointee(ServerSecret::default()));
        let nodes = self.nodes.iter().zip(&self.budgets).map(|(node, budget)| {
            let connector = MyConnector {
                node: node.clone(),
                user: server_user.clone(),
                database: key.database.clone(),
                capabilities: key.capabilities,
                collation: key.collation,
                secret: secret.clone(),
                settings: self.pool_settings.clone(),
            };
            Pool::new(connector, self.pool_settings.load_full(), budget.clone())
        });
        Arc::new(UserPools {
            user: key.user.clone(),
            database: key.database.clone().unwrap_or_else(|| "".into()),
            nodes: nodes.collect(),
            asks: AtomicBool::new(false),
            server_user,
            secret,
        })
    }

    /// Shared prepared statements: how many, and what they take, in bytes, about.
    pub fn prepared(&self) -> (u64, u64) {
        self.statements.taken()
    }

    pub fn all_pools(&self) -> Vec<Arc<UserPools>> {
        self.pools.lock().values().cloned().collect()
    }

    /// How the servers introduce themselves: the primary, where it is known.
    pub(super) fn greeting(&self) -> Option<Arc<Greeting>> {
        let primary = self.monitor.published().load().primary;
        let of_primary = primary.and_then(|id| self.nodes[usize::from(id.0)].greeting.load_full());
        of_primary.or_else(|| self.nodes.iter().find_map(|node| node.greeting.load_full()))
    }

    /// How clients are greeted before any server has answered.
    pub(super) fn default_greeting(&self) -> Greeting {
        let version = match self.flavour {
            Flavour::Mysql => "8.0.0-tidegate",
            Flavour::Mariadb => "5.5.5-10.6.0-MariaDB-tidegate",
        };
        Greeting {
            version: version.into(),
            thread: 0,
            scramble: Vec::new(),
            capabilities: 0,
            collation: COLLATION,
            status: super::wire::status::AUTOCOMMIT,
            plugin: String::new(),
        }
    }

    /// All pools, with their nodes.
    pub fn upkeep(&self) -> Vec<(NodeId, Arc<dyn Upkeep>)> {
        let mut all: Vec<(NodeId, Arc<dyn Upkeep>)> = Vec::new();
        for pools in self.all_pools() {
            for (node, pool) in (0..).zip(&pools.nodes) {
                all.push((NodeId(node), pool.clone()));
            }
        }
        all
    }

    pub fn reconfigure(&self, live: Live, policy: Policy, pool: pool::Settings) {
        let pool = Arc::new(pool);
        self.dispatch.reconfigure(live, pool.clone());
        self.policy.store(Arc::new(policy));
        for pools in self.all_pools() {
            pools.nodes.iter().for_each(|p| p.reconfigure(pool.clone()));
        }
    }
}
