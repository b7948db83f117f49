//! One PostgreSQL cluster as its clients use it: its nodes, pools and settings.

use super::auth::throttle::Throttle;
use super::auth::{self, ServerSecret, UserTable};
use super::catalog::{self, Catalogs, Database};
use super::connect::{Node, PgConnector};
use super::govern::Outcomes;
use super::listen::Hubs;
use super::replication::Destination;
use super::statement::Statements;
use super::welcome::Welcomes;
use crate::dispatch::{Choice, Dispatch, Live};
use crate::pool::{self, Budget, Pool, Upkeep};
use crate::sql::Classifier;
use crate::topology::NodeId;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub type Lease = pool::Lease<PgConnector>;
pub type PgPool = Pool<PgConnector>;

/// Who may come in, and for what; it can change while the proxy runs.
#[derive(Clone, Debug)]
pub struct Access {
    pub auth: Arc<auth::Settings>,
    pub replication: Destination,
}

pub struct Cluster {
    /// `None`: any.
    pub databases: Option<Vec<Arc<str>>>,
    pub nodes: Vec<Arc<Node>>,
    pub classifier: Arc<Classifier>,
    pub statements: Statements,
    pub access: ArcSwap<Access>,
    pub users: UserTable,
    pub throttle: Throttle,
    pub welcomes: Welcomes,
    /// Users that the database was asked for.
    pub asked: super::users::Asked,
    /// Who listens in the place of sessions.
    pub hubs: Hubs,
    /// What the names in statements mean.
    pub catalogs: Catalogs,
    /// No acknowledged write may be lost: commits wait for standbys, whatever a session likes.
    pub strict: bool,
    /// What became of commits whose server was lost; `None`: nobody finds out.
    pub outcomes: Option<Outcomes>,
    dispatch: Dispatch,
    pools: Mutex<HashMap<PoolKey, Arc<UserPools>>>,
}

impl Deref for Cluster {
    type Target = Dispatch;
    fn deref(&self) -> &Dispatch {
        &self.dispatch
    }
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

impl UserPools {
    pub(super) fn choice(&self) -> Choice<'_, PgConnector> {
        Choice { user: &self.user, database: &self.database, nodes: &self.nodes }
    }
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
    pub databases: Option<Vec<Arc<str>>>,
    pub nodes: Vec<Arc<Node>>,
    pub classifier: Arc<Classifier>,
    pub access: Access,
    pub users: UserTable,
    pub catalog: catalog::Settings,
    pub strict: bool,
    pub outcomes: Option<Outcomes>,
    pub dispatch: Dispatch,
}

/// Statements that are remembered for sharing.
const SHARED_STATEMENTS: usize = 10_000;

impl Cluster {
    pub fn new(parts: Parts) -> Cluster {
        Cluster {
            databases: parts.databases,
            nodes: parts.nodes,
            classifier: parts.classifier,
            statements: Statements::new(SHARED_STATEMENTS),
            access: ArcSwap::from_pointee(parts.access),
            users: parts.users,
            throttle: Throttle::default(),
            welcomes: Welcomes::default(),
            asked: Default::default(),
            hubs: Hubs::default(),
            catalogs: Catalogs::new(parts.catalog),
            strict: parts.strict,
            outcomes: parts.outcomes,
            dispatch: parts.dispatch,
            pools: Mutex::default(),
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
                strict: self.strict,
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

    pub fn reconfigure(&self, live: Live, access: Access, pool: pool::Settings) {
        let pool = Arc::new(pool);
        self.dispatch.reconfigure(live, pool.clone());
        self.access.store(Arc::new(access));
        for pools in self.all_pools() {
            pools.nodes.iter().for_each(|p| p.reconfigure(pool.clone()));
        }
    }
}
