//! What the console can do, done.

use super::backup::{self, Keepers};
use super::reign::Reigns;
use super::{picture, wire};
use crate::admin::{self, Control, Reloaded};
use crate::chronicle::Chronicle;
use crate::config::{self, Config};
use crate::dispatch::Dispatch;
use crate::failover::{Answer, Wanted};
use crate::http;
use crate::monitor::Handle;
use crate::mysql;
use crate::net::tls::{Acceptor, Authorities};
use crate::pg::cluster::Cluster;
use crate::pg::engine::Engine;
use crate::pool::Upkeep;
use crate::topology::{NodeId, NodeView, Role};
use crate::view::{self, EventKind};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Notify, watch};

/// The engines.
type Both = (Arc<Engine>, Arc<mysql::engine::Engine>);

/// The running proxy in the hands of an operator.
pub struct Console {
    /// That of PostgreSQL.
    pub engine: Arc<Engine>,
    pub mysql: Arc<mysql::engine::Engine>,
    /// Where failover is on.
    pub(super) reigns: Reigns,
    pub chronicle: Chronicle,
    /// Where there are backups.
    pub(super) backups: Keepers,
    /// TLS on the console's port.
    pub(super) door: Arc<Acceptor>,
    pub listening: Vec<(&'static str, SocketAddr)>,
    pub started: (SystemTime, Instant),
    config: Mutex<Config>,
    /// When the connections of a cluster were last to be replaced.
    reconnected: Mutex<BTreeMap<Arc<str>, Instant>>,
    path: PathBuf,
    reloads: Mutex<view::Reloads>,
    stop: Notify,
}

impl Console {
    pub(super) fn new(
        config: Config,
        path: &Path,
        ((engine, mysql), (reigns, backups), door): (Both, (Reigns, Keepers), Arc<Acceptor>),
        listening: Vec<(&'static str, SocketAddr)>,
    ) -> Console {
        Console {
            engine,
            mysql,
            reigns,
            chronicle: Chronicle::default(),
            backups,
            door,
            listening,
            started: (SystemTime::now(), Instant::now()),
            config: Mutex::new(config),
            reconnected: Mutex::default(),
            path: path.to_owned(),
            reloads: Mutex::default(),
            stop: Notify::new(),
        }
    }

    pub fn config(&self) -> Config {
        self.config.lock().clone()
    }

    /// How often the file was read again.
    pub(super) fn reloads(&self) -> view::Reloads {
        *self.reloads.lock()
    }

    /// Statements that take as long as the settings say are logged from now on.
    pub(super) fn call_slow(&self, settings: &config::Settings) {
        let postgres = self.engine.clusters.iter().map(|cluster| (&cluster.name, &cluster.slow));
        let mysql = self.mysql.clusters.iter().map(|cluster| (&cluster.name, &cluster.slow));
        for (name, slow) in postgres.chain(mysql) {
            let configured = settings.clusters.get(&**name);
            slow.set(configured.map_or(Duration::ZERO, |cluster| cluster.log_slow));
        }
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

    /// Of the backups of a cluster.
    fn keeper(&self, cluster: &str) -> Result<&backup::Handle, String> {
        self.clusters(Some(cluster))?;
        let keeper = self.backups.get(cluster);
        keeper.ok_or_else(|| format!("clusters.{cluster}.backup has no store"))
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
        let door = wire::console_side(settings);
        let replaced = self.door.replace(door, &mut Authorities::default());
        replaced.map_err(|e| format!("console.tls: {e}"))?;
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
        self.call_slow(settings);
        for change in &changes.live {
            tracing::info!(key = change.key, "changed");
        }
        Ok(())
    }

    fn change_to(&self, next: Config, restart: Restart) -> Result<Reloaded, String> {
        let mut now = self.config.lock();
        let changes = config::diff(&now, &next);
        if let (Restart::Refused, Some(change)) = (restart, changes.needs_restart.first()) {
            return Err(format!("{} changes only with a restart", change.key));
        }
        self.apply(&next, &changes)?;
        *now = next;
        let keys = |list: &[config::Change]| list.iter().map(|c| c.key.clone()).collect();
        Ok(Reloaded { changed: keys(&changes.live), needs_restart: keys(&changes.needs_restart) })
    }

    fn configured<'a>(
        &'a self,
        settings: &'a config::Settings,
    ) -> impl Iterator<Item = (&'a Arc<Cluster>, &'a config::Cluster)> {
        let clusters = self.engine.clusters.iter();
        clusters.filter_map(|c| Some((c, settings.clusters.get(&*c.name)?)))
    }
}

/// How often a command that waits looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What becomes of changes that need a restart.
#[derive(Clone, Copy)]
enum Restart {
    /// They are told, and wait for it.
    Allowed,
    Refused,
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

    /// The part that is the same for both.
    fn dispatch(&self) -> &Dispatch {
        match self {
            Either::Postgres(cluster) => cluster,
            Either::Mysql(cluster) => cluster,
        }
    }

    fn pools(&self) -> Vec<(NodeId, Arc<dyn Upkeep>)> {
        match self {
            Either::Postgres(cluster) => cluster.upkeep(),
            Either::Mysql(cluster) => cluster.upkeep(),
        }
    }

    /// Server connections that are older than this.
    fn older_than(&self, instant: Instant, console: &Console) -> usize {
        let of = self.name();
        match self {
            Either::Postgres(_) => {
                let all = console.engine.servers.all();
                all.iter().filter(|s| s.cluster == *of && s.since < instant).count()
            }
            Either::Mysql(_) => {
                let all = console.mysql.servers.all();
                all.iter().filter(|s| s.cluster == *of && s.since < instant).count()
            }
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

impl http::Source for Console {
    fn view(&self) -> view::Proxy {
        picture::draw(self)
    }

    fn samples(&self, after: u64) -> Vec<view::Sample> {
        self.chronicle.samples_after(after)
    }

    fn sampled(&self) -> watch::Receiver<u64> {
        self.chronicle.samples()
    }

    fn command<'a>(
        &'a self,
        operator: &'a str,
        text: &'a str,
    ) -> BoxFuture<'a, Result<serde_json::Value, http::Problem>> {
        Box::pin(async move {
            let done = admin::execute(self, operator, text).await;
            done.map_err(|refused| {
                let admin::Refused { code, number, message, hint } = refused;
                http::Problem { number, error: message, code: Some(code), hint }
            })
        })
    }
}

impl Control for Console {
    fn view(&self) -> view::Proxy {
        picture::draw(self)
    }

    fn reload(&self) -> Result<Reloaded, String> {
        let read = config::load(&self.path).map_err(|problems| problems.to_string());
        let done = read.and_then(|next| self.change_to(next, Restart::Allowed));
        self.reloads.lock().note(done.is_err());
        done
    }

    fn pause<'a>(&'a self, cluster: Option<&'a str>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let clusters = self.clusters(cluster)?;
            let paused = clusters.iter().map(|cluster| {
                let lent = || cluster.pools().iter().map(|(_, pool)| pool.counts().lent).sum();
                cluster.dispatch().pause_until(lent)
            });
            futures_util::future::join_all(paused).await;
            Ok(())
        })
    }

    fn resume(&self, cluster: Option<&str>) -> Result<(), String> {
        self.clusters(cluster)?.iter().for_each(|c| c.dispatch().resume());
        Ok(())
    }

    fn reconnect(&self, cluster: Option<&str>) -> Result<(), String> {
        let clusters = self.clusters(cluster)?;
        for cluster in &clusters {
            self.reconnected.lock().insert(cluster.name().clone(), Instant::now());
            cluster.pools().iter().for_each(|(_, pool)| pool.retire_all());
        }
        Ok(())
    }

    fn wait_close<'a>(&'a self, cluster: Option<&'a str>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            for cluster in self.clusters(cluster)? {
                let Some(since) = self.reconnected.lock().get(cluster.name()).copied() else {
                    continue;
                };
                while cluster.older_than(since, self) > 0 {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
            Ok(())
        })
    }

    fn admit(&self, cluster: &str, admits: bool) -> Result<(), String> {
        self.clusters(Some(cluster))?.iter().for_each(|c| c.dispatch().disable(!admits));
        Ok(())
    }

    fn drain_node<'a>(
        &'a self,
        cluster: &'a str,
        node: &'a str,
        drained: bool,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            for cluster in self.clusters(Some(cluster))? {
                let monitor = &cluster.dispatch().monitor;
                let seen = monitor.snapshot();
                let Some(found) = seen.nodes.iter().find(|n| *n.name == *node) else {
                    return Err(format!("cluster {} has no node {node:?}", seen.cluster));
                };
                if drained && found.role == Role::Primary {
                    return Err(format!("{node} is the primary: make another one that first"));
                }
                monitor.drain(found.id, drained).await;
                let busy = || {
                    let pools = cluster.pools();
                    let mine = pools.iter().filter(|(id, _)| *id == found.id);
                    mine.map(|(_, pool)| pool.counts().lent).sum::<usize>()
                };
                while drained && busy() > 0 {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
            Ok(())
        })
    }

    fn set(&self, key: &str, value: &str) -> Result<Reloaded, String> {
        let next = config::load_with(&self.path, key, value).map_err(|e| e.to_string())?;
        self.change_to(next, Restart::Refused)
    }

    fn note(&self, operator: &str, command: &str, failed: Option<&str>) {
        tracing::info!(target: "tidegate::audit", operator, command, failed, "console command");
        let what = match failed {
            None => format!("{command}, by {operator}"),
            Some(why) => format!("{command}, by {operator}: {why}"),
        };
        self.chronicle.note_of_proxy(EventKind::Operator, what);
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
        Box::pin(async move { self.keeper(cluster)?.backup().await })
    }

    fn test_backup<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Answer> {
        Box::pin(async move { self.keeper(cluster)?.test().await })
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
