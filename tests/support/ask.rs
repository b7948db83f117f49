//! Short questions to a client of the proxy, and waiting for what must come.

use super::proxy::Running;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::pg::cluster::Cluster;
use tidegate::pool::Counts;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// How long a test waits for what must come: as long as a busy machine may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is yes.
pub async fn until<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let end = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < end, "in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The first column of the first row of a simple query; empty when there is none.
pub async fn try_value(client: &Client, sql: &str) -> Result<String, Error> {
    let answer = client.simple_query(sql).await?;
    let value = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    });
    Ok(value.unwrap_or_default())
}

pub async fn value(client: &Client, sql: &str) -> String {
    try_value(client, sql).await.unwrap_or_else(|e| panic!("{sql}: {}", words(&e)))
}

/// The process id of the primary's backend that serves this client now.
pub async fn backend(client: &Client) -> String {
    value(client, "SELECT 0 + pg_backend_pid()").await
}

/// Node and reason of the last decision.
pub async fn route(client: &Client) -> (String, String) {
    let says = value(client, "SHOW tidegate.last_route").await;
    let (node, rest) = says.split_once(": ").expect("a node");
    let (_, reason) = rest.rsplit_once('(').expect("a reason");
    (node.to_owned(), reason.trim_end_matches(')').to_owned())
}

/// SQLSTATE, message and hint as one text.
pub fn words(error: &Error) -> String {
    match error.as_db_error() {
        Some(e) => {
            format!("{} {} HINT: {}", e.code().code(), e.message(), e.hint().unwrap_or_default())
        }
        None => error.to_string(),
    }
}

pub async fn refused(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(_) => panic!("{sql} should have failed"),
        Err(error) => words(&error),
    }
}

impl Running {
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.proxy.console.engine.clusters[0]
    }

    /// Why clients keep their server connections, in the order of their logins; empty: they do not.
    pub async fn pins(&self) -> Vec<String> {
        const PIN: usize = 13;
        let clients = self.admin("SHOW CLIENTS").await;
        clients.iter().map(|row| row[PIN].clone().unwrap_or_default()).collect()
    }

    /// The pools on the node with this place in the configuration, added up.
    pub fn counts(&self, node: usize) -> Counts {
        let mut sum = Counts::default();
        for pools in self.cluster().all_pools() {
            let one = pools.nodes[node].counts();
            sum.idle += one.idle;
            sum.lent += one.lent;
            sum.connecting += one.connecting;
            sum.waiting += one.waiting;
            sum.opened += one.opened;
            sum.closed += one.closed;
        }
        sum
    }

    pub async fn until_waiting(&self, clients: usize) {
        until(&format!("{clients} waiting clients"), || async {
            self.counts(0).waiting == clients
        })
        .await;
    }

    pub fn url(&self, user: &str, database: &str) -> String {
        let port = self.postgres.port();
        format!("host=127.0.0.1 port={port} user={user} dbname={database}")
    }

    /// A client whose connection ends, without a goodbye, when the task is aborted.
    pub async fn fragile(&self) -> (Client, tokio::task::JoinHandle<()>) {
        let url = self.url("postgres", "postgres");
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .expect("a connection through the proxy");
        let task = tokio::spawn(async move { drop(connection.await) });
        (client, task)
    }

    /// A connection whose failure is the point.
    pub async fn refused_login(&self, url: &str) -> String {
        match self.connect_with(url).await {
            Ok(_) => panic!("{url} should be refused"),
            Err(error) => words(&error),
        }
    }
}
