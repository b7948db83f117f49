//! From which node a backup is taken: the one that it hurts least.

use super::From;
use crate::topology::{NodeId, NodeSet, NodeView, Role, Snapshot};
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What counts in the choice.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    pub from: From,
    pub max_lag: Duration,
    /// Nodes that the operator wants backups to be taken from.
    pub marked: NodeSet,
    /// Standbys that commits wait for: a busy one would be felt.
    pub synchronous: NodeSet,
    /// Nodes that failed already.
    pub tried: NodeSet,
}

/// A node, and why that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub node: NodeId,
    pub name: Arc<str>,
    pub because: String,
}

/// No node is able; each with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoNode(pub Vec<(Arc<str>, String)>);

impl fmt::Display for NoNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.0.iter().map(|(name, why)| format!("{name} {why}")).collect();
        f.write_str(&each.join("; "))
    }
}

/// The best node now. Smaller is better, in this order: a replica before the primary, one that has not
/// failed yet, one that is marked, one that no commit waits for, the least busy, the least behind.
pub fn choose(seen: &Snapshot, wishes: &Wishes, now: Instant) -> Result<Choice, NoNode> {
    let mut unable = Vec::new();
    let mut able = Vec::new();
    for node in &seen.nodes {
        match obstacle(node, wishes, now) {
            Some(why) => unable.push((node.name.clone(), why)),
            None => able.push(node),
        }
    }
    let rank = |node: &&NodeView| {
        (
            node.role == Role::Primary,
            wishes.tried.contains(node.id),
            Reverse(wishes.marked.contains(node.id)),
            wishes.synchronous.contains(node.id),
            node.load.outstanding(),
            node.bytes_behind.unwrap_or(0),
            node.id,
        )
    };
    let Some(best) = able.iter().copied().min_by_key(rank) else { return Err(NoNode(unable)) };
    let because = because(best, wishes, able.len());
    Ok(Choice { node: best.id, name: best.name.clone(), because })
}

/// What keeps a backup from being taken there.
fn obstacle(node: &NodeView, wishes: &Wishes, now: Instant) -> Option<String> {
    match &node.role {
        Role::Replica => {}
        Role::Primary if wishes.from == From::Any => return None,
        Role::Primary => return Some("is the primary".into()),
        Role::Fenced => return Some("is fenced".into()),
        Role::Unknown(why) => return Some(format!("is unknown: {why}")),
    }
    match node.fresh_as_of.map(|at| now.saturating_duration_since(at)) {
        None => Some("is a replica, but nobody knows how old its data is".into()),
        Some(age) if age > wishes.max_lag => {
            Some(format!("is {age:.1?} behind, max_lag is {:?}", wishes.max_lag))
        }
        Some(_) => None,
    }
}

fn because(node: &NodeView, wishes: &Wishes, able: usize) -> String {
    let mut words = vec![match node.role {
        Role::Primary => "no replica is able",
        _ if able == 1 => "the only replica that is able",
        _ if wishes.marked.contains(node.id) => "marked for backups",
        _ => "the least busy replica",
    }];
    if wishes.synchronous.contains(node.id) {
        words.push("although commits wait for it");
    }
    if wishes.tried.contains(node.id) {
        words.push("tried again");
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    fn node(id: u8, role: Role, age: Option<u64>, now: Instant) -> NodeView {
        NodeView {
            fresh_as_of: age.map(|s| now - Duration::from_secs(s)),
            bytes_behind: Some(0),
            ..NodeView::unseen(NodeId(id), ["a", "b", "c", "d"][usize::from(id)], role)
        }
    }

    fn seen(nodes: Vec<NodeView>) -> Snapshot {
        Snapshot { cluster: "x".into(), epoch: 1, primary: None, began: None, nodes }
    }

    fn wishes() -> Wishes {
        let none = NodeSet::EMPTY;
        let max_lag = Duration::from_secs(60);
        Wishes { from: From::Replica, max_lag, marked: none, synchronous: none, tried: none }
    }

    fn set(ids: &[u8]) -> NodeSet {
        let mut set = NodeSet::EMPTY;
        ids.iter().for_each(|id| set.insert(NodeId(*id)));
        set
    }

    fn three(now: Instant) -> Snapshot {
        let replica = |id| node(id, Role::Replica, Some(1), now);
        seen(vec![node(0, Role::Primary, Some(0), now), replica(1), replica(2)])
    }

    fn name(seen: &Snapshot, wishes: &Wishes, now: Instant) -> String {
        choose(seen, wishes, now).unwrap().name.to_string()
    }

    #[test]
    fn the_primary_is_never_taken_unless_asked_for_and_then_last() {
        let now = Instant::now();
        let alone = seen(vec![node(0, Role::Primary, Some(0), now)]);
        let error = choose(&alone, &wishes(), now).unwrap_err();
        assert_eq!(error.to_string(), "a is the primary");
        let any = Wishes { from: From::Any, ..wishes() };
        assert_eq!(choose(&alone, &any, now).unwrap().because, "no replica is able");
        assert_eq!(name(&three(now), &any, now), "b");
    }

    #[test]
    fn a_replica_beyond_the_bound_or_of_unknown_age_is_not_taken() {
        let now = Instant::now();
        let late = seen(vec![
            node(0, Role::Replica, Some(61), now),
            node(1, Role::Replica, None, now),
            node(2, Role::Unknown("away".into()), None, now),
        ]);
        let error = choose(&late, &wishes(), now).unwrap_err().to_string();
        assert!(error.starts_with("a is 61.0s behind, max_lag is 60s; b is a replica"), "{error}");
        assert!(error.ends_with("c is unknown: away"), "{error}");
    }

    #[test]
    fn the_least_busy_goes_first_unless_another_is_marked() {
        let now = Instant::now();
        let seen = three(now);
        seen.nodes[1].load.outstanding.store(5, Ordering::Relaxed);
        assert_eq!(name(&seen, &wishes(), now), "c");
        let marked = Wishes { marked: set(&[1]), ..wishes() };
        assert_eq!(choose(&seen, &marked, now).unwrap().because, "marked for backups");
        assert_eq!(name(&seen, &marked, now), "b");
    }

    #[test]
    fn one_that_commits_wait_for_is_spared_if_there_is_another() {
        let now = Instant::now();
        let synchronous = Wishes { synchronous: set(&[1]), ..wishes() };
        assert_eq!(name(&three(now), &synchronous, now), "c");
        let both = Wishes { synchronous: set(&[1, 2]), ..wishes() };
        let choice = choose(&three(now), &both, now).unwrap();
        assert_eq!(choice.because, "the least busy replica, although commits wait for it");
    }

    #[test]
    fn one_that_failed_comes_last_even_if_it_is_marked() {
        let now = Instant::now();
        let tried = Wishes { marked: set(&[1]), tried: set(&[1]), ..wishes() };
        assert_eq!(name(&three(now), &tried, now), "c");
        let tried = Wishes { tried: set(&[1, 2]), ..wishes() };
        assert!(choose(&three(now), &tried, now).unwrap().because.ends_with("tried again"));
    }
}
