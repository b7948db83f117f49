//! The monitor's memory of one cluster, and the snapshot it makes of it. No I/O, no clock.

use super::{Member, Observation, Reign, Samples, Seen, Verdict, roles};
use crate::topology::{
    Decree, Load, NodeId, NodeSet, NodeView, Position, Role, Snapshot, Standing,
};
use std::sync::Arc;
use std::time::Instant;

/// All that is known of a cluster.
#[derive(Debug)]
pub struct Picture {
    cluster: Arc<str>,
    nodes: Vec<Node>,
    verdict: Verdict,
    decree: Decree,
    epoch: u64,
    samples: Samples,
    /// The first sample of the history that the newest one belongs to.
    began: Option<Position>,
}

#[derive(Debug)]
struct Node {
    member: Member,
    load: Arc<Load>,
    seen: Seen,
    /// When the question of the last answer was sent.
    asked: Option<Instant>,
    /// When it was last found not to answer: answers to earlier questions prove nothing.
    silent_at: Option<Instant>,
    /// How fresh it was known to be, at a position it has not lost since.
    fresh: Option<(Position, Instant)>,
    /// An operator wants no new reads on it.
    drained: bool,
}

/// A node that got another role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub node: Arc<str>,
    pub from: &'static str,
    pub to: &'static str,
    pub because: String,
}

impl Picture {
    pub fn new(cluster: Arc<str>, members: Vec<Member>) -> Picture {
        let node = |member| Node {
            member,
            load: Arc::new(Load::default()),
            seen: Seen::NotYet,
            asked: None,
            silent_at: None,
            drained: false,
            fresh: None,
        };
        let nodes: Vec<Node> = members.into_iter().map(node).collect();
        let decree = Decree::default();
        let verdict = judge(&nodes, Reign::default(), &decree);
        let samples = Samples::default();
        Picture { cluster, nodes, verdict, decree, epoch: 0, samples, began: None }
    }

    /// Whoever keeps the term says who may be the primary from now on.
    pub fn obey(&mut self, decree: Decree) -> Vec<Change> {
        if self.decree != decree {
            self.decree = decree;
            self.epoch += 1;
        }
        self.conclude()
    }

    /// The node answered to a question sent at `asked`.
    pub fn answer(&mut self, id: NodeId, asked: Instant, says: Observation) -> Vec<Change> {
        let node = &mut self.nodes[usize::from(id.0)];
        if node.silent_at.is_some_and(|silent| asked < silent) {
            return Vec::new();
        }
        node.seen = Seen::Says(says);
        node.asked = Some(asked);
        self.conclude()
    }

    /// The node was found not to answer at `at`.
    pub fn silent(&mut self, id: NodeId, at: Instant, why: String) -> Vec<Change> {
        let node = &mut self.nodes[usize::from(id.0)];
        node.seen = Seen::Silent(why);
        node.silent_at = node.silent_at.max(Some(at));
        self.conclude()
    }

    /// New shares of reads, in the order of the nodes.
    pub fn weigh(&mut self, weights: &[u32]) {
        for (node, weight) in self.nodes.iter_mut().zip(weights) {
            node.member.weight = *weight;
        }
    }

    /// Whether an operator wants no new reads on a node.
    pub fn drain(&mut self, id: NodeId, drained: bool) {
        self.nodes[usize::from(id.0)].drained = drained;
    }

    /// True once every node answered or failed to.
    pub fn is_settled(&self) -> bool {
        self.nodes.iter().all(|node| node.seen != Seen::NotYet)
    }

    fn conclude(&mut self) -> Vec<Change> {
        let verdict = judge(&self.nodes, self.verdict.reign, &self.decree);
        if reign(&verdict) != reign(&self.verdict) {
            self.epoch += 1;
        }
        let before = std::mem::replace(&mut self.verdict, verdict);
        if self.verdict.reign.primary != before.reign.primary {
            // Histories without timelines may look as if one went on with the other.
            self.samples = Samples::default();
            self.nodes.iter_mut().for_each(|node| node.fresh = None);
        }
        self.sample();
        self.refresh();
        self.changes(&before)
    }

    /// The primary's last answer is a sample from the moment it is known to be the primary.
    fn sample(&mut self) {
        let Some(primary) = self.verdict.primary else { return };
        let node = &self.nodes[usize::from(primary.0)];
        if let (Seen::Says(Observation { position: Some(position), .. }), Some(asked)) =
            (&node.seen, node.asked)
        {
            if !self.began.as_ref().is_some_and(|began| position.contains(began)) {
                self.began = Some(position.clone());
            }
            self.samples.push(asked, position.clone());
        }
    }

    fn refresh(&mut self) {
        for (node, role) in self.nodes.iter_mut().zip(&self.verdict.roles) {
            node.fresh = match (role, &node.seen) {
                (Role::Replica, Seen::Says(Observation { position: Some(now), .. })) => {
                    let kept = node.fresh.take().filter(|(then, _)| now.contains(then));
                    let known = self.samples.fresh_as_of(now).max(kept.map(|(_, fresh)| fresh));
                    known.map(|fresh| (now.clone(), fresh))
                }
                _ => None,
            };
        }
    }

    fn changes(&self, before: &Verdict) -> Vec<Change> {
        let roles = before.roles.iter().zip(&self.verdict.roles).zip(&self.verdict.because);
        let named = self.nodes.iter().zip(roles);
        let changed = named.filter(|(_, ((from, to), _))| from.name() != to.name());
        let change = |(node, ((from, to), because)): (&Node, ((&Role, &Role), &String))| Change {
            node: node.member.name.clone(),
            from: from.name(),
            to: to.name(),
            because: because.clone(),
        };
        changed.map(change).collect()
    }

    /// What is known, for everyone to read.
    pub fn snapshot(&self) -> Snapshot {
        let nodes = self.nodes.iter().enumerate().map(|(n, node)| self.view(n, node)).collect();
        Snapshot {
            cluster: self.cluster.clone(),
            epoch: self.epoch,
            primary: self.verdict.primary,
            began: self.began.clone(),
            nodes,
        }
    }

    fn view(&self, n: usize, node: &Node) -> NodeView {
        let role = self.verdict.roles[n].clone();
        let says = match &node.seen {
            Seen::Says(says) => Some(says),
            _ => None,
        };
        let position = says.and_then(|says| says.position.as_ref());
        let newest = self.samples.newest().filter(|_| role == Role::Replica);
        NodeView {
            id: NodeId(u8::try_from(n).unwrap_or(u8::MAX)),
            name: node.member.name.clone(),
            address: node.member.address.clone(),
            weight: node.member.weight,
            drained: node.drained,
            near: node.member.near,
            position: position.cloned(),
            // A primary misses nothing that was acknowledged.
            fresh_as_of: match role {
                Role::Primary => node.asked,
                _ => node.fresh.as_ref().map(|(_, fresh)| *fresh),
            },
            asked: node.asked.filter(|_| says.is_some()),
            away: node.silent_at,
            claimed_lag_us: says.and_then(|says| says.claimed_lag_us),
            trouble: says.and_then(|says| says.trouble.clone()),
            bytes_behind: newest.zip(position).and_then(|(to, from)| from.bytes_behind(to)),
            version: says.map(|says| says.version.clone()),
            standing: says.map(|says| Standing {
                in_recovery: says.in_recovery,
                system: says.system,
                timeline: says.timeline,
                feed: says.feed,
            }),
            load: node.load.clone(),
            role,
        }
    }
}

fn judge(nodes: &[Node], before: Reign, decree: &Decree) -> Verdict {
    let seen: Vec<Seen> = nodes.iter().map(|node| node.seen.clone()).collect();
    let names: Vec<&str> = nodes.iter().map(|node| &*node.member.name).collect();
    roles(&seen, &names, before, decree)
}

/// What an epoch stands for: who holds the reign, and who must not write.
fn reign(verdict: &Verdict) -> (Reign, Vec<bool>) {
    let held = Reign { server: None, followers: NodeSet::EMPTY, ..verdict.reign };
    (held, verdict.roles.iter().map(|role| *role == Role::Fenced).collect())
}

#[cfg(test)]
mod tests;
