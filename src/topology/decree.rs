//! Who may be the primary, by the word of whoever keeps the term.

use super::{NodeId, NodeSet};
use std::sync::Arc;

/// What stands above the servers' own claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Decree {
    /// Nobody keeps a term: the servers' claims decide.
    #[default]
    Free,
    /// No node takes writes now.
    Nobody { deposed: NodeSet, fenced: NodeSet, because: Arc<str> },
    /// This node is the primary if it says so itself, and no other.
    Only { primary: NodeId, deposed: NodeSet, fenced: NodeSet },
}

impl Decree {
    /// Nodes that reigned once and serve nothing until they follow.
    pub fn deposed(&self) -> NodeSet {
        match self {
            Decree::Free => NodeSet::EMPTY,
            Decree::Nobody { deposed, .. } | Decree::Only { deposed, .. } => *deposed,
        }
    }

    /// Those of them that an operator fenced: they serve nothing even while they follow.
    pub fn fenced(&self) -> NodeSet {
        match self {
            Decree::Free => NodeSet::EMPTY,
            Decree::Nobody { fenced, .. } | Decree::Only { fenced, .. } => *fenced,
        }
    }

    /// May this node be the primary?
    pub fn admits(&self, node: NodeId) -> bool {
        match self {
            Decree::Free => true,
            Decree::Nobody { .. } => false,
            Decree::Only { primary, .. } => *primary == node,
        }
    }
}
