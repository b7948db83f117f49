//! A primary and a standby that shows all that was committed, and what a statement does on each.

use crate::support::{Cluster, Node, cluster};
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use tidegate::pg::catalog;
use tidegate::pg::connect;
use tidegate::sql::{Catalog, Classifier};
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

/// Transaction ids and advisory locks that the session holds, and how it reads texts.
const STATE: &str = "SELECT \
    pg_catalog.count(*) FILTER (WHERE locktype OPERATOR(pg_catalog.=) 'transactionid'), \
    pg_catalog.count(*) FILTER (WHERE locktype OPERATOR(pg_catalog.=) 'advisory'), \
    pg_catalog.current_setting('standard_conforming_strings') \
    FROM pg_catalog.pg_locks WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()";

pub(crate) struct Scene {
    servers: Cluster,
    pub(crate) database: String,
    primary: Client,
    standby: Client,
    node: connect::Node,
    catalog: Arc<Catalog>,
    fingerprint: Option<String>,
    /// Something was defined since the catalog was read.
    stale: bool,
    /// The script's own transaction is open.
    pub(crate) in_block: bool,
    /// It has done something that others cannot see.
    pub(crate) block_writes: bool,
}

/// What a statement did on the primary.
pub(crate) struct Done {
    pub(crate) effect: Option<&'static str>,
    pub(crate) rows: Vec<String>,
}

/// An SQLSTATE and what was said.
pub(crate) type Failure = (String, String);

impl Scene {
    pub(crate) async fn start(database: &str, schema: &str) -> Scene {
        let servers = cluster()
            .replicas(1)
            .conf("max_prepared_transactions", "10")
            .conf("max_standby_streaming_delay", "0")
            .conf("wal_level", "logical")
            .conf("track_activity_query_size", "1000")
            .start()
            .await
            .expect("a cluster");
        servers.sql("ALTER SYSTEM SET synchronous_commit = remote_apply").await.unwrap();
        servers.sql("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
        servers.sql("SELECT pg_reload_conf()").await.unwrap();
        let synchronous = "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        servers.primary().until("a synchronous standby", synchronous).await.unwrap();
        if database != "postgres" {
            servers.sql(&format!("CREATE DATABASE {database} TEMPLATE template0")).await.unwrap();
        }
        let primary = session(servers.primary(), database).await;
        primary.batch_execute(schema).await.expect("the schema");
        let standby = session(servers.replica(0), database).await;
        let node = connect::Node::plain("primary", &servers.primary().address());
        Scene {
            servers,
            database: database.to_owned(),
            primary,
            standby,
            node,
            catalog: Arc::default(),
            fingerprint: None,
            stale: true,
            in_block: false,
            block_writes: false,
        }
    }

    pub(crate) fn url(&self) -> String {
        let primary = self.servers.primary();
        format!("host=127.0.0.1 port={} user=postgres dbname={}", primary.port(), self.database)
    }

    pub(crate) async fn reconnect(&mut self) {
        self.primary = session(self.servers.primary(), &self.database).await;
        self.standby = session(self.servers.replica(0), &self.database).await;
        (self.in_block, self.block_writes, self.stale) = (false, false, true);
    }

    /// A session that ended itself, or that a test made unusable, is replaced.
    pub(crate) async fn heal(&mut self) {
        if self.primary.is_closed() {
            self.reconnect().await;
        }
        if self.standby.is_closed() {
            self.standby = session(self.servers.replica(0), &self.database).await;
        }
    }

    /// What the database says of its names, as the proxy would know it.
    pub(crate) async fn catalog(&mut self, classifier: &Classifier) -> Arc<Catalog> {
        if self.in_block && self.block_writes {
            return Arc::default();
        }
        if std::mem::take(&mut self.stale) {
            let mut login = tokio_postgres::Config::new();
            login.user("postgres").dbname(&self.database);
            let answer = catalog::read(&self.node, &login, self.fingerprint.as_deref()).await;
            let answer = answer.expect("the catalog");
            self.fingerprint = Some(answer.fingerprint);
            if let Some(raw) = answer.raw {
                self.catalog = Arc::new(classifier.catalog(&raw));
            }
        }
        self.catalog.clone()
    }

    /// Runs what begins or ends a transaction.
    pub(crate) async fn pass(&mut self, sql: &str) {
        let _ = self.primary.simple_query(sql).await;
        let asked = "SELECT pg_catalog.pg_current_xact_id_if_assigned()";
        // In a failed transaction nothing can be asked, and nothing needs to.
        let assigned = self.primary.simple_query(asked).await.is_ok();
        let savepoint = self.primary.simple_query("SAVEPOINT oracle").await;
        self.in_block = savepoint.is_ok() || !assigned;
        if savepoint.is_ok() {
            let _ = self.primary.simple_query("RELEASE oracle").await;
        }
        self.block_writes &= self.in_block;
        self.stale |= !self.in_block;
    }

    /// Runs a statement on the primary so that a failure changes nothing.
    pub(crate) async fn on_primary(&mut self, sql: &str) -> Result<Done, Failure> {
        let (open, close, undo) = match self.in_block {
            true => ("SAVEPOINT oracle", "RELEASE oracle", "ROLLBACK TO oracle; RELEASE oracle"),
            false => ("BEGIN", "COMMIT", "ROLLBACK"),
        };
        self.primary.simple_query(open).await.map_err(words)?;
        let before = self.state().await?;
        let rows = match run(&self.primary, sql).await {
            Ok(rows) => rows,
            Err(error) => {
                let _ = self.primary.simple_query(undo).await;
                let (code, said) = words(error);
                // It cannot run inside of a transaction: VACUUM, CREATE DATABASE …
                if code != "25001" || self.in_block {
                    return Err((code, said));
                }
                self.stale = true;
                let rows = run(&self.primary, sql).await.map_err(words)?;
                return Ok(Done { effect: Some("no transaction"), rows });
            }
        };
        let after = self.state().await?;
        self.primary.simple_query(close).await.map_err(words)?;
        let effect = match () {
            () if after.0 > before.0 => Some("transaction id"),
            () if after.1 > before.1 => Some("advisory lock"),
            () => None,
        };
        self.block_writes |= self.in_block && effect.is_some();
        self.stale |= effect.is_some();
        Ok(Done { effect, rows })
    }

    /// The session reads a backslash in a string otherwise.
    pub(crate) async fn reads_strings_differently(&self) -> bool {
        self.state().await.is_ok_and(|state| state.2 == "off")
    }

    async fn state(&self) -> Result<(u64, u64, String), Failure> {
        let rows = self.primary.simple_query(STATE).await.map_err(words)?;
        let row = rows.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let column = |i| row.and_then(|row| row.try_get(i).ok().flatten()).unwrap_or_default();
        let number = |i| column(i).parse().unwrap_or(0);
        Ok((number(0), number(1), column(2).to_owned()))
    }

    /// Runs a statement on the standby; its settings are kept, as far as they work there.
    pub(crate) async fn on_standby(&self, sql: &str, keep: bool) -> Result<Vec<String>, Failure> {
        self.standby.simple_query("BEGIN").await.map_err(words)?;
        let rows = run(&self.standby, sql).await;
        let end = if keep && rows.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let _ = self.standby.simple_query(end).await;
        rows.map_err(words)
    }

    pub(crate) async fn copy_in(&mut self, sql: &str, data: &str) {
        if let Ok(sink) = self.primary.copy_in::<_, bytes::Bytes>(sql).await {
            let mut sink = Box::pin(sink);
            let sent = sink.send(bytes::Bytes::copy_from_slice(data.as_bytes())).await;
            if sent.is_ok() {
                let _ = sink.as_mut().finish().await;
            }
        }
        self.stale = true;
    }
}

async fn session(node: &Node, database: &str) -> Client {
    let mut config = node.config("postgres", database);
    config.options("-c statement_timeout=10s -c lock_timeout=5s -c client_min_messages=error");
    let (client, connection) = config.connect(NoTls).await.expect("a session");
    tokio::spawn(connection);
    client
}

/// All rows of an answer, in no order.
async fn run(client: &Client, sql: &str) -> Result<Vec<String>, Error> {
    let mut rows = Vec::new();
    if copies_out(sql) {
        let mut lines = Box::pin(client.copy_out(sql).await?);
        while let Some(line) = lines.next().await {
            rows.push(String::from_utf8_lossy(&line?).into_owned());
        }
    } else {
        for message in client.simple_query(sql).await? {
            if let SimpleQueryMessage::Row(row) = message {
                let columns =
                    (0..row.len()).map(|i| row.try_get(i).ok().flatten().unwrap_or("NULL"));
                rows.push(columns.collect::<Vec<_>>().join("|"));
            }
        }
    }
    rows.sort();
    Ok(rows)
}

pub(crate) fn copies_out(sql: &str) -> bool {
    let lower = sql.to_ascii_lowercase();
    lower.trim_start().starts_with("copy") && lower.contains("to stdout")
}

fn words(error: Error) -> Failure {
    match error.as_db_error() {
        Some(said) => (said.code().code().to_owned(), said.message().to_owned()),
        None => (String::new(), error.to_string()),
    }
}
