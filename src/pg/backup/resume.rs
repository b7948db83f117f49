//! Where the archive of the log goes on: from what is archived, and from the history of the server.

use crate::backup::{Point, Segment};
use crate::topology::{Lsn, Timeline};
use std::collections::BTreeSet;

/// The timelines that lead to the server's own, the oldest first, each with the position where the next
/// one began; the last one has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ancestry(Vec<(Timeline, Option<Lsn>)>);

impl Ancestry {
    /// `history`: the text of the history file; empty for the first timeline.
    ///
    /// Source: `readTimeLineHistory` in PostgreSQL's timeline.c.
    pub(super) fn read(own: Timeline, history: &str) -> Ancestry {
        let lines = history.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let parents = lines.filter_map(|line| {
            let mut words = line.split_whitespace();
            let timeline = Timeline(words.next()?.parse().ok()?);
            Some((timeline, Some(words.next()?.parse().ok()?)))
        });
        Ancestry(parents.chain([(own, None)]).collect())
    }

    /// The timeline that a position is on, if it is asked for as one of `timeline`.
    fn contains(&self, point: Point) -> bool {
        let found = self.0.iter().find(|(timeline, _)| *timeline == point.timeline);
        found.is_some_and(|(_, end)| end.is_none_or(|end| point.lsn <= end))
    }

    /// The first segment that the archive lacks. `archived`: what it has. `backup`: the end of the
    /// newest backup. `now`: the end of the server's log.
    pub(super) fn next(
        &self,
        archived: &BTreeSet<Segment>,
        backup: Option<Point>,
        now: Lsn,
        size: u64,
    ) -> Segment {
        for (at, (timeline, end)) in self.0.iter().enumerate().rev() {
            let last = archived.iter().rfind(|segment| segment.timeline == *timeline);
            let Some(next) = last.map(|last| last.next()) else { continue };
            return match (end, self.0.get(at + 1)) {
                // The segment in which a timeline ends is whole on the next one only.
                (Some(end), Some((child, _))) if next.end() > *end => {
                    Segment::of(*child, *end, size)
                }
                _ => next,
            };
        }
        match backup.filter(|point| self.contains(*point) && point.lsn <= now) {
            Some(point) => Segment::of(point.timeline, point.lsn, size),
            None => self.current(now, size),
        }
    }

    /// The segment that the server writes now.
    pub(super) fn current(&self, now: Lsn, size: u64) -> Segment {
        let own = self.0.last().map_or(Timeline(1), |(timeline, _)| *timeline);
        Segment::of(own, now, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 16 << 20;
    const HISTORY: &str = "1\t0/3000098\tno recovery target specified\n\n2\t0/5000000\tx\n";

    fn ancestry() -> Ancestry {
        Ancestry::read(Timeline(3), HISTORY)
    }

    fn segments(names: &[(u32, u64)]) -> BTreeSet<Segment> {
        let one = |(timeline, number): &(u32, u64)| Segment {
            timeline: Timeline(*timeline),
            number: *number,
            size: SIZE,
        };
        names.iter().map(one).collect()
    }

    fn next(names: &[(u32, u64)], backup: Option<Point>) -> (u32, u64) {
        let found = ancestry().next(&segments(names), backup, Lsn(9 * SIZE + 5), SIZE);
        (found.timeline.0, found.number)
    }

    #[test]
    fn a_history_file_tells_the_ancestors() {
        let end = |text: &str| Some(text.parse().unwrap());
        let expected = vec![
            (Timeline(1), end("0/3000098")),
            (Timeline(2), end("0/5000000")),
            (Timeline(3), None),
        ];
        assert_eq!(ancestry().0, expected);
        assert_eq!(Ancestry::read(Timeline(1), "").0, [(Timeline(1), None)]);
    }

    #[test]
    fn the_archive_goes_on_behind_its_last_segment() {
        assert_eq!(next(&[(1, 1), (2, 3), (3, 5), (3, 6)], None), (3, 7));
        // What is of a timeline that led elsewhere does not count.
        assert_eq!(next(&[(1, 1), (1, 2), (7, 8)], None), (2, 3));
    }

    #[test]
    fn it_follows_a_promotion_from_the_segment_in_which_the_old_timeline_ended() {
        assert_eq!(next(&[(1, 1)], None), (1, 2));
        assert_eq!(next(&[(1, 1), (1, 2)], None), (2, 3));
        // More of the old timeline was archived than the new one has: it branched off before.
        assert_eq!(next(&[(1, 2), (1, 3), (1, 4)], None), (2, 3));
        // A timeline that ended between two segments.
        assert_eq!(next(&[(2, 3), (2, 4)], None), (3, 5));
    }

    #[test]
    fn an_empty_archive_begins_where_the_newest_backup_ends() {
        let at = |timeline, number| {
            Some(Point { timeline: Timeline(timeline), lsn: Lsn(number * SIZE + 7) })
        };
        assert_eq!(next(&[], at(3, 6)), (3, 6));
        assert_eq!(next(&[], at(1, 2)), (1, 2));
        assert_eq!(next(&[], at(1, 4)), (3, 9), "of a branch that was left");
        assert_eq!(next(&[], None), (3, 9));
    }
}
