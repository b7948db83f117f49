//! FENCE and UNFENCE: an operator takes a node out, or lets it in again.
//!
//! A fenced node serves nobody: this proxy sends nothing there, and the server itself rejects all
//! logins but ours. It stands in the record, so that a restart changes nothing of it, it is never
//! promoted, and it is let in again by the operator alone. It goes on replicating.

use super::actuator::Actuator;
use super::coordinator::Coordinator;
use super::execute::Gate;
use super::handle::{Answer, Wanted};
use super::settings::Mode;
use super::store::{Ledger, State, StoreError};
use super::term::{Name, Record};
use tokio::time::timeout;

/// What was asked for.
enum Asked<'a> {
    Fence { node: &'a Name, forced: bool },
    Unfence { node: &'a Name },
}

/// What it would do, or why it is not done.
fn outlook(record: &Record, known: &[Name], asked: &Asked<'_>) -> Answer {
    let (Asked::Fence { node, .. } | Asked::Unfence { node }) = asked;
    if !known.contains(node) {
        return Err(format!("there is no node {node}; there are: {}", known.join(", ")));
    }
    let fenced = record.fenced.contains(*node);
    match asked {
        Asked::Fence { .. } if fenced => Err(format!("{node} is fenced already")),
        Asked::Fence { forced: false, .. } if **node == record.primary => Err(format!(
            "{node} is the primary: all writes would stop. SWITCHOVER moves them to another node \
             first; FENCE {}.{node} FORCE stops them",
            record.cluster
        )),
        Asked::Fence { .. } => {
            let mut lines = vec![
                format!("no client is served by {node}; who uses it is cut off"),
                format!("{node} rejects all logins but those of the monitor's user"),
                format!(
                    "it replicates on, is never promoted, and stays so until UNFENCE {}.{node}",
                    record.cluster
                ),
            ];
            if **node == record.primary {
                lines.push("writes wait for a primary: UNFENCE, or FAILOVER with FORCE".into());
            }
            Ok(lines)
        }
        Asked::Unfence { .. } if fenced => Ok(vec![format!("{node} lets clients in again")]),
        Asked::Unfence { .. } if record.deposed.contains_key(*node) => Err(format!(
            "{node} gave up its reign, and is let in once it follows: REJOIN {}.{node}",
            record.cluster
        )),
        Asked::Unfence { .. } => Err(format!("{node} is not fenced")),
    }
}

impl<A: Actuator, G: Gate, L: Ledger> Coordinator<A, G, L> {
    /// Does what is wanted if it is one of the two; `None`: it is something else.
    pub(super) async fn by_hand(
        &mut self,
        state: &mut State,
        wanted: &Wanted,
        dry: bool,
    ) -> Result<Option<Answer>, StoreError> {
        let asked = match wanted {
            Wanted::Fence { node, forced } => Asked::Fence { node, forced: *forced },
            Wanted::Unfence { node } => Asked::Unfence { node },
            _ => return Ok(None),
        };
        if self.executor.settings.mode == Mode::Off {
            return Ok(Some(Err("failover.mode is \"off\"".into())));
        }
        let outlook = outlook(&state.record, &self.executor.names(), &asked);
        match (outlook, asked) {
            (Ok(lines), _) if dry => Ok(Some(Ok(lines))),
            (Err(why), _) => Ok(Some(Err(why))),
            (Ok(_), Asked::Fence { node, .. }) => self.shut(state, node).await.map(Some),
            (Ok(lines), Asked::Unfence { node }) => self.let_in(state, node, lines).await.map(Some),
        }
    }

    /// The proxy first: from then on nothing of the node is acknowledged to a client of ours.
    async fn shut(&mut self, state: &mut State, node: &Name) -> Result<Answer, StoreError> {
        state.record.fenced.insert(node.clone());
        self.executor.commit(state).await?;
        self.show(state);
        let limit = self.executor.settings.patience;
        let shut = timeout(limit, self.executor.actuator.fence(node)).await;
        Ok(match shut {
            Ok(Ok(evidence)) => Ok(vec![format!("{node} is fenced: {evidence}")]),
            Ok(Err(trouble)) => Err(half_done(node, &trouble.to_string())),
            Err(_) => Err(half_done(node, &format!("no answer within {limit:?}"))),
        })
    }

    /// The server first: where it cannot be let in, it stays fenced here, too.
    async fn let_in(
        &mut self,
        state: &mut State,
        node: &Name,
        lines: Vec<String>,
    ) -> Result<Answer, StoreError> {
        let limit = self.executor.settings.patience;
        match timeout(limit, self.executor.actuator.unfence(node)).await {
            Ok(Ok(())) => {}
            Ok(Err(trouble)) => return Ok(Err(format!("{node} stays fenced: {trouble}"))),
            Err(_) => return Ok(Err(format!("{node} stays fenced: no answer within {limit:?}"))),
        }
        state.record.fenced.remove(node);
        self.executor.commit(state).await?;
        self.show(state);
        Ok(Ok(lines))
    }
}

fn half_done(node: &Name, why: &str) -> String {
    format!(
        "this proxy sends nothing to {node} any more, but the server itself could not be told to \
         reject logins: {why}. UNFENCE and FENCE try it again"
    )
}

#[cfg(test)]
mod tests {
    use super::super::term::Term;
    use super::*;

    fn names() -> Vec<Name> {
        ["a", "b", "c"].map(Name::from).to_vec()
    }

    fn record() -> Record {
        let mut record = Record::adopt("orders".into(), "me".into(), Term(1), ("a".into(), 7, 1));
        record.deposed.insert("c".into(), 1);
        record
    }

    fn told(record: &Record, asked: &Asked<'_>) -> String {
        outlook(record, &names(), asked).map_or_else(|why| why, |lines| lines.join("\n"))
    }

    #[test]
    fn the_primary_is_fenced_by_force_only() {
        let (record, a, b) = (record(), Name::from("a"), Name::from("b"));
        let said = told(&record, &Asked::Fence { node: &a, forced: false });
        assert!(said.contains("a is the primary") && said.contains("FORCE stops them"), "{said}");
        let said = told(&record, &Asked::Fence { node: &a, forced: true });
        assert!(said.contains("writes wait for a primary"), "{said}");
        assert!(outlook(&record, &names(), &Asked::Fence { node: &b, forced: false }).is_ok());
    }

    #[test]
    fn who_is_not_fenced_is_not_let_in() {
        let mut record = record();
        let said =
            |record: &Record, node: &str| told(record, &Asked::Unfence { node: &node.into() });
        assert_eq!(said(&record, "b"), "b is not fenced");
        assert!(said(&record, "c").contains("REJOIN orders.c"));
        assert!(said(&record, "z").contains("there is no node z; there are: a, b, c"));
        record.fenced.insert("b".into());
        assert_eq!(said(&record, "b"), "b lets clients in again");
        let b = Name::from("b");
        let again = told(&record, &Asked::Fence { node: &b, forced: false });
        assert_eq!(again, "b is fenced already");
    }
}
