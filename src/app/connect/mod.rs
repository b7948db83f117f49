//! `tidegate check --connect` and `doctor`: what the servers say for themselves, what they withhold,
//! and how they are set.

mod advice;
mod ask;
mod mysql;
mod report;

pub use report::{ClusterReport, all_advice, render};

use super::{reign, wire};
use crate::config::{self, AgentDoor, Cluster, Settings};
use crate::net::tls::Authorities;
use crate::pg::auth::scram::KeyCache;
use crate::pg::connect::Node;
use futures_util::future::join_all;
use std::sync::Arc;
use tokio::time::timeout;
use tokio_postgres::NoTls;

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
    /// What would be better otherwise.
    pub advice: Vec<Finding>,
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
pub async fn look(settings: &Settings) -> Result<Vec<ClusterReport>, wire::WireError> {
    let mut authorities = Authorities::default();
    let keys = Arc::new(KeyCache::new(settings.clusters.len().max(1)));
    let mut reports = Vec::new();
    let mut others = Vec::new();
    for (name, cluster) in &settings.clusters {
        if !cluster.engine.is_postgres() {
            let nodes = wire::mysql::nodes(name, cluster, &Arc::default(), &mut authorities)?;
            let asked = join_all(nodes.into_iter().map(|node| mysql::look_at(node, cluster)));
            others.push(async move { ClusterReport { name: name.clone(), nodes: asked.await } });
            continue;
        }
        let shared = (&keys, &Arc::default());
        let nodes = wire::nodes(name, cluster, shared, &mut authorities)?;
        let both = nodes.into_iter().zip(&cluster.nodes);
        let asked = join_all(both.map(|(node, configured)| look_at(node, configured, cluster)));
        reports.push(async move { ClusterReport { name: name.clone(), nodes: asked.await } });
    }
    let (mut reports, others) =
        futures_util::future::join(join_all(reports), join_all(others)).await;
    reports.extend(others);
    Ok(reports)
}

/// What to change on the machine of the proxy.
pub fn advice_for_machine(settings: &Settings) -> Option<Finding> {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    advice::of_machine(settings.clusters.values(), files)
}

async fn look_at(node: Arc<Node>, configured: &config::Node, cluster: &Cluster) -> NodeReport {
    let patience = cluster.pool.connect_timeout;
    let asked = log_in_and_ask(&node, cluster);
    let mut facts = match timeout(patience, asked).await {
        Ok(facts) => facts,
        Err(_) => Err(format!("no answer within {patience:?}")),
    };
    if let (Ok(facts), Some(door)) = (&mut facts, &configured.agent) {
        let problem = match timeout(patience, agent_problem(door, facts.system.as_deref())).await {
            Ok(problem) => problem,
            Err(_) => Some(format!("its agent gives no answer within {patience:?}")),
        };
        facts.problems.extend(problem.map(|says| Finding { says, hint: None }));
    }
    NodeReport { name: node.name.to_string(), address: node.address.to_string(), facts }
}

/// Why the agent beside a node of this system would be of no use.
async fn agent_problem(door: &AgentDoor, system: Option<&str>) -> Option<String> {
    let agent = match reign::agent(door) {
        Ok(agent) => agent,
        Err(error) => return Some(format!("its agent: {error}")),
    };
    let status = match agent.status().await {
        Ok(status) => status,
        Err(error) => return Some(error.to_string()),
    };
    let ours = system.and_then(|system| system.parse::<i64>().ok())?.cast_unsigned();
    (status.system != ours)
        .then(|| format!("its agent looks after another database system, {}", status.system))
}

async fn log_in_and_ask(node: &Node, cluster: &Cluster) -> Result<Facts, String> {
    let mut login = wire::monitor_login(&cluster.monitor);
    login.application_name("tidegate check");
    let (stream, _) = node.dial().await.map_err(|e| e.to_string())?;
    let connected = login.connect_raw(stream, NoTls).await;
    let (client, connection) = connected.map_err(|e| in_words(&e))?;
    // The connection carries the bytes for `client`; it ends when the answers are there.
    let asked = async {
        let facts = ask::facts(&client, cluster).await.map_err(|e| in_words(&e));
        drop(client);
        facts
    };
    let (facts, _) = tokio::join!(asked, connection);
    facts
}

/// An error with its cause: the client library keeps what the server said one level down.
pub(super) fn in_words(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => format!("the server says: {}", said.message()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
