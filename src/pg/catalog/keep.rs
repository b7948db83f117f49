//! The task that reads the catalogs of a cluster.

use super::{Answer, Database, read};
use crate::pg::cluster::Cluster;
use crate::route::{self, Ask, Consistency, Fallback, Known, Place, Target, Wants};
use crate::task::Stop;
use crate::topology::{NodeId, NodeSet};
use futures_util::StreamExt;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Databases that are read at the same time.
const AT_ONCE: usize = 4;

impl Cluster {
    /// Reads catalogs when they are due, until it is asked to stop.
    pub async fn keep_catalogs(self: Arc<Cluster>, mut stop: Stop) {
        tokio::select! {
            // Whatever is being read is dropped.
            () = stop.stopped() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(&self) {
        self.monitor.settled().await;
        loop {
            let (due, next) = self.due(Instant::now());
            if due.is_empty() {
                let woken = self.catalogs.wake.notified();
                // Both are cancel-safe; time that runs out is as good a reason as any.
                let _ = tokio::time::timeout_at(next.into(), woken).await;
                continue;
            }
            let read = |database: Arc<Database>| async move { self.look_at(&database).await };
            futures_util::stream::iter(due).for_each_concurrent(AT_ONCE, read).await;
        }
    }

    /// Databases to be read now, and when to look again.
    fn due(&self, now: Instant) -> (Vec<Arc<Database>>, Instant) {
        let interval = self.catalogs.settings.interval;
        let used = self.used_databases();
        let mut next = now + interval;
        let mut due = Vec::new();
        for database in self.catalogs.all().into_iter().filter(|d| used.contains(&d.name)) {
            match database.due(interval, now) {
                Some(at) if at <= now => due.push(database),
                Some(at) => next = next.min(at),
                None => {}
            }
        }
        (due, next)
    }

    /// Databases that clients are in.
    fn used_databases(&self) -> HashSet<Arc<str>> {
        // One reference is the table's and one is this list's.
        let pools = self.all_pools();
        let used = pools.iter().filter(|pools| Arc::strong_count(pools) > 2);
        used.map(|pools| pools.database.clone()).collect()
    }

    async fn look_at(&self, database: &Database) {
        let Some(reading) = database.begin(Instant::now()) else { return };
        let interval = self.catalogs.settings.interval;
        match self.read_catalog(database, reading.changed, reading.known.as_deref()).await {
            Ok(Answer { fingerprint, raw }) => {
                let concluded = match raw {
                    Some(raw) => {
                        let classifier = self.classifier.clone();
                        // It may take a while: there may be thousands of functions.
                        tokio::task::spawn_blocking(move || classifier.catalog(&raw)).await.ok()
                    }
                    None => None,
                };
                database.finish(&reading, fingerprint, concluded, Instant::now());
            }
            Err(why) if database.give_up(&why, interval, Instant::now()) => tracing::warn!(
                cluster = &*self.name,
                database = &*database.name,
                why,
                "the catalog cannot be read: only PostgreSQL's own functions count as harmless"
            ),
            Err(_) => {}
        }
    }

    /// Asks a server that shows what was there at `changed`: a replica if there is one.
    async fn read_catalog(
        &self,
        database: &Database,
        changed: Option<Instant>,
        known: Option<&str>,
    ) -> Result<Answer, String> {
        let Some(node) = self.source(changed) else {
            return Err("no server is known to be up to date".to_owned());
        };
        let mut login = self.catalogs.settings.login.clone();
        login.dbname(&*database.name);
        let limit = self.pool_settings.load().connect_timeout + READ;
        let read = read(&self.nodes[usize::from(node.0)], &login, known);
        let answer = tokio::time::timeout(limit, read).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")));
        answer.map_err(|why| format!("node {}: {why}", self.node_name(node)))
    }

    fn source(&self, changed: Option<Instant>) -> Option<NodeId> {
        let now = Instant::now();
        let ask = Ask {
            wants: Wants::Read,
            place: Place::default(),
            consistency: Consistency::Session,
            max_staleness: self.live.load().route.max_staleness,
            known: Known { primary: changed, replica: None },
            wrote: None,
            after: None,
            arrived: now,
            avoid: NodeSet::EMPTY,
            fallback: Fallback::Primary,
            tie: self.turn(),
        };
        match route::route(&ask, &self.monitor.published().load(), now).to {
            Target::Node(node) => Some(node),
            Target::Nobody => None,
        }
    }
}

/// How long all questions may take together.
const READ: Duration = Duration::from_secs(20);
