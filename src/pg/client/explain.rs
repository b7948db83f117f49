//! `EXPLAIN (TIDEGATE) …`: where a statement would go now, and why not elsewhere.

use super::Client;
use crate::dispatch::Errand;
use crate::refusal::Refusal;
use crate::route::Wants;
use crate::sql::Analysis;
use crate::topology::NodeSet;

impl Client {
    /// The answer for a statement that does this, line by line.
    pub(super) fn explain(&mut self, explained: &Analysis) -> Result<Vec<String>, Refusal> {
        let wants = explained.primary.map_or(Wants::Read, Wants::Primary);
        let wanted = self.wanted(wants)?;
        let errand = Errand {
            wants,
            wanted,
            known: self.session.known,
            wrote: None,
            avoid: NodeSet::default(),
            turn: self.cluster.turn(),
        };
        let mut lines = self.cluster.explain(&errand);
        if let Some(node) = self.node {
            let why = match self.session.pin {
                Some(pin) => pin.name(),
                None => "its transaction is open",
            };
            let node = self.cluster.node_name(node);
            lines.insert(1, format!("Now: on {node}, whose connection the session keeps: {why}"));
        }
        Ok(lines)
    }
}
