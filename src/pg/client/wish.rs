//! What a client wants of its reads, and the position that it carries to other sessions.

use super::Client;
use crate::pg::refuse;
use crate::pg::session::Tx;
use crate::pg::session::wishes::{Owner, Wanted};
use crate::refusal::Refusal;
use crate::route::Wants;
use crate::topology::Position;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a position is waited for at most.
const POSITION_WAIT: Duration = Duration::from_secs(5);

impl Client {
    /// What is wanted of the batch beyond what the cluster is configured for.
    pub(super) fn wanted(&mut self, wants: Wants) -> Result<Wanted, Refusal> {
        if wants != Wants::Read {
            return Ok(Wanted::default());
        }
        let live = self.cluster.live.load();
        let owner = Owner {
            user: &self.pools.user,
            database: &self.pools.database,
            places: &self.cluster.places,
        };
        let hint = self.batch.wanted.as_deref();
        let wanted = self.session.wants(hint, self.batch.marks, &live, &owner)?;
        drop(live);
        if let Some(after) = &wanted.after {
            self.look_at(after)?;
        }
        Ok(wanted)
    }

    /// A position of another system is of no use, and one that a promotion left behind is told of,
    /// once: reading goes on from where the new history began.
    fn look_at(&mut self, after: &Arc<Position>) -> Result<(), Refusal> {
        let seen = self.cluster.monitor.published().load();
        if seen.nodes.iter().filter_map(|n| n.position.as_ref()).any(|p| !p.is_akin(after)) {
            return Err(Refusal::ForeignPosition);
        }
        let lost = seen.began.as_ref().is_some_and(|began| after.is_lost_to(began));
        if lost && self.session.lost.as_ref() != Some(after) {
            self.session.lost = Some(after.clone());
            self.cluster.counters.lost_positions.increment();
            refuse::put_warning(
                &mut self.output,
                "01000",
                &format!("the write at {after} was lost when another node became the primary"),
                "Reads go on from where the new primary began.",
            );
        }
        Ok(())
    }

    /// Finds the position that contains whatever the session did and saw.
    pub(super) async fn learn_position(&mut self) -> Result<(), Refusal> {
        let known = self.session.known;
        let since = match self.session.tx {
            Tx::Idle if self.link.is_none() => known.primary.max(known.replica.map(|(_, at)| at)),
            _ => Some(Instant::now()),
        };
        let monitor = self.cluster.monitor.clone();
        let contains = |seen: &crate::topology::Snapshot| {
            let primary = seen.primary()?;
            let fresh = primary.fresh_as_of.is_some_and(|fresh| since.is_none_or(|s| fresh >= s));
            primary.position.as_ref().filter(|_| fresh)?.token()
        };
        monitor.nudge();
        let seen = monitor.wait_for(|seen| contains(seen).is_some());
        let seen = tokio::time::timeout(POSITION_WAIT, seen).await;
        let cluster = self.cluster.name.clone();
        let nobody = Refusal::NoPrimary { cluster, waited: POSITION_WAIT };
        self.session.position = seen.ok().and_then(|seen| contains(&seen)).ok_or(nobody)?;
        Ok(())
    }
}
