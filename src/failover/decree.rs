//! What a record means for the router. Pure.

use super::term::{Name, Record};
use crate::topology::{Decree, NodeId, NodeSet};
use std::sync::Arc;

/// The decree that the record asks for; `nodes` are in the configuration's order.
pub fn decree(record: &Record, nodes: &[Name]) -> Decree {
    let (mut deposed, fenced) = (former(record, nodes), fenced(record, nodes));
    if let Some(change) = &record.change
        && !change.installed
    {
        insert(&mut deposed, nodes, &change.from);
    }
    let reigning = record.reigning().and_then(|name| place(nodes, name));
    match reigning {
        Some(primary) if record.fenced.contains(&record.primary) => {
            deposed.insert(primary);
            let because = format!("{} is fenced by an operator", record.primary);
            Decree::Nobody { deposed, fenced, because: because.into() }
        }
        Some(primary) => Decree::Only { primary, deposed, fenced },
        None => {
            let because = match record.reigning() {
                Some(gone) => {
                    format!("{gone} reigns in term {}, and is not configured", record.term)
                }
                None => format!("term {} is {}", record.term, record.phase().name()),
            };
            Decree::Nobody { deposed, fenced, because: because.into() }
        }
    }
}

/// New work waits for a primary, and what runs on the present one may go on.
pub fn held(record: &Record, nodes: &[Name], because: &str) -> Decree {
    let fenced = fenced(record, nodes);
    Decree::Nobody { deposed: former(record, nodes), fenced, because: because.into() }
}

fn fenced(record: &Record, nodes: &[Name]) -> NodeSet {
    let mut fenced = NodeSet::EMPTY;
    record.fenced.iter().for_each(|name| insert(&mut fenced, nodes, name));
    fenced
}

fn former(record: &Record, nodes: &[Name]) -> NodeSet {
    let mut deposed = NodeSet::EMPTY;
    let former = record.deposed.keys().chain(&record.fenced);
    former.for_each(|name| insert(&mut deposed, nodes, name));
    deposed
}

fn insert(set: &mut NodeSet, nodes: &[Name], name: &Arc<str>) {
    if let Some(node) = place(nodes, name) {
        set.insert(node);
    }
}

fn place(nodes: &[Name], name: &Arc<str>) -> Option<NodeId> {
    let at = nodes.iter().position(|node| node == name)?;
    u8::try_from(at).ok().map(NodeId)
}
