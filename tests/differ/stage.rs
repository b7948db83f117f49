//! The two sides: a server alone, and a primary with a replica behind the proxy.

use crate::play::{Answer, Stand, play};
use crate::script::Script;
use crate::support::proxy::proxy;
use crate::support::{Cluster, Node, cluster};
use std::net::SocketAddr;

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
    alone: Cluster,
    servers: Cluster,
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
        Stage { alone, servers, pool }
    }

    /// Plays the script on both sides, each as new; where the answers differ first.
    pub async fn difference(&self, script: &Script) -> Option<Difference> {
        let (alone, primary) = (self.alone.primary(), self.servers.primary());
        tokio::join!(renew(alone), renew(primary));
        let direct = play(address(alone), script).await;
        let running = proxy(&self.servers).with("pool", self.pool).start().await;
        let found = compare(running.postgres, script, &direct).await;
        running.proxy.stop().await;
        found
    }
}

async fn compare(address: SocketAddr, script: &Script, direct: &[Answer]) -> Option<Difference> {
    let (greetings, answers) = direct.split_at(script.clients());
    let mut stand = Stand::open(address, script.clients()).await;
    assert_eq!(stand.greetings(), greetings, "left: through the proxy, right: direct");
    for (at, (step, direct)) in script.steps.iter().zip(answers).enumerate() {
        let through = stand.step(step).await;
        if through != *direct {
            return Some(Difference { step: at, direct: direct.clone(), through });
        }
    }
    stand.close().await;
    None
}

fn address(node: &Node) -> SocketAddr {
    node.address().parse().expect("an address")
}

/// Removes whatever the last script left, sessions that are still ending included.
async fn renew(node: &Node) {
    let alone = "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'";
    node.until("the end of all sessions", alone).await.expect("an answer");
    let prepared = node.sql("SELECT gid FROM pg_prepared_xacts").await.expect("an answer");
    for gid in prepared.into_iter().flatten().flatten() {
        node.sql(&format!("ROLLBACK PREPARED '{gid}'")).await.expect("a superuser");
    }
    node.sql(&world()).await.expect("a superuser");
}
