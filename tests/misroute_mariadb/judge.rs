//! What a statement really does: the servers are asked.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts};
use std::time::Duration;
use tidegate::lab::mariadb::{Cluster, Node};
use tidegate::sql::mysql::Modes;

/// A statement that takes longer says nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// A session on the primary, and one on a replica whose transactions are READ ONLY.
pub struct Judge<'a> {
    cluster: &'a Cluster,
    primary: Conn,
    replica: Conn,
}

/// What became of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It ran, and nothing shows that it wrote or locked.
    None,
    /// It wrote or locked, which this shows.
    Some(String),
    /// The server refused it, or it took too long.
    Failed,
}

async fn connect(node: &Node) -> Conn {
    let opts = node.opts("root", "test").stmt_cache_size(0);
    Conn::new(Opts::from(opts)).await.expect("a connection")
}

impl<'a> Judge<'a> {
    pub async fn new(cluster: &'a Cluster) -> Judge<'a> {
        let (primary, replica) =
            (connect(cluster.primary()).await, connect(cluster.replica(0)).await);
        let mut judge = Judge { cluster, primary, replica };
        judge.fence().await;
        judge
    }

    /// New sessions, and an empty schema.
    pub async fn reset(&mut self) {
        self.primary = connect(self.cluster.primary()).await;
        let schemas = "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT \
                       IN ('mysql', 'information_schema', 'performance_schema', 'sys')";
        let schemas: Vec<String> = self.primary.query(schemas).await.expect("the schemas");
        for schema in schemas {
            let _ = self.primary.query_drop(format!("DROP DATABASE `{schema}`")).await;
        }
        self.primary.query_drop("CREATE DATABASE IF NOT EXISTS test").await.expect("a schema");
        self.primary.query_drop("USE test").await.expect("the schema");
        // A statement that nobody waits for any more may hold what replication needs.
        let replica = self.cluster.replica(0);
        let others = "SELECT CONCAT('KILL HARD ', id) FROM information_schema.processlist WHERE \
                      user = 'root' AND id <> CONNECTION_ID()";
        let others = replica.sql(others).await.expect("the sessions of the replica");
        for kill in others.into_iter().flatten().flatten() {
            let _ = replica.sql(&kill).await;
        }
        self.cluster.caught_up().await.expect("a replica that follows");
        self.replica = connect(self.cluster.replica(0)).await;
        self.fence().await;
    }

    async fn fence(&mut self) {
        let fence = "SET SESSION TRANSACTION READ ONLY";
        self.replica.query_drop(fence).await.expect("a session that cannot write");
    }

    /// How the session's texts are to be read.
    pub async fn modes(&mut self) -> Modes {
        let asked = self.primary.query_first("SELECT @@sql_mode, @@character_set_client");
        let (mode, charset): (String, String) = asked.await.ok().flatten().unwrap_or_default();
        let charsets = ["big5", "cp932", "gb18030", "gbk", "sjis"];
        Modes {
            ansi_quotes: mode.contains("ANSI_QUOTES"),
            no_backslash_escapes: mode.contains("NO_BACKSLASH_ESCAPES"),
            oracle: mode.contains("ORACLE"),
            ascii_in_letters: charsets.contains(&charset.as_str()),
        }
    }

    /// Runs it on the primary, for what it leaves there.
    pub async fn run(&mut self, sql: &[u8]) -> Effect {
        let before = self.position().await;
        if !self.succeeds(sql).await {
            return Effect::Failed;
        }
        let after = self.position().await;
        match before == after {
            true => Effect::None,
            false => Effect::Some(format!("the primary went from {before} to {after}")),
        }
    }

    /// Runs it where a read may run: in a transaction on the primary, to see what it locks, and on
    /// the replica.
    pub async fn run_as_read(&mut self, sql: &[u8], schema: &str) -> Effect {
        let before = self.position().await;
        let _ = self.primary.query_drop("BEGIN").await;
        if !self.succeeds(sql).await {
            let _ = self.primary.query_drop("ROLLBACK").await;
            return Effect::Failed;
        }
        let locks = "SELECT COALESCE(SUM(trx_tables_locked + trx_rows_locked), 0) FROM \
                     information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID() AND \
                     @@tx_isolation <> 'SERIALIZABLE'";
        let locks: Option<u64> = self.primary.query_first(locks).await.ok().flatten();
        let _ = self.primary.query_drop("ROLLBACK").await;
        let after = self.position().await;
        if before != after {
            return Effect::Some(format!("the primary went from {before} to {after}"));
        }
        if locks.is_some_and(|locks| locks > 0) {
            return Effect::Some("it locks".to_string());
        }
        let _ = self.replica.query_drop(format!("USE `{schema}`")).await;
        match run(&mut self.replica, sql).await {
            Ok(Err(Error::Server(error))) if matches!(error.code, 1290 | 1792 | 1836) => {
                Effect::Some(format!("the replica refuses it: {}", error.message))
            }
            Ok(_) => Effect::None,
            Err(_) => {
                self.replica = connect(self.cluster.replica(0)).await;
                self.fence().await;
                Effect::None
            }
        }
    }

    /// The schema that the session is in.
    pub async fn schema(&mut self) -> String {
        let schema = self.primary.query_first::<Option<String>, _>("SELECT DATABASE()").await;
        schema.ok().flatten().flatten().unwrap_or_else(|| "test".to_string())
    }

    /// Whether the primary carries it out. A session that is lost or hangs is replaced: answers
    /// that nobody waited for would be taken for others.
    async fn succeeds(&mut self, sql: &[u8]) -> bool {
        let done = run(&mut self.primary, sql).await;
        if matches!(done, Ok(Ok(()) | Err(Error::Server(_)))) {
            return matches!(done, Ok(Ok(())));
        }
        let id = self.primary.id();
        self.primary = connect(self.cluster.primary()).await;
        let _ = self.primary.query_drop(format!("KILL HARD {id}")).await;
        false
    }

    async fn position(&mut self) -> String {
        let asked = self.primary.query_first("SELECT @@global.gtid_binlog_pos").await;
        asked.ok().flatten().unwrap_or_default()
    }
}

/// `Err`: it took too long.
async fn run(
    conn: &mut Conn,
    sql: &[u8],
) -> Result<Result<(), Error>, tokio::time::error::Elapsed> {
    tokio::time::timeout(PATIENCE, conn.query_drop(sql.to_vec())).await
}
