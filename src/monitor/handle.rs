//! What the rest of the program holds of a monitor.

use crate::monitor::Observation;
use crate::topology::{Decree, NodeId, Published, Snapshot};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// What the monitor's conclusions are drawn from.
#[derive(Debug)]
pub(super) enum Report {
    Answer {
        node: NodeId,
        asked: Instant,
        says: Observation,
    },
    Silent {
        node: NodeId,
        at: Instant,
        why: String,
    },
    Weights(Vec<u32>),
    /// An operator wants no new reads on the node, or wants them again; answered when in force.
    Drain(NodeId, bool, oneshot::Sender<()>),
    /// Answered when the decree is in force.
    Decree(Decree, oneshot::Sender<()>),
}

/// A running monitor. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) published: Arc<Published>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) hurry: Arc<[Arc<Notify>]>,
    pub(super) settled: watch::Receiver<bool>,
}

impl Handle {
    /// Where the snapshots appear.
    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load().clone()
    }

    /// Asks every node now instead of at its next turn. The answers come as snapshots; calls
    /// that come while a question is under way share the next one.
    pub fn nudge(&self) {
        self.hurry.iter().for_each(|node| node.notify_one());
    }

    /// A session could not reach the node, or lost it: it counts as unknown from now on, until it
    /// answers a question that is asked at once.
    pub fn report_failure(&self, node: NodeId, cause: &str) {
        let why = format!("a session lost it: {cause}");
        // With the queue full the monitor is told plenty already.
        let _ = self.reports.try_send(Report::Silent { node, at: Instant::now(), why });
        if let Some(hurry) = self.hurry.get(usize::from(node.0)) {
            hurry.notify_one();
        }
    }

    /// Sets the shares of reads, in the order of the nodes.
    pub async fn set_weights(&self, weights: Vec<u32>) {
        // Without the monitor's task there are no snapshots to be weighed.
        let _ = self.reports.send(Report::Weights(weights)).await;
    }

    /// No new reads go to the node, or do again; in force when this resolves.
    pub async fn drain(&self, node: NodeId, drained: bool) {
        let (obeyed, answer) = oneshot::channel();
        // Without the monitor's task there are no snapshots that it could be in.
        let _ = self.reports.send(Report::Drain(node, drained, obeyed)).await;
        let _ = answer.await;
    }

    /// Says who may be the primary; in force, for everyone who looks from then on, when this
    /// resolves.
    pub async fn decree(&self, decree: Decree) {
        let (obeyed, answer) = oneshot::channel();
        // Without the monitor's task there are no snapshots that it could be in.
        let _ = self.reports.send(Report::Decree(decree, obeyed)).await;
        let _ = answer.await;
    }

    /// Resolves when every node has answered or failed to; before that nobody is the primary.
    pub async fn settled(&self) {
        // An error means that the monitor stopped, and nothing will change any more.
        let _ = self.settled.clone().wait_for(|settled| *settled).await;
    }

    /// Resolves with the first snapshot, the present one included, for which `wanted` is true.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut changes = self.published.changes();
        loop {
            changes.borrow_and_update();
            let seen = self.snapshot();
            if wanted(&seen) {
                return seen;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
