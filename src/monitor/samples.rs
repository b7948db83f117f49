//! Primary samples of the near past, and what they say about a replica.

use crate::topology::Position;
use std::collections::VecDeque;
use std::time::Instant;

/// Most samples kept. At ten a second that is over a minute in full, and hours once thinned.
const MOST: usize = 1024;

/// (t, P) pairs of one primary in one history, in the order of t.
///
/// Every commit that was acknowledged before t is contained in P.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    kept: VecDeque<(Instant, Position)>,
}

impl Samples {
    /// Takes the sample (`asked`, `position`): `asked` was read before the question was sent.
    /// Samples of another history, or of an order that makes no sense, replace all earlier ones.
    pub fn push(&mut self, asked: Instant, position: Position) {
        if let Some((last_asked, last)) = self.kept.back_mut() {
            if *last == position {
                // Nothing was written: the later instant says more about the same position.
                *last_asked = asked.max(*last_asked);
                return;
            }
            if !position.contains(last) || asked < *last_asked {
                self.kept.clear();
            }
        }
        if self.kept.len() == MOST {
            self.thin();
        }
        self.kept.push_back((asked, position));
    }

    /// Drops every second sample of the older half: less exact the longer ago, never too fresh.
    fn thin(&mut self) {
        let half = self.kept.len() / 2;
        let mut number = 0;
        self.kept.retain(|_| {
            number += 1;
            number > half || number % 2 == 0
        });
    }

    /// The newest instant of which everything acknowledged before is contained in `replayed`.
    pub fn fresh_as_of(&self, replayed: &Position) -> Option<Instant> {
        // In one history positions grow with time, so the contained ones come first.
        let contained = self.kept.partition_point(|(_, position)| replayed.contains(position));
        self.kept.get(contained.checked_sub(1)?).map(|(asked, _)| *asked)
    }

    /// The newest position of the primary.
    pub fn newest(&self) -> Option<&Position> {
        self.kept.back().map(|(_, position)| position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Lsn, Timeline};
    use std::time::Duration;

    fn at(timeline: u32, lsn: u64) -> Position {
        Position::Postgres { system: 7, timeline: Timeline(timeline), lsn: Lsn(lsn) }
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    fn samples(start: Instant, pairs: &[(u64, Position)]) -> Samples {
        let mut samples = Samples::default();
        for (ms, position) in pairs {
            samples.push(after(start, *ms), position.clone());
        }
        samples
    }

    #[test]
    fn a_replica_is_as_fresh_as_the_newest_sample_it_contains() {
        let start = Instant::now();
        let samples = samples(start, &[(0, at(1, 10)), (100, at(1, 20)), (200, at(1, 30))]);
        assert_eq!(samples.fresh_as_of(&at(1, 9)), None);
        assert_eq!(samples.fresh_as_of(&at(1, 10)), Some(start));
        assert_eq!(samples.fresh_as_of(&at(1, 29)), Some(after(start, 100)));
        assert_eq!(samples.fresh_as_of(&at(1, 99)), Some(after(start, 200)));
    }

    #[test]
    fn an_idle_primary_does_not_make_replicas_old() {
        let start = Instant::now();
        let samples = samples(start, &[(0, at(1, 10)), (100, at(1, 10)), (5000, at(1, 10))]);
        assert_eq!(samples.fresh_as_of(&at(1, 10)), Some(after(start, 5000)));
    }

    #[test]
    fn a_promotion_forgets_the_samples_of_the_old_history() {
        let start = Instant::now();
        let samples = samples(start, &[(0, at(1, 10)), (100, at(2, 5))]);
        assert_eq!(samples.fresh_as_of(&at(1, 99)), None);
        assert_eq!(samples.fresh_as_of(&at(2, 5)), Some(after(start, 100)));
    }

    #[test]
    fn a_primary_that_went_back_starts_anew() {
        let start = Instant::now();
        let samples = samples(start, &[(0, at(1, 10)), (100, at(1, 8))]);
        assert_eq!(samples.fresh_as_of(&at(1, 9)), Some(after(start, 100)));
        assert_eq!(samples.newest(), Some(&at(1, 8)));
    }

    #[test]
    fn thinning_never_makes_a_replica_fresher_than_it_is() {
        let start = Instant::now();
        let mut samples = Samples::default();
        for n in 0..5000_u64 {
            samples.push(after(start, n), at(1, n));
        }
        assert!(samples.kept.len() <= MOST);
        for n in 0..5000_u64 {
            let fresh = samples.fresh_as_of(&at(1, n));
            assert!(fresh.is_none_or(|fresh| fresh <= after(start, n)), "position {n}");
        }
        assert_eq!(samples.fresh_as_of(&at(1, 4990)), Some(after(start, 4990)));
        let old = samples.fresh_as_of(&at(1, 3000)).expect("an old sample is still there");
        assert!(old >= after(start, 2900), "thinned too much: {:?}", old - start);
    }
}
