//! What the console can do, done.

use super::backup::Keepers;
use super::reign::Reigns;
use super::{picture, wire};
use crate::admin::{Control, Reloaded};
use crate::config::{self, Config};
use crate::failover::{Answer, Wanted};
use crate::monitor::Handle;
use crate::mysql;
use crate::net::tls::Authorities;
use crate::pg::cluster::Cluster;
use crate::pg::engine::Engine;
use crate::topology::NodeView;
use crate::view;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio::sync::Notify;

/// The running proxy in the hands of an operator.
pub struct Console {
    /// That of PostgreSQL.
    pub engine: Arc<Engine>,
    pub mysql: Arc<mysql::engine::Engine>,
    /// Where failover is on.
    pub(super) reigns: Reigns,
    /// Where there are backups.
    pub(super) backups: Keepers,
    pub listening: Vec<(&'static str, SocketAddr)>,
    pub started: (SystemTime, Instant),
    config: Mutex<Config>,
    path: PathBuf,
    stop: Notify,
}

impl Console {
    pub(super) fn new(
        config: Config,
        path: &Path,
        ((engine, mysql), (reigns, backups)): (
            (Arc<Engine>, Arc<mysql::engine::Engine>),
            (Reigns, Keepers),
        ),
        listening: Vec<(&'static str, SocketAddr)>,
    ) -> Console {
        Console {
            engine,
            mysql,
            reigns,
            backups,
            listening,
            started: (SystemTime::now(), Instant::now()),
            config: Mutex::new(config),
            path: path.to_owned(),
            stop: Notify::new(),
        }
    }

    pub fn config(&self) -> Config {
        self.config.lock().clone()
    }

    /// Resolves when the console said SHUTDOWN.
    pub async fn told_to_stop(&self) {
        self.stop.notified().await;
    }

    /// Lets clients finish, as long as `shutdown_timeout` allows; answers with who is left.
    pub async fn drain(&self) -> usize {
        let within = self.config.lock().settings.shutdown_timeout;
        let both = futures_util::future::join(self.engine.drain(within), self.mysql.drain(within));
        let (postgres, mysql) = both.await;
        postgres + mysql
    }

    fn clusters(&self, name: Option<&str>) -> Result<Vec<Either>, String> {
        let postgres = self.engine.clusters.iter().cloned().map(Either::Postgres);
        let mysql = self.mysql.clusters.iter().cloned().map(Either::Mysql);
        let all: Vec<Either> = postgres.chain(mysql).collect();
        let names: Vec<String> = all.iter().map(|c| c.name().to_string()).collect();
        let wanted = |c: &Either| name.is_none_or(|n| **c.name() == *n);
        let found: Vec<Either> = all.into_iter().filter(wanted).collect();
        if found.is_empty() {
            let name = name.unwrap_or_default();
            return Err(format!("there is no cluster {name:?}; there are: {}", names.join(", ")));
        }
        Ok(found)
    }

    /// Everything that can fail happens before anything changes.
    fn apply(&self, next: &Config, changes: &config::Changes) -> Result<(), String> {
        let settings = &next.settings;
        let mut users = Vec::new();
        for (cluster, configured) in self.configured(settings) {
            let known = cluster.users.current();
            let loaded = crate::pg::auth::Users::load(&wire::users(&configured.auth), &known);
            users.push((cluster, configured, loaded.map_err(|e| e.to_string())?));
        }
        let mut others = Vec::new();
        for cluster in &self.mysql.clusters {
            let Some(configured) = settings.clusters.get(&*cluster.name) else { continue };
            let users = mysql::auth::Users::load(&wire::mysql::users(&configured.auth));
            others.push((cluster, configured, users.map_err(|e| e.to_string())?));
        }
        let acceptors = [&self.engine.acceptor, &self.mysql.acceptor];
        for acceptor in acceptors.into_iter().flatten() {
            let side = wire::client_side(&settings.tls);
            acceptor.replace(side, &mut Authorities::default()).map_err(|e| format!("tls: {e}"))?;
        }
        for (cluster, configured, users) in users {
            cluster.users.replace(users);
            cluster.asked.forget_all();
            cluster.welcomes.clear();
            let live = wire::live(configured, |mark| cluster.classifier.mark(mark));
            cluster.reconfigure(live, wire::access(configured), configured.pool.clone());
            let weights = weights(&cluster.monitor, configured);
            let monitor = cluster.monitor.clone();
            tokio::spawn(async move { monitor.set_weights(weights).await });
        }
        for (cluster, configured, users) in others {
            cluster.users.replace(users);
            let live = wire::live(configured, |mark| cluster.classifier.mark(mark));
            cluster.reconfigure(live, wire::mysql::policy(configured), configured.pool.clone());
            let weights = weights(&cluster.monitor, configured);
            let monitor = cluster.monitor.clone();
            tokio::spawn(async move { monitor.set_weights(weights).await });
        }
        for change in &changes.live {
            tracing::info!(key = change.key, "changed");
        }
        Ok(())
    }

    fn configured<'a>(
        &'a self,
        settings: &'a config::Settings,
    ) -> impl Iterator<Item = (&'a Arc<Cluster>, &'a config::Cluster)> {
        let clusters = self.engine.clusters.iter();
        clusters.filter_map(|c| Some((c, settings.clusters.get(&*c.name)?)))
    }
}

/// A cluster of one of the engines.
enum Either {
    Postgres(Arc<Cluster>),
    Mysql(Arc<mysql::cluster::Cluster>),
}

impl Either {
    fn name(&self) -> &Arc<str> {
        match self {
            Either::Postgres(cluster) => &cluster.name,
            Either::Mysql(cluster) => &cluster.name,
        }
    }

    async fn pause(&self) {
        match self {
            Either::Postgres(cluster) => cluster.pause().await,
            Either::Mysql(cluster) => cluster.pause().await,
        }
    }

    fn resume(&self) {
        match self {
            Either::Postgres(cluster) => cluster.resume(),
            Either::Mysql(cluster) => cluster.resume(),
        }
    }
}

/// The shares of reads of the running nodes; nodes that come by a restart have none yet.
fn weights(monitor: &Handle, configured: &config::Cluster) -> Vec<u32> {
    let weight = |seen: &NodeView| {
        let found = configured.nodes.iter().find(|c| c.name == *seen.name);
        found.map_or(seen.weight, |c| c.weight)
    };
    monitor.snapshot().nodes.iter().map(weight).collect()
}

impl Control for Console {
    fn view(&self) -> view::Proxy {
        picture::draw(self)
    }

    fn reload(&self) -> Result<Reloaded, String> {
        let next = config::load(&self.path).map_err(|problems| problems.to_string())?;
        let mut now = self.config.lock();
        let changes = config::diff(&now, &next);
        self.apply(&next, &changes)?;
        *now = next;
        let keys = |list: &[config::Change]| list.iter().map(|c| c.key.clone()).collect();
        Ok(Reloaded { changed: keys(&changes.live), needs_restart: keys(&changes.needs_restart) })
    }

    fn pause<'a>(&'a self, cluster: Option<&'a str>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let clusters = self.clusters(cluster)?;
            futures_util::future::join_all(clusters.iter().map(|c| c.pause())).await;
            Ok(())
        })
    }

    fn resume(&self, cluster: Option<&str>) -> Result<(), String> {
        self.clusters(cluster)?.iter().for_each(|c| c.resume());
        Ok(())
    }

    fn reign<'a>(&'a self, cluster: &'a str, wanted: Wanted, dry: bool) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.clusters(Some(cluster))?;
            match self.reigns.get(cluster) {
                Some(reign) => reign.ask(wanted, dry).await,
                None => Err(format!("clusters.{cluster}.failover.mode is \"off\"")),
            }
        })
    }

    fn backup<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.clusters(Some(cluster))?;
            match self.backups.get(cluster) {
                Some(keeper) => keeper.backup().await,
                None => Err(format!("clusters.{cluster}.backup has no store")),
            }
        })
    }

    fn kill(&self, client: u64) -> bool {
        if let Some(found) = self.engine.clients.get(client) {
            found.kill();
            return true;
        }
        let found = self.mysql.clients.get(client);
        if let Some(client) = &found {
            client.kill();
        }
        found.is_some()
    }

    fn shutdown(&self) {
        self.stop.notify_one();
    }
}
