//! Three servers, a proxy that keeps the term, and what it says.

use crate::support::ask::until;
use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, Node, cluster};
use tempfile::TempDir;

pub(crate) struct Scene {
    pub(crate) servers: Cluster,
    pub(crate) running: Running,
    pub(crate) state: TempDir,
    keys: String,
}

/// `keys`: of the section failover.
pub(crate) async fn scene(keys: &str) -> Scene {
    let servers = cluster().replicas(2).sql("CREATE TABLE told (n int8)").start().await.unwrap();
    scene_with(servers, keys).await
}

pub(crate) async fn scene_with(servers: Cluster, keys: &str) -> Scene {
    let state = tempfile::tempdir().unwrap();
    let running = proxy(&servers).with("failover", keys).state(state.path()).start().await;
    let scene = Scene::of(servers, running, state, keys);
    scene.until_well().await;
    scene
}

/// The columns of SHOW TERM.
pub(crate) const TERM: usize = 1;
pub(crate) const PHASE: usize = 2;
pub(crate) const PRIMARY: usize = 3;
const QUORUM: usize = 7;
const OPINION: usize = 8;
pub(crate) const SAYS: usize = 9;
pub(crate) const DEPOSED: usize = 11;

impl Scene {
    pub(crate) fn of(servers: Cluster, running: Running, state: TempDir, keys: &str) -> Scene {
        Scene { servers, running, state, keys: keys.to_owned() }
    }

    /// One column of SHOW TERM; empty while there is nothing to say.
    pub(crate) async fn term(&self, column: usize) -> String {
        let rows = self.running.admin("SHOW TERM").await;
        rows.into_iter().next().and_then(|row| row[column].clone()).unwrap_or_default()
    }

    pub(crate) async fn until(&self, column: usize, wanted: &str) {
        until(wanted, || async { self.term(column).await == wanted }).await;
    }

    pub(crate) async fn until_well(&self) {
        let strict = !self.keys.contains("available");
        until("a primary that is well", || async {
            let quorum = !strict || !self.term(QUORUM).await.is_empty();
            quorum && self.term(OPINION).await == "well" && self.term(PHASE).await == "active"
        })
        .await;
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        self.servers.nodes().iter().find(|node| node.name() == name).expect("a node")
    }

    /// Who reigns in this term, once the change that began it is over.
    pub(crate) async fn settled_in(&self, term: &str) -> &Node {
        until("the end of the change", || async {
            self.term(TERM).await == term && self.term(PHASE).await == "active"
        })
        .await;
        self.node(&self.term(PRIMARY).await)
    }

    /// A new proxy with the same state, in the place of the one that stops.
    pub(crate) async fn restart(self) -> Scene {
        let Scene { servers, running, state, keys } = self;
        running.proxy.stop().await;
        let running = proxy(&servers).with("failover", &keys).state(state.path()).start().await;
        Scene { servers, running, state, keys }
    }
}
