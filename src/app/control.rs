//! What the console can do, done.

use super::{picture, wire};
use crate::admin::{Control, Reloaded};
use crate::config::{self, Config};
use crate::net::tls::Authorities;
use crate::pg::cluster::Cluster;
use crate::pg::connect::Node;
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
    pub engine: Arc<Engine>,
    pub listening: Vec<(&'static str, SocketAddr)>,
    pub started: (SystemTime, Instant),
    config: Mutex<Config>,
    path: PathBuf,
    stop: Notify,
}

impl Console {
    pub fn new(
        config: Config,
        path: &Path,
        engine: Arc<Engine>,
        listening: Vec<(&'static str, SocketAddr)>,
    ) -> Console {
        Console {
            engine,
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
        self.engine.drain(within).await
    }

    fn clusters(&self, name: Option<&str>) -> Result<Vec<Arc<Cluster>>, String> {
        let all = &self.engine.clusters;
        let found: Vec<_> =
            all.iter().filter(|c| name.is_none_or(|n| *c.name == *n)).cloned().collect();
        if found.is_empty() {
            let names: Vec<&str> = all.iter().map(|c| &*c.name).collect();
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
        if let Some(acceptor) = &self.engine.acceptor {
            let side = wire::client_side(&settings.tls);
            acceptor.replace(side, &mut Authorities::default()).map_err(|e| format!("tls: {e}"))?;
        }
        for (cluster, configured, users) in users {
            cluster.users.replace(users);
            cluster.asked.forget_all();
            cluster.welcomes.clear();
            cluster
                .reconfigure(wire::live(configured, &cluster.classifier), configured.pool.clone());
            let weights = weights(cluster, configured);
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

/// The shares of reads of the running nodes; nodes that come by a restart have none yet.
fn weights(cluster: &Cluster, configured: &config::Cluster) -> Vec<u32> {
    let seen = cluster.monitor.snapshot();
    let weight = |(node, seen): (&Arc<Node>, &NodeView)| {
        let found = configured.nodes.iter().find(|c| c.name == *node.name);
        found.map_or(seen.weight, |c| c.weight)
    };
    cluster.nodes.iter().zip(&seen.nodes).map(weight).collect()
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

    fn kill(&self, client: u64) -> bool {
        let found = self.engine.clients.get(client);
        if let Some(client) = &found {
            client.kill();
        }
        found.is_some()
    }

    fn shutdown(&self) {
        self.stop.notify_one();
    }
}
