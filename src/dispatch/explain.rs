//! Where work would go, for people who ask.

use super::{Dispatch, Errand};
use crate::route::{self, Ask, Target};
use std::time::Instant;

impl Dispatch {
    /// Where such work would go now, and each node's part in it.
    pub fn explain(&self, errand: &Errand) -> Vec<String> {
        let (seen, live, now) = (self.monitor.snapshot(), self.live.load(), Instant::now());
        let ask = Ask { fallback: live.route.fallback, ..self.ask(errand, &live, now) };
        let decision = route::route(&ask, &seen, now);
        let to = match decision.to {
            Target::Node(node) => self.node_name(node),
            Target::Nobody => "nowhere".into(),
        };
        let because = decision.because;
        let mut lines = vec![
            format!("Route: {to} ({}): {}", because.name(), because.explain()),
            format!(
                "Reads: consistency {}, max_staleness {:?}",
                ask.consistency.name(),
                ask.max_staleness
            ),
        ];
        lines.extend(seen.nodes.iter().map(|node| {
            let age = node.fresh_as_of.map(|fresh| now.saturating_duration_since(fresh));
            let age = age.map_or("of unknown age".into(), |age| format!("at most {age:.1?} old"));
            let part = match route::why_not(&ask, node, now) {
                None => "may answer it",
                Some(obstacle) => obstacle.explain(),
            };
            format!("  {}: {}, {age}: {part}", node.name, node.role.name())
        }));
        lines
    }
}
