//! What `check --connect` found: one table for each cluster, and what to mend below it.

use super::{Facts, Finding, NodeReport};
use comfy_table::{Table, presets};
use std::collections::BTreeSet;
use std::fmt::Write;

/// All nodes of one cluster.
#[derive(Clone, Debug)]
pub struct ClusterReport {
    pub name: String,
    pub nodes: Vec<NodeReport>,
}

impl ClusterReport {
    pub fn is_fine(&self) -> bool {
        self.problems().is_empty()
    }

    fn reached(&self) -> impl Iterator<Item = (&NodeReport, &Facts)> {
        self.nodes.iter().filter_map(|n| n.facts.as_ref().ok().map(|facts| (n, facts)))
    }

    /// What is wrong with the nodes, then with the cluster as a whole.
    pub fn problems(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for node in &self.nodes {
            let at = |says: &str| format!("{}.{}: {says}", self.name, node.name);
            match &node.facts {
                Err(why) => found.push(Finding { says: at(why), hint: None }),
                Ok(facts) => found.extend(
                    facts.problems.iter().map(|p| Finding { says: at(&p.says), ..p.clone() }),
                ),
            }
        }
        found.extend(self.whole().map(|says| Finding { says, hint: None }));
        found
    }

    fn whole(&self) -> impl Iterator<Item = String> {
        let (name, reached) = (&self.name, self.reached().count());
        let primaries: Vec<&str> =
            self.reached().filter(|(_, f)| f.primary).map(|(n, _)| n.name.as_str()).collect();
        let systems: BTreeSet<&String> =
            self.reached().filter_map(|(_, f)| f.system.as_ref()).collect();
        let roles = match primaries.len() {
            0 if reached > 0 => Some(format!("{name}: none of the nodes reached is a primary")),
            0 | 1 => None,
            _ => Some(format!("{name}: several nodes are primaries: {}", primaries.join(", "))),
        };
        let history = (systems.len() > 1).then(|| {
            format!("{name}: the nodes have different system identifiers: not one cluster")
        });
        roles.into_iter().chain(history)
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header([
            "node",
            "address",
            "role",
            "version",
            "timeline",
            "tls",
            "replication",
        ]);
        for node in &self.nodes {
            let (name, address) = (node.name.clone(), node.address.clone());
            table.add_row(match &node.facts {
                Ok(facts) => vec![
                    name,
                    address,
                    if facts.primary { "primary" } else { "replica" }.into(),
                    facts.version.clone(),
                    facts.timeline.map_or("?".into(), |t| t.to_string()),
                    if facts.encrypted { "yes" } else { "no" }.into(),
                    facts.replication.clone(),
                ],
                Err(_) => vec![name, address, "not reached".into()],
            });
        }
        table
    }
}

/// What would be better otherwise, node by node.
pub fn all_advice(clusters: &[ClusterReport]) -> Vec<Finding> {
    let nodes = clusters.iter().flat_map(|cluster| cluster.nodes.iter().map(move |n| (cluster, n)));
    let of = |(cluster, node): (&ClusterReport, &NodeReport)| {
        let at = format!("{}.{}", cluster.name, node.name);
        let advice = node.facts.iter().flat_map(|facts| facts.advice.clone());
        let named = |found: Finding| Finding { says: format!("{at}: {}", found.says), ..found };
        advice.map(named).collect::<Vec<_>>()
    };
    nodes.flat_map(of).collect()
}

/// The report as the terminal shows it.
pub fn render(clusters: &[ClusterReport]) -> String {
    let mut out = String::new();
    for cluster in clusters {
        let _ = writeln!(out, "cluster {}\n{}", cluster.name, cluster.table().trim_fmt());
        for problem in cluster.problems() {
            let _ = writeln!(out, "{}", problem.says);
            if let Some(hint) = problem.hint {
                let _ = writeln!(out, "  hint: {hint}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, primary: bool, system: &str) -> NodeReport {
        let facts = Facts {
            primary,
            version: "15.8".into(),
            system: Some(system.into()),
            timeline: Some(1),
            replication: String::new(),
            encrypted: false,
            problems: Vec::new(),
            advice: Vec::new(),
        };
        NodeReport { name: name.into(), address: "db:5432".into(), facts: Ok(facts) }
    }

    fn says(nodes: Vec<NodeReport>) -> Vec<String> {
        let report = ClusterReport { name: "orders".into(), nodes };
        report.problems().into_iter().map(|p| p.says).collect()
    }

    #[test]
    fn one_primary_and_its_replica_are_fine() {
        assert!(says(vec![node("a", true, "7"), node("b", false, "7")]).is_empty());
    }

    #[test]
    fn two_primaries_are_named() {
        let found = says(vec![node("a", true, "7"), node("b", true, "7")]);
        assert_eq!(found, ["orders: several nodes are primaries: a, b"]);
    }

    #[test]
    fn a_stranger_and_a_missing_primary_are_told() {
        let found = says(vec![node("a", false, "7"), node("b", false, "8")]);
        assert_eq!(
            found,
            [
                "orders: none of the nodes reached is a primary",
                "orders: the nodes have different system identifiers: not one cluster"
            ]
        );
    }

    #[test]
    fn a_node_that_is_not_reached_says_why() {
        let gone = NodeReport { facts: Err("no answer within 5s".into()), ..node("b", false, "7") };
        assert_eq!(says(vec![node("a", true, "7"), gone]), ["orders.b: no answer within 5s"]);
    }
}
