//! What its user wants for a read: said by a hint, a setting of the session, or a rule of the
//! configuration.

use super::Consistency;
use crate::topology::{NodeId, NodeSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where a read may go, as its user wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Any replica that takes reads.
    #[default]
    Anywhere,
    Primary,
    /// Any replica that takes reads, and never the primary.
    Replica,
    /// One of these nodes, whatever share of reads they have.
    Nodes(NodeSet),
}

/// The words for places in one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    named: BTreeMap<Arc<str>, NodeSet>,
}

/// Words that are no names of nodes or groups.
pub const PLACE_WORDS: [&str; 3] = ["any", "primary", "replica"];

impl Places {
    /// `nodes`: the name of each node and its groups, in their order.
    pub fn new<'a, G: IntoIterator<Item = &'a str>>(
        nodes: impl IntoIterator<Item = (&'a str, G)>,
    ) -> Places {
        let mut named: BTreeMap<Arc<str>, NodeSet> = BTreeMap::new();
        for (id, (name, groups)) in (0_u8..).zip(nodes) {
            for word in std::iter::once(name).chain(groups) {
                named.entry(word.into()).or_default().insert(NodeId(id));
            }
        }
        Places { named }
    }

    pub fn find(&self, word: &str) -> Option<Place> {
        match word.to_ascii_lowercase().as_str() {
            "any" => Some(Place::Anywhere),
            "primary" => Some(Place::Primary),
            "replica" => Some(Place::Replica),
            _ => self.named.get(word).map(|nodes| Place::Nodes(*nodes)),
        }
    }

    /// All words, for whoever used another one.
    pub fn words(&self) -> String {
        let named = self.named.keys().map(|name| &**name);
        PLACE_WORDS.into_iter().chain(named).collect::<Vec<_>>().join(", ")
    }
}

/// What is wanted; what is not said here is as the next one says, and at last as the cluster is
/// configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    pub consistency: Option<Consistency>,
    pub place: Option<Place>,
    pub max_staleness: Option<Duration>,
}

impl Wish {
    /// This one, and what it does not say as `weaker` says.
    pub fn or(self, weaker: Wish) -> Wish {
        Wish {
            consistency: self.consistency.or(weaker.consistency),
            place: self.place.or(weaker.place),
            max_staleness: self.max_staleness.or(weaker.max_staleness),
        }
    }

    /// One for both of two statements: the stronger promise, the first place.
    pub fn with(self, other: Wish) -> Wish {
        Wish { consistency: self.consistency.max(other.consistency), ..self.or(other) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_its_nodes_and_a_word_what_it_says() {
        let places =
            Places::new([("a", vec![]), ("b", vec!["reports"]), ("c", vec!["reports", "near"])]);
        let nodes = |ids: &[u8]| {
            let mut set = NodeSet::EMPTY;
            ids.iter().for_each(|id| set.insert(NodeId(*id)));
            Some(Place::Nodes(set))
        };
        assert_eq!(places.find("a"), nodes(&[0]));
        assert_eq!(places.find("reports"), nodes(&[1, 2]));
        assert_eq!(places.find("PRIMARY"), Some(Place::Primary));
        assert_eq!(places.find("Reports"), None);
        assert_eq!(places.words(), "any, primary, replica, a, b, c, near, reports");
    }

    #[test]
    fn what_one_does_not_say_the_next_one_says() {
        let strong = Wish { consistency: Some(Consistency::Strong), ..Wish::default() };
        let there = Wish { place: Some(Place::Replica), ..Wish::default() };
        let weak = Wish { consistency: Some(Consistency::Eventual), ..there };
        assert_eq!(strong.or(weak), Wish { place: Some(Place::Replica), ..strong });
        assert_eq!(weak.with(strong).consistency, Some(Consistency::Strong));
        assert_eq!(there.with(strong), Wish { place: Some(Place::Replica), ..strong });
    }
}
