//! The start of a cluster's monitor, and the task that concludes.

use super::ask::Asker;
use super::handle::{Handle, Report};
use super::picture::Change;
use super::{Member, Picture, Probe, Settings};
use crate::task::{Stop, Tasks};
use crate::topology::{Decree, NodeId, Published};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tracing::info;

/// Reports that may wait for the task that concludes.
const QUEUE: usize = 256;

/// Starts to watch a cluster: a task for each node and one that concludes. At most 64 nodes.
/// `first`: the decree in force until there is another.
pub fn start<P: Probe>(
    tasks: &Tasks,
    cluster: Arc<str>,
    settings: &Settings,
    nodes: Vec<(Member, P)>,
    first: Decree,
) -> Handle {
    let (reports, queue) = mpsc::channel(QUEUE);
    let (members, probes): (Vec<Member>, Vec<P>) = nodes.into_iter().unzip();
    let hurry: Arc<[Arc<Notify>]> = members.iter().map(|_| Arc::new(Notify::new())).collect();
    let mut picture = Picture::new(cluster.clone(), members.clone());
    picture.obey(first);
    let published = Arc::new(Published::new(picture.snapshot()));
    for ((node, probe), member) in (0_u8..).zip(probes).zip(&members) {
        let asker = Asker {
            node: NodeId(node),
            probe,
            settings: settings.clone(),
            hurry: hurry[usize::from(node)].clone(),
            reports: reports.clone(),
            published: published.clone(),
        };
        let name = format!("monitor {cluster}.{}", member.name);
        tasks.spawn(name, |stop| asker.run(stop));
    }
    let (settle, settled) = watch::channel(false);
    let judge = Judge { cluster: cluster.clone(), picture, published: published.clone(), settle };
    tasks.spawn(format!("monitor {cluster}"), |stop| judge.run(queue, stop));
    Handle { published, reports, hurry, settled }
}

/// Takes in the reports one by one and publishes what follows from each.
struct Judge {
    cluster: Arc<str>,
    picture: Picture,
    published: Arc<Published>,
    settle: watch::Sender<bool>,
}

impl Judge {
    async fn run(mut self, mut queue: mpsc::Receiver<Report>, mut stop: Stop) {
        loop {
            let report = tokio::select! {
                // Both are cancel-safe.
                () = stop.stopped() => return,
                report = queue.recv() => report,
            };
            let Some(report) = report else { return };
            let (changes, obeyed) = self.take_in(report);
            self.published.publish(self.picture.snapshot());
            if let Some(obeyed) = obeyed {
                // Whoever asked may have been given up meanwhile.
                let _ = obeyed.send(());
            }
            self.log(&changes);
            if !*self.settle.borrow() && self.picture.is_settled() {
                self.settle.send_replace(true);
            }
        }
    }

    fn take_in(&mut self, report: Report) -> (Vec<Change>, Option<oneshot::Sender<()>>) {
        let changes = match report {
            Report::Answer { node, asked, says } => self.picture.answer(node, asked, says),
            Report::Silent { node, at, why } => self.picture.silent(node, at, why),
            Report::Weights(weights) => {
                self.picture.weigh(&weights);
                Vec::new()
            }
            Report::Drain(node, drained, obeyed) => {
                self.picture.drain(node, drained);
                return (Vec::new(), Some(obeyed));
            }
            Report::Decree(decree, obeyed) => return (self.picture.obey(decree), Some(obeyed)),
        };
        (changes, None)
    }

    fn log(&self, changes: &[Change]) {
        let epoch = self.published.load().epoch;
        for Change { node, from, to, because } in changes {
            info!(cluster = %self.cluster, %node, from, to, because, epoch, "role changed");
        }
    }
}
