//! Failover, wired: the proxy itself as failover needs it, and its start for each cluster.

use super::wire;
use crate::config;
use crate::failover::{self, Executor, FileLedger, Folder, Gate, Handle, Mode, Name, StoreError};
use crate::net::tls::{Authorities, Connector, ServerMode, ServerSide, TlsError};
use crate::orders;
use crate::pg::cluster::Cluster;
use crate::pg::engine::Engine;
use crate::pg::govern::{Governor, Subject};
use crate::task::Tasks;
use crate::topology::{Decree, NodeId};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// Why failover does not start.
#[derive(Debug, Error)]
pub enum ReignError {
    #[error("state_dir: {0}")]
    State(#[from] StoreError),
    #[error("the agent of {node}: {source}")]
    Agent { node: String, source: TlsError },
}

/// The failovers that run, by the names of their clusters.
pub(super) type Reigns = BTreeMap<Arc<str>, Handle>;

/// Starts what the configuration asks for. The state's folder is locked from then on.
pub(super) fn start(
    settings: &config::Settings,
    engine: &Arc<Engine>,
    tasks: &Tasks,
) -> Result<Reigns, ReignError> {
    let mut reigns = Reigns::new();
    let kept = engine.clusters.iter().filter_map(|cluster| {
        let configured = settings.clusters.get(&*cluster.name)?;
        (configured.failover.mode != Mode::Off).then_some((cluster, configured))
    });
    let kept: Vec<_> = kept.collect();
    if kept.is_empty() {
        return Ok(reigns);
    }
    let folder = Folder::open(&settings.state_dir)?;
    for (cluster, configured) in kept {
        let handle = one(cluster, configured, (engine, &folder), tasks)?;
        reigns.insert(cluster.name.clone(), handle);
    }
    Ok(reigns)
}

fn one(
    cluster: &Arc<Cluster>,
    settings: &config::Cluster,
    (engine, folder): (&Arc<Engine>, &Arc<Folder>),
    tasks: &Tasks,
) -> Result<Handle, ReignError> {
    let (ledger, kept) = folder.cluster(&cluster.name)?;
    let mut subjects = Vec::new();
    for (node, configured) in cluster.nodes.iter().zip(&settings.nodes) {
        let agent = configured.agent.as_ref().map(agent).transpose();
        let agent = agent.map_err(|source| ReignError::Agent {
            node: format!("{}.{}", cluster.name, node.name),
            source,
        })?;
        subjects.push(Subject { node: node.clone(), priority: configured.priority, agent });
    }
    let login = wire::monitor_login(&settings.monitor);
    let governor = Governor::new(subjects, login, settings.monitor.probe_timeout);
    let nodes = cluster.nodes.iter().map(|n| (n.name.clone(), n.address.to_string()));
    let executor: Executor<Governor, Doors, FileLedger> = Executor {
        actuator: Arc::new(governor),
        gate: Doors { cluster: cluster.clone(), engine: engine.clone() },
        ledger,
        settings: settings.failover.clone(),
        before: failover::Before::default(),
        nodes: nodes.collect(),
    };
    let published = cluster.monitor.published().clone();
    let parts = failover::Parts { executor, kept, published };
    Ok(failover::start(tasks, &cluster.name, parts))
}

/// The way to an agent.
pub(super) fn agent(door: &config::AgentDoor) -> Result<orders::Agent, TlsError> {
    let tls = ServerSide {
        mode: ServerMode::VerifyFull,
        ca_file: door.ca.clone(),
        cert_file: door.cert.clone(),
        key_file: door.key.clone(),
        ..ServerSide::default()
    };
    let connector = || Connector::new(&tls, &mut Authorities::default());
    Ok(orders::Agent::new(orders::Door {
        address: door.url.address.as_str().into(),
        token: door.token.as_ref().map(|token| token.expose().into()),
        tls: door.url.tls.then(connector).transpose()?,
    }))
}

/// The way of clients to the servers of one cluster.
struct Doors {
    cluster: Arc<Cluster>,
    engine: Arc<Engine>,
}

impl Doors {
    fn place(&self, name: &Name) -> Option<NodeId> {
        let at = self.cluster.nodes.iter().position(|node| node.name == *name)?;
        u8::try_from(at).ok().map(NodeId)
    }
}

impl Gate for Doors {
    async fn decree(&self, decree: Decree) {
        let deposed = decree.deposed();
        self.cluster.monitor.decree(decree).await;
        let all = (0_u8..).map(NodeId).take(self.cluster.nodes.len());
        for node in all.filter(|node| deposed.contains(*node)) {
            let pools = self.cluster.all_pools();
            pools.iter().for_each(|pools| pools.nodes[usize::from(node.0)].retire_all());
            // They see who was deposed, and let go.
            self.engine.wake_clients_of(&self.cluster.name, node);
        }
        self.cluster.monitor.nudge();
    }

    fn users(&self, node: &Name) -> usize {
        let Some(node) = self.place(node) else { return 0 };
        let pools = self.cluster.all_pools();
        pools.iter().map(|pools| pools.nodes[usize::from(node.0)].counts().lent).sum()
    }
}
