//! `tidegate check --connect`: what the servers say for themselves, and what they withhold.

mod ask;
mod report;
mod tls;

pub use report::{ClusterReport, render};

use crate::config::{Cluster, Node, Settings};
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// One node as it presents itself to the monitor's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub primary: bool,
    /// `server_version`
    pub version: String,
    /// The same for all nodes of one history; `None` when it may not be read.
    pub system: Option<String>,
    pub timeline: Option<u32>,
    /// Whom it follows, or who follows it.
    pub replication: String,
    pub encrypted: bool,
    pub problems: Vec<Finding>,
}

/// Something to mend on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub says: String,
    /// A statement to run on the primary, where there is one.
    pub hint: Option<String>,
}

/// One node, with why it could not be asked if so.
#[derive(Clone, Debug)]
pub struct NodeReport {
    pub name: String,
    pub address: String,
    pub facts: Result<Facts, String>,
}

/// Logs in to every node of every cluster, all at the same time.
pub async fn look(settings: &Settings) -> Vec<ClusterReport> {
    let clusters = settings.clusters.iter().map(|(name, cluster)| async move {
        let nodes = cluster.nodes.iter().map(|node| look_at(node, cluster));
        let nodes = futures_util::future::join_all(nodes).await;
        ClusterReport { name: name.clone(), nodes }
    });
    futures_util::future::join_all(clusters).await
}

async fn look_at(node: &Node, cluster: &Cluster) -> NodeReport {
    let patience = cluster.pool.connect_timeout;
    let facts = match tokio::time::timeout(patience, log_in_and_ask(node, cluster)).await {
        Ok(facts) => facts,
        Err(_) => Err(format!("no answer within {patience:?}")),
    };
    NodeReport { name: node.name.clone(), address: node.address.to_string(), facts }
}

async fn log_in_and_ask(node: &Node, cluster: &Cluster) -> Result<Facts, String> {
    let mut login = tokio_postgres::Config::new();
    login
        .host(&node.address.host)
        .port(node.address.port)
        .user(&cluster.monitor.user)
        .dbname(&cluster.monitor.database)
        .application_name("tidegate check")
        .connect_timeout(Duration::from_secs(60))
        .ssl_mode(tls::libpq_mode(cluster.tls.mode));
    if let Some(password) = &cluster.monitor.password {
        login.password(password.expose());
    }
    let tls = match login.get_ssl_mode() {
        SslMode::Disable => tls::client(None)?,
        _ => tls::client(Some(&cluster.tls))?,
    };
    let connected = login.connect(MakeRustlsConnect::new(tls)).await;
    let (client, connection) = connected.map_err(|e| in_words(&e))?;
    // The connection carries the bytes for `client`; it ends when the answers are there.
    let asked = async {
        let facts = ask::facts(&client).await.map_err(|e| in_words(&e));
        drop(client);
        facts
    };
    let (facts, _) = tokio::join!(asked, connection);
    facts
}

/// An error with its cause: the client library keeps what the server said one level down.
fn in_words(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => format!("the server says: {}", said.message()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
