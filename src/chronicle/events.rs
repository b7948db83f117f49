//! What happened between two pictures of a cluster.

use crate::topology::{NodeView, Role, Snapshot};
use crate::view::EventKind;
use std::sync::Arc;

/// Something that happened, not numbered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub kind: EventKind,
    pub cluster: Option<Arc<str>>,
    pub node: Option<Arc<str>>,
    pub what: String,
}

/// What is worth telling of the way from one picture to the next.
pub fn differences(before: &Snapshot, now: &Snapshot) -> Vec<Note> {
    let of = |kind, node: Option<&NodeView>, what: String| Note {
        kind,
        cluster: Some(now.cluster.clone()),
        node: node.map(|node| node.name.clone()),
        what,
    };
    let mut notes = Vec::new();
    for (old, new) in before.nodes.iter().zip(&now.nodes) {
        if old.role.name() != new.role.name() {
            notes.push(of(EventKind::Role, Some(new), turned(&old.role, &new.role)));
        }
        match (&old.trouble, &new.trouble) {
            (Some(_), None) => {
                notes.push(of(EventKind::Trouble, Some(new), "replication is well again".into()));
            }
            (old, Some(trouble)) if old.as_ref() != Some(trouble) => {
                notes.push(of(EventKind::Trouble, Some(new), trouble.to_string()));
            }
            _ => {}
        }
    }
    match (before.primary(), now.primary()) {
        (Some(old), None) => {
            notes.push(of(EventKind::Primary, Some(old), "no node takes writes now".into()));
        }
        (old, Some(new)) if old.map(|old| old.id) != Some(new.id) => {
            notes.push(of(EventKind::Primary, Some(new), "takes writes now".into()));
        }
        _ => {}
    }
    notes
}

fn turned(old: &Role, new: &Role) -> String {
    match new {
        Role::Unknown(why) => format!("{} is not served any more: {why}", old.name()),
        _ => format!("{} instead of {}", new.name(), old.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::NodeId;

    fn node(id: u8, name: &str, role: Role) -> NodeView {
        NodeView::unseen(NodeId(id), name, role)
    }

    fn seen(primary: Option<u8>, nodes: Vec<NodeView>) -> Snapshot {
        Snapshot {
            cluster: "orders".into(),
            epoch: 1,
            primary: primary.map(NodeId),
            began: None,
            nodes,
        }
    }

    fn told(before: &Snapshot, now: &Snapshot) -> Vec<String> {
        let line = |note: Note| {
            format!("{} {}: {}", note.kind.name(), note.node.unwrap_or_default(), note.what)
        };
        differences(before, now).into_iter().map(line).collect()
    }

    #[test]
    fn a_failover_is_told_step_by_step() {
        let lost = || Role::Unknown("connection refused".into());
        let well = seen(Some(0), vec![node(0, "a", Role::Primary), node(1, "b", Role::Replica)]);
        let dead = seen(None, vec![node(0, "a", lost()), node(1, "b", Role::Replica)]);
        let again = seen(Some(1), vec![node(0, "a", lost()), node(1, "b", Role::Primary)]);
        assert_eq!(told(&well, &well), Vec::<String>::new());
        assert_eq!(
            told(&well, &dead),
            [
                "role a: primary is not served any more: connection refused",
                "primary a: no node takes writes now"
            ]
        );
        assert_eq!(
            told(&dead, &again),
            ["role b: primary instead of replica", "primary b: takes writes now"]
        );
    }

    #[test]
    fn trouble_is_told_when_it_changes() {
        let with = |trouble: Option<&str>| {
            let mut replica = node(0, "b", Role::Replica);
            replica.trouble = trouble.map(Into::into);
            seen(None, vec![replica])
        };
        assert_eq!(told(&with(None), &with(Some("error 1236"))), ["trouble b: error 1236"]);
        assert_eq!(told(&with(Some("error 1236")), &with(Some("error 1236"))), [""; 0]);
        let well = ["trouble b: replication is well again"];
        assert_eq!(told(&with(Some("error 1236")), &with(None)), well);
    }
}
