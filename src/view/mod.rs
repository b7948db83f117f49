//! One picture of the whole proxy, as plain values: console, HTTP and terminal all render this.
//!
//! The composition root fills it; nobody computes a number of their own.

mod backups;
mod catalogs;
mod events;
mod memory;
mod nodes;
mod peers;
mod prepared;
mod reigns;
mod samples;
mod shapes;
mod spans;
mod stats;

pub use backups::{Backup, BackupProof, BackupRun, Backups, LogArchive};
pub use catalogs::Catalog;
pub use events::{Event, EventKind};
pub use memory::Memory;
pub use nodes::{Cluster, Node, PoolLimits};
pub use peers::{Client, ClientState, Listening, Pool, Route, Server, ServerState};
pub use prepared::Prepared;
pub use reigns::{Reign, ReignChange, ReignStep};
pub use samples::{ClusterSample, NodeSample, Sample};
pub use shapes::Shape;
pub use spans::Spans;
pub use stats::Stats;

use serde::{Serialize, Serializer};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The proxy at one instant.
#[derive(Clone, Debug, Serialize)]
pub struct Proxy {
    pub version: Arc<str>,
    #[serde(serialize_with = "rfc3339")]
    pub started: SystemTime,
    #[serde(rename = "uptime_seconds", serialize_with = "seconds")]
    pub uptime: Duration,
    /// Every listener that is configured, open or not.
    pub listeners: Vec<Listener>,
    /// Certificates that are shown to clients.
    pub certificates: Vec<Certificate>,
    pub reloads: Reloads,
    /// The configuration in force; whoever fills it leaves secrets out.
    pub config: Vec<Setting>,
    pub clusters: Vec<Cluster>,
    pub pools: Vec<Pool>,
    pub clients: Vec<Client>,
    pub servers: Vec<Server>,
    /// The connections that listen for clients.
    pub listening: Vec<Listening>,
    /// Shared prepared statements that clients have, the most used first.
    pub prepared: Vec<Prepared>,
    /// Clusters whose primary this proxy decides about.
    pub reigns: Vec<Reign>,
    /// Clusters that have backups.
    pub backups: Vec<Backups>,
    /// What is known of the names in the databases that were used.
    pub catalogs: Vec<Catalog>,
    /// Where statements went, the most used first.
    pub shapes: Vec<Shape>,
    pub stats: Vec<Stats>,
    /// `None`: nothing is traced.
    pub spans: Option<Spans>,
    /// What takes memory.
    pub memory: Vec<Memory>,
    /// What happened last, the oldest first.
    pub events: Vec<Event>,
    /// Of the last second; `None`: the proxy has just started.
    pub latest: Option<Sample>,
    /// Of the last minute; `None`: the proxy has just started.
    pub average: Option<Sample>,
}

impl Proxy {
    /// A proxy of which nothing else is known yet.
    pub fn empty(version: &str, started: SystemTime, uptime: Duration) -> Proxy {
        Proxy {
            version: version.into(),
            started,
            uptime,
            listeners: Vec::new(),
            certificates: Vec::new(),
            reloads: Reloads::default(),
            config: Vec::new(),
            clusters: Vec::new(),
            pools: Vec::new(),
            clients: Vec::new(),
            servers: Vec::new(),
            listening: Vec::new(),
            prepared: Vec::new(),
            reigns: Vec::new(),
            backups: Vec::new(),
            catalogs: Vec::new(),
            shapes: Vec::new(),
            stats: Vec::new(),
            spans: None,
            memory: Vec::new(),
            events: Vec::new(),
            latest: None,
            average: None,
        }
    }

    /// What keeps the proxy from serving; empty when it is ready.
    pub fn missing(&self) -> Vec<String> {
        let closed = self.listeners.iter().filter(|l| !l.open);
        let headless = self.clusters.iter().filter(|c| c.primary.is_none());
        closed
            .map(|l| format!("listener {} ({}) is not open", l.name, l.address))
            .chain(headless.map(|c| format!("cluster {} has no primary", c.name)))
            .collect()
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Listener {
    /// `postgres`, `console`, `http`.
    pub name: Arc<str>,
    /// `host:port`
    pub address: Arc<str>,
    pub open: bool,
}

/// The certificate that a listener shows.
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    /// As in `Listener`.
    pub listener: Arc<str>,
    #[serde(serialize_with = "rfc3339")]
    pub ends: SystemTime,
}

/// How often the configuration was read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reloads {
    pub done: u64,
    /// What is in force then is not what the file says.
    pub refused: u64,
    pub last_was_refused: bool,
}

impl Reloads {
    pub fn note(&mut self, refused: bool) {
        *(if refused { &mut self.refused } else { &mut self.done }) += 1;
        self.last_was_refused = refused;
    }
}

/// One line of the configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// The whole key, such as `clusters.orders.pool.size`.
    pub key: String,
    pub value: String,
    /// `None`: it has to be given.
    pub default: Option<String>,
    /// A reload changes it without a restart.
    pub changeable: bool,
}

fn seconds<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(value.as_secs_f64())
}

fn seconds_if_known<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.serialize_some(&value.as_secs_f64()),
        None => to.serialize_none(),
    }
}

fn rfc3339<S: Serializer>(value: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&timestamp(*value))
}

fn rfc3339_if_known<S: Serializer>(value: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => rfc3339(value, to),
        None => to.serialize_none(),
    }
}

/// RFC 3339 in UTC with whole seconds: `2026-11-21T10:00:00Z`.
pub fn timestamp(at: SystemTime) -> String {
    match jiff::Timestamp::try_from(at) {
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => "unknown".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy() -> Proxy {
        Proxy::empty("1.2.3", SystemTime::UNIX_EPOCH, Duration::from_millis(1500))
    }

    #[test]
    fn durations_are_seconds_and_times_are_utc_in_json() {
        let json = serde_json::to_value(proxy()).expect("plain data");
        assert_eq!(json["uptime_seconds"], 1.5);
        assert_eq!(json["started"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_closed_listener_and_a_cluster_without_primary_are_missing() {
        let mut proxy = proxy();
        let listener =
            |name: &str, open| Listener { name: name.into(), address: "a:1".into(), open };
        proxy.listeners = vec![listener("http", true), listener("postgres", false)];
        assert_eq!(proxy.missing(), ["listener postgres (a:1) is not open"]);
    }
}
