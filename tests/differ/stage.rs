//! The two sides: a server alone, and a primary with a replica behind the proxy.

use crate::play::{Answer, Stand, play};
use crate::same::alike;
use crate::script::Script;
use crate::support::ask::{try_value, until};
use crate::support::proxy::proxy;
use crate::support::{Cluster, cluster};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::SimpleQueryMessage;

/// Clients of a generated script.
pub const CLIENTS: usize = 5;

/// What scripts find. Each client has a table of its own, `t0` and so on, and may lock and change
/// it; all have `shared`. Nobody waits long for a lock, and nobody for ever.
fn world() -> String {
    let mut sql = String::from(
        "SET lock_timeout = 0; SET client_min_messages = warning;
         DROP SCHEMA IF EXISTS public, other CASCADE; CREATE SCHEMA public; CREATE SCHEMA other;
         GRANT ALL ON SCHEMA public, other TO PUBLIC;
         CREATE TABLE shared (a int PRIMARY KEY, b text);
         INSERT INTO shared SELECT g, 'shared ' || g FROM generate_series(1, 6) g;
         CREATE TABLE other.shared (a int, b text); INSERT INTO other.shared VALUES (1, 'other');
         CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
           'BEGIN RETURN $1 + $2; END';
         CREATE FUNCTION fails(text) RETURNS int LANGUAGE plpgsql AS
           'BEGIN RAISE EXCEPTION ''%'', $1; END';
         CREATE FUNCTION sets(text, text) RETURNS text LANGUAGE sql AS
           'SELECT set_config($1, $2, false)';
         CREATE FUNCTION keeps(int) RETURNS void LANGUAGE plpgsql AS
           'BEGIN EXECUTE ''CREATE TEMP TABLE kept'' || $1 || '' (a int)''; END';
         GRANT SELECT ON shared TO PUBLIC;",
    );
    for client in 0..CLIENTS {
        sql.push_str(&format!(
            "CREATE TABLE t{client} (a int PRIMARY KEY, b text);
             INSERT INTO t{client} SELECT g, 'row ' || g FROM generate_series(1, 5) g;
             CREATE SEQUENCE s{client}; CREATE TABLE d{client} (a int, b text);
             INSERT INTO d{client} VALUES (1, 'x');
             CREATE TABLE u{client} (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);
             GRANT SELECT ON t{client} TO reader;"
        ));
    }
    sql
}

const ROLES: &str = "CREATE ROLE reader LOGIN; CREATE ROLE writer LOGIN SUPERUSER";

pub struct Stage {
    alone: Side,
    servers: Side,
    /// Settings of the proxy's pool.
    pool: &'static str,
}

/// The first step that was answered otherwise.
#[derive(Debug)]
pub struct Difference {
    pub step: usize,
    pub direct: Answer,
    pub through: Answer,
}

impl Difference {
    /// What is wrong, in a few words: the first lines that differ, cut where texts begin to tell
    /// of names and numbers.
    pub fn kind(&self) -> (String, String) {
        let same = self.direct.iter().zip(&self.through).take_while(|(d, t)| d == t).count();
        let cut = |lines: &Answer| {
            lines.get(same).map(|line| line.chars().take(28).collect()).unwrap_or_default()
        };
        (cut(&self.direct), cut(&self.through))
    }
}

impl Stage {
    pub async fn start(pool: &'static str) -> Stage {
        let like = || {
            cluster()
                .conf("autovacuum", "off")
                .conf("lock_timeout", "60ms")
                .conf("max_prepared_transactions", "20")
                .conf("synchronous_commit", "remote_apply")
                // A transaction on the replica must not hold up what the primary cleans.
                .conf("vacuum_defer_cleanup_age", "1000000")
                .sql(ROLES)
        };
        let (alone, servers) = tokio::join!(like().start(), like().replicas(1).start());
        let (alone, servers) = (alone.expect("a server"), servers.expect("a cluster"));
        // Not before the replica is there: nothing would be acknowledged.
        servers.sql("ALTER SYSTEM SET synchronous_standby_names = '*'").await.expect("a superuser");
        servers.sql("SELECT pg_reload_conf()").await.expect("a superuser");
        let applies = "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        servers.primary().until("a synchronous replica", applies).await.expect("a replica");
        Stage { alone: Side::new(alone).await, servers: Side::new(servers).await, pool }
    }

    /// Plays the script on both sides, each as new; where the answers differ first.
    pub async fn difference(&self, script: &Script, patience: Duration) -> Option<Difference> {
        tokio::join!(self.alone.renew(), self.servers.renew());
        let direct = play(self.alone.address(), script, patience).await;
        let proxy = proxy(&self.servers.cluster).with("pool", self.pool);
        // What aborts is not waited for by a synchronous commit: its locks are gone by the session's
        // own consistency only.
        let running = proxy.with("route", "consistency = \"session\"").start().await;
        let found = compare(running.postgres, script, &direct, patience).await;
        running.proxy.stop().await;
        found
    }
}

async fn compare(
    address: SocketAddr,
    script: &Script,
    direct: &[Answer],
    patience: Duration,
) -> Option<Difference> {
    let (greetings, answers) = direct.split_at(script.clients());
    let mut stand = Stand::open(address, script.clients(), patience).await;
    assert_eq!(stand.greetings(), greetings, "left: through the proxy, right: direct");
    for (at, (step, direct)) in script.steps.iter().zip(answers).enumerate() {
        let through = stand.step(step).await;
        if !alike(direct, &through) {
            return Some(Difference { step: at, direct: direct.clone(), through });
        }
    }
    stand.close().await;
    None
}

/// One side: its servers, and a superuser's connection to their primary.
struct Side {
    cluster: Cluster,
    control: Mutex<tokio_postgres::Client>,
}

impl Side {
    async fn new(cluster: Cluster) -> Side {
        let control = cluster.connect().await.expect("a superuser");
        Side { cluster, control: Mutex::new(control) }
    }

    fn address(&self) -> SocketAddr {
        self.cluster.primary().address().parse().expect("an address")
    }

    /// There are conversations that crash PostgreSQL 15 itself, and it starts again.
    async fn revive(&self) -> MutexGuard<'_, tokio_postgres::Client> {
        let mut control = self.control.lock().await;
        while control.is_closed() {
            match self.cluster.connect().await {
                Ok(again) => *control = again,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        control
    }

    async fn is_deserted(&self) -> bool {
        let others = "SELECT count(*) FROM pg_stat_activity \
                      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        try_value(&*self.revive().await, others).await.is_ok_and(|count| count == "0")
    }

    /// Removes whatever the last script left, sessions that are still ending included.
    async fn renew(&self) {
        until("the end of all sessions", || self.is_deserted()).await;
        let control = self.revive().await;
        let prepared = "SELECT gid FROM pg_prepared_xacts";
        for message in control.simple_query(prepared).await.expect("an answer") {
            if let SimpleQueryMessage::Row(row) = message {
                let undo = format!("ROLLBACK PREPARED '{}'", row.get(0).unwrap_or_default());
                control.batch_execute(&undo).await.expect("a superuser");
            }
        }
        control.batch_execute(&world()).await.expect("a superuser");
    }
}
