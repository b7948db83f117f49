//! Backups, wired: the store, the servers and the monitor of one cluster.

mod keeper;
mod lookout;
mod tester;

pub(super) use keeper::Handle;

use super::wire;
use crate::backup::{self, Entry, Job, Progress, Proof, RunError, Store, StoreError};
use crate::config;
use crate::monitor::{self, Member};
use crate::net::tls::Authorities;
use crate::pg::auth::scram::KeyCache;
use crate::pg::backup::{PgSource, ProveError, Reach, prove};
use crate::pg::connect::Node;
use crate::pg::engine::Engine;
use crate::pg::probe::PgProbe;
use crate::task::{Stop, Tasks};
use crate::topology::{Decree, NodeId, NodeSet, Published};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Why nothing can be done about the backups of a cluster.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    #[error("there is no cluster {name:?}\nhint: there are: {known}")]
    NoCluster { name: String, known: String },
    #[error(
        "cluster {0} has no backups\nhint: clusters.{0}.backup.store says where they go, such as \
         \"file:///var/backups/{0}\""
    )]
    NoStore(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Wire(#[from] wire::WireError),
}

/// A cluster and its store.
pub(super) struct Kit<'a> {
    pub(super) name: &'a str,
    pub(super) cluster: &'a config::Cluster,
    pub(super) settings: backup::Settings,
    pub(super) store: Store,
}

impl<'a> Kit<'a> {
    pub(super) fn open(settings: &'a config::Settings, name: &'a str) -> Result<Kit<'a>, Trouble> {
        let Some(cluster) = settings.clusters.get(name) else {
            let known: Vec<&str> = settings.clusters.keys().map(String::as_str).collect();
            return Err(Trouble::NoCluster { name: name.to_owned(), known: known.join(", ") });
        };
        let settings = cluster.backup.settings();
        let settings = settings.ok_or_else(|| Trouble::NoStore(name.to_owned()))?;
        let store = Store::open(&settings.store)?.with_keys(settings.keys.clone());
        Ok(Kit { name, cluster, settings, store })
    }

    /// Nodes and a monitor of its own, for a process that is no proxy.
    pub(super) async fn watch(&self, tasks: &Tasks) -> Result<Watched, Trouble> {
        let keys = Arc::new(KeyCache::new(self.cluster.nodes.len().max(1)));
        let shared = (&keys, &Arc::default());
        let nodes = wire::nodes(self.name, self.cluster, shared, &mut Authorities::default())?;
        let watched = self.cluster.nodes.iter().zip(&nodes).map(|(configured, node)| {
            let member = Member {
                name: node.name.clone(),
                address: node.address.clone(),
                weight: configured.weight,
                near: wire::is_near(configured, self.cluster),
            };
            (member, PgProbe::new(node.clone(), wire::monitor_login(&self.cluster.monitor)))
        });
        let settings = wire::monitor_settings(&self.cluster.monitor);
        let monitor =
            monitor::start(tasks, self.name.into(), &settings, watched.collect(), Decree::Free);
        monitor.settled().await;
        Ok(Watched { nodes, published: monitor.published().clone() })
    }

    /// Takes a backup now.
    pub(super) async fn run(
        &self,
        watched: &Watched,
        progress: Arc<Progress>,
        stop: Stop,
    ) -> Result<Entry, RunError> {
        let Watched { nodes, published } = watched;
        let source = PgSource::new(reach(self.cluster, nodes), published.clone());
        let job = Job {
            source: &source,
            store: &self.store,
            settings: &self.settings,
            published,
            marked: marked(self.cluster),
            progress,
            stop,
        };
        backup::run(&job).await
    }

    /// Restores a backup aside and tries it.
    pub(super) async fn prove(&self, entry: &Entry) -> Result<Proof, ProveError> {
        prove(&self.store, entry, &self.cluster.backup.test.trial()).await
    }

    /// The command by which a restored server fetches its log, without the names.
    pub(super) fn fetch_command(&self, config: &Path) -> std::io::Result<Vec<String>> {
        let program = std::env::current_exe()?;
        let config: PathBuf = std::path::absolute(config)?;
        let words = [program.display().to_string(), "wal".into(), "fetch".into(), "-c".into()];
        let rest = [config.display().to_string(), "--cluster".into(), self.name.to_owned()];
        Ok(words.into_iter().chain(rest).collect())
    }
}

/// Backups that this proxy keeps, by the names of their clusters.
pub(super) type Keepers = BTreeMap<Arc<str>, Handle>;

/// Starts what the configuration asks for.
pub(super) fn start(
    settings: &config::Settings,
    engine: &Engine,
    tasks: &Tasks,
) -> Result<Keepers, StoreError> {
    let mut keepers = Keepers::new();
    for cluster in &engine.clusters {
        let Some(configured) = settings.clusters.get(&*cluster.name) else { continue };
        let Some(settings) = configured.backup.settings() else { continue };
        let store = Store::open(&settings.store)?.with_keys(settings.keys.clone());
        let published = cluster.monitor.published().clone();
        let watched = Watched { nodes: cluster.nodes.clone(), published };
        let of = (&cluster.name, configured);
        keepers.insert(cluster.name.clone(), keeper::start(tasks, of, (settings, store), watched));
    }
    Ok(keepers)
}

/// The nodes of a cluster, and what is seen of them.
pub(super) struct Watched {
    pub(super) nodes: Vec<Arc<Node>>,
    pub(super) published: Arc<Published>,
}

/// How the servers are reached: as the monitor does.
pub(super) fn reach(cluster: &config::Cluster, nodes: &[Arc<Node>]) -> Reach {
    let monitor = &cluster.monitor;
    Reach {
        nodes: nodes.to_vec(),
        user: monitor.user.clone(),
        password: monitor.password.as_ref().map(wire::secret),
        database: monitor.database.clone(),
        patience: cluster.pool.connect_timeout,
    }
}

/// Nodes that the operator wants backups to be taken from.
fn marked(cluster: &config::Cluster) -> NodeSet {
    let mut set = NodeSet::EMPTY;
    let all = (0_u8..).map(NodeId).zip(&cluster.nodes);
    all.filter(|(_, node)| node.backup).for_each(|(id, _)| set.insert(id));
    set
}
