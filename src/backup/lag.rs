//! Looks after the node that a backup is taken from: the copy waits while it falls behind, and ends
//! when the node is not what it was.

use super::Throttle;
use crate::topology::{NodeId, NodeView, Published, Role};
use std::time::{Duration, Instant};

/// How often it is looked at.
const GLANCE: Duration = Duration::from_millis(100);

/// How long the node may not answer, before it counts as lost.
const SILENCE: Duration = Duration::from_secs(10);

/// How long a copy waits for a node to catch up, at most.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is to be done about the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    GoOn,
    Wait,
    /// For this reason.
    End(String),
}

/// Brakes the copy as need be; resolves with the reason when it should end. Cancel-safe.
pub async fn watch_lag(
    published: &Published,
    node: NodeId,
    bound: Duration,
    throttle: &Throttle,
) -> String {
    let role = published.load().node(node).role.clone();
    // Since when it has been other than well.
    let mut since: Option<Instant> = None;
    loop {
        let now = Instant::now();
        let seen = published.load().node(node).clone();
        let act = judge(&seen, &role, bound, now, since);
        since = if act == Act::GoOn { None } else { since.or(Some(now)) };
        match act {
            Act::End(why) => return why,
            act => throttle.pause(act == Act::Wait),
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn judge(
    seen: &NodeView,
    role: &Role,
    bound: Duration,
    now: Instant,
    since: Option<Instant>,
) -> Act {
    let lasts = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
    match &seen.role {
        Role::Unknown(why) if lasts > SILENCE => Act::End(format!("it is gone: {why}")),
        Role::Unknown(_) => Act::Wait,
        other if other != role => Act::End(format!("it is a {} now", other.name())),
        Role::Replica => match seen.fresh_as_of.map(|at| now.saturating_duration_since(at)) {
            Some(age) if age <= bound => Act::GoOn,
            _ if lasts > PATIENCE => Act::End("it does not catch up".into()),
            _ => Act::Wait,
        },
        _ => Act::GoOn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(role: Role, age: Option<u64>, now: Instant) -> NodeView {
        NodeView {
            fresh_as_of: age.map(|s| now - Duration::from_secs(s)),
            ..NodeView::unseen(NodeId(0), "b", role)
        }
    }

    fn act(role: Role, age: Option<u64>, lasts: u64) -> Act {
        let now = Instant::now();
        let since = (lasts > 0).then(|| now - Duration::from_secs(lasts));
        judge(&node(role, age, now), &Role::Replica, Duration::from_secs(5), now, since)
    }

    #[test]
    fn a_copy_waits_while_its_replica_is_behind_and_not_for_ever() {
        assert_eq!(act(Role::Replica, Some(5), 0), Act::GoOn);
        assert_eq!(act(Role::Replica, Some(6), 0), Act::Wait);
        assert_eq!(act(Role::Replica, None, 0), Act::Wait);
        assert_eq!(act(Role::Replica, Some(700), 601), Act::End("it does not catch up".into()));
    }

    #[test]
    fn a_node_that_is_promoted_or_lost_ends_the_copy() {
        assert_eq!(act(Role::Primary, Some(0), 0), Act::End("it is a primary now".into()));
        assert_eq!(act(Role::Unknown("no answer".into()), None, 1), Act::Wait);
        let lost = act(Role::Unknown("no answer".into()), None, 11);
        assert_eq!(lost, Act::End("it is gone: no answer".into()));
    }
}
