//! What a client wants of its reads, and the position that it carries to other sessions.

use super::Client;
use crate::dispatch::Wanted;
use crate::pg::refuse;
use crate::pg::session::Tx;
use crate::pg::session::wishes::Owner;
use crate::refusal::Refusal;
use crate::route::Wants;
use crate::topology::Position;
use std::sync::Arc;
use std::time::Instant;

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

    /// A position that a promotion left behind is told of, once.
    fn look_at(&mut self, after: &Arc<Position>) -> Result<(), Refusal> {
        let lost = self.cluster.is_left_behind(after)?;
        if lost && self.session.lost.as_ref() != Some(after) {
            self.session.lost = Some(after.clone());
            self.cluster.counters.lost_positions.increment();
            refuse::put_lost_position(&mut self.output, after);
        }
        Ok(())
    }

    /// Finds the position that contains whatever the session did and saw.
    pub(super) async fn learn_position(&mut self) -> Result<(), Refusal> {
        let since = match self.session.tx {
            Tx::Idle if self.link.is_none() => self.session.known.last(),
            _ => Some(Instant::now()),
        };
        self.session.position = self.cluster.position_since(since).await?;
        Ok(())
    }
}
