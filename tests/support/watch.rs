//! A monitor over a throwaway cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::lab::postgres::Node;
use tidegate::monitor::{Handle, Member, Settings, start};
use tidegate::pg::probe::PgProbe;
use tidegate::route::{Ask, Consistency, Decision, Fallback, Known, Place, Wants, route};
use tidegate::task::Tasks;
use tidegate::topology::{Decree, NodeId, NodeSet, Snapshot};

/// How long a test waits for what must come: as long as a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub const SETTINGS: Settings = Settings {
    idle_interval: Duration::from_millis(50),
    shortest_interval: Duration::from_millis(1),
    interval: Duration::from_millis(20),
    probe_timeout: Duration::from_secs(2),
    connect_timeout: Duration::from_secs(1),
    backoff_max: Duration::from_millis(200),
};

/// A monitor and what it sees. Its tasks end with it.
pub struct Watch {
    pub handle: Handle,
    pub tasks: Tasks,
}

/// Watches these nodes, in this order.
pub async fn watch(nodes: &[&Node]) -> Watch {
    watch_with(nodes, &SETTINGS).await
}

pub async fn watch_with(nodes: &[&Node], settings: &Settings) -> Watch {
    watch_by(nodes, settings, |node| PgProbe::new(bare(node), node.config("postgres", "postgres")))
        .await
}

/// The way to a node, without TLS.
pub fn bare(node: &Node) -> Arc<tidegate::pg::connect::Node> {
    Arc::new(tidegate::pg::connect::Node::plain(node.name(), &node.address()))
}

/// Watches with other settings, and with probes of the test's own making.
pub async fn watch_by(
    nodes: &[&Node],
    settings: &Settings,
    probe: impl Fn(&Node) -> PgProbe,
) -> Watch {
    let member = |node: &&Node| {
        let member = Member {
            name: node.name().into(),
            address: node.address().into(),
            weight: 1,
            near: true,
        };
        (member, probe(node))
    };
    let tasks = Tasks::new();
    let watched = nodes.iter().map(member).collect();
    let handle = start(&tasks, "orders".into(), settings, watched, Decree::Free);
    let watch = Watch { handle, tasks };
    tokio::time::timeout(PATIENCE, watch.handle.settled()).await.expect("a settled monitor");
    watch
}

impl Watch {
    /// Waits for a snapshot of which `wanted` is true.
    pub async fn until(&self, what: &str, wanted: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        let waited = tokio::time::timeout(PATIENCE, self.handle.wait_for(wanted)).await;
        waited.unwrap_or_else(|_| panic!("in vain for {what}: {:#?}", self.handle.snapshot()))
    }

    /// Waits until the nodes have these roles, in the order of the nodes.
    pub async fn until_roles(&self, roles: &[&str]) -> Arc<Snapshot> {
        self.until(&roles.join(", "), |seen| names(seen) == roles).await
    }

    /// Where a read within `max_staleness` goes now.
    pub fn read(&self, max_staleness: Duration, tie: u32) -> Decision {
        let ask = Ask {
            known: Known::default(),
            arrived: Instant::now(),
            wants: Wants::Read,
            place: Place::Anywhere,
            wrote: None,
            after: None,
            consistency: Consistency::Bounded,
            max_staleness,
            avoid: NodeSet::default(),
            fallback: Fallback::Primary,
            tie,
        };
        route(&ask, &self.handle.snapshot(), Instant::now())
    }

    /// How old the data of a node may be now; `None`: unknown.
    pub fn staleness(&self, node: u8) -> Option<Duration> {
        let fresh = self.handle.snapshot().node(NodeId(node)).fresh_as_of?;
        Some(Instant::now().saturating_duration_since(fresh))
    }
}

/// The names of the roles, in the order of the nodes.
pub fn names(seen: &Snapshot) -> Vec<&'static str> {
    seen.nodes.iter().map(|node| node.role.name()).collect()
}
