//! Positions that sessions carry to one another.

use super::Dispatch;
use crate::refusal::Refusal;
use crate::topology::{Position, Snapshot};
use std::time::{Duration, Instant};

/// How long a position is waited for at most.
const POSITION_WAIT: Duration = Duration::from_secs(5);

impl Dispatch {
    /// Whether a promotion left `after` behind: reading goes on from where the new history began.
    /// A position of another system is of no use, and refused.
    pub fn is_left_behind(&self, after: &Position) -> Result<bool, Refusal> {
        let seen = self.monitor.published().load();
        if seen.nodes.iter().filter_map(|n| n.position.as_ref()).any(|p| !p.is_akin(after)) {
            return Err(Refusal::ForeignPosition);
        }
        Ok(seen.began.as_ref().is_some_and(|began| after.is_lost_to(began)))
    }

    /// A position of the primary, as a token, that contains all it had acknowledged at `since`.
    pub async fn position_since(&self, since: Option<Instant>) -> Result<String, Refusal> {
        let contains = |seen: &Snapshot| {
            let primary = seen.primary()?;
            let fresh = primary.fresh_as_of.is_some_and(|fresh| since.is_none_or(|s| fresh >= s));
            primary.position.as_ref().filter(|_| fresh)?.token()
        };
        self.monitor.nudge();
        let seen = self.monitor.wait_for(|seen| contains(seen).is_some());
        let seen = tokio::time::timeout(POSITION_WAIT, seen).await;
        let cluster = self.name.clone();
        let nobody = Refusal::NoPrimary { cluster, waited: POSITION_WAIT };
        seen.ok().and_then(|seen| contains(&seen)).ok_or(nobody)
    }
}
