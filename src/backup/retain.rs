//! What is kept and what may go: computed from what is there, never from its age alone.
//!
//! A kept backup owns all that it needs, the log between its start and its end included, because that
//! is stored with it. The archive of the log serves the recovery window: it is kept from the start
//! of the last backup before the window on.

use super::{BackupId, Entry, Keep, Listed, Point};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::fmt;

/// Why a backup is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The last one is kept, whatever its age.
    Newest,
    Daily(Date),
    /// The Monday of its week.
    Weekly(Date),
    /// The first day of its month.
    Monthly(Date),
    /// It is younger than the recovery window.
    Window,
    /// The first moment of the recovery window is restored from it.
    BaseOfWindow,
    /// In somebody's words.
    Held(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Newest => f.write_str("it is the newest"),
            Reason::Daily(day) => write!(f, "the last one of {day}"),
            Reason::Weekly(monday) => write!(f, "the last one of the week of {monday}"),
            Reason::Monthly(first) => write!(f, "the last one of {}", first.strftime("%Y-%m")),
            Reason::Window => f.write_str("it is within the recovery window"),
            Reason::BaseOfWindow => f.write_str("the recovery window begins with it"),
            Reason::Held(why) if why.is_empty() => f.write_str("it is held"),
            Reason::Held(why) => write!(f, "it is held: {why}"),
        }
    }
}

/// What becomes of a backup; without a reason to keep it, it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub id: BackupId,
    pub keep: Vec<Reason>,
}

/// What becomes of everything, the newest backup first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub verdicts: Vec<Verdict>,
    /// Where the archive of the log must begin; `None`: nothing of it may go.
    pub log_from: Option<Point>,
}

/// `backups` in any order. Days are those of `zone`.
pub fn retain(backups: &[Listed], keep: &Keep, now: Timestamp, zone: &TimeZone) -> Plan {
    let mut sorted: Vec<&Listed> = backups.iter().collect();
    sorted.sort_by(|a, b| b.entry.id.cmp(&a.entry.id));
    let mut verdicts: Vec<Verdict> = sorted
        .iter()
        .map(|b| Verdict {
            id: b.entry.id.clone(),
            keep: b.held.iter().cloned().map(Reason::Held).collect(),
        })
        .collect();
    if let Some(newest) = verdicts.first_mut() {
        newest.keep.push(Reason::Newest);
    }
    let days: Vec<Date> =
        sorted.iter().map(|b| b.entry.finished.to_zoned(zone.clone()).date()).collect();
    keep_last(&mut verdicts, &days, keep.daily, |day| (day, Reason::Daily(day)));
    keep_last(&mut verdicts, &days, keep.weekly, |day| (monday(day), Reason::Weekly(monday(day))));
    keep_last(&mut verdicts, &days, keep.monthly, |day| {
        (day.first_of_month(), Reason::Monthly(day.first_of_month()))
    });
    let base = window(&sorted, &mut verdicts, keep, now);
    Plan { verdicts, log_from: base.map(|entry| entry.start) }
}

/// Keeps the last backup of each of the `count` newest periods that have one. `of`: the period that a
/// day is in, and the reason that comes of it.
fn keep_last(
    verdicts: &mut [Verdict],
    days: &[Date],
    count: u32,
    of: impl Fn(Date) -> (Date, Reason),
) {
    let mut seen = BTreeSet::new();
    for (verdict, day) in verdicts.iter_mut().zip(days) {
        let (period, reason) = of(*day);
        if seen.len() < count as usize && seen.insert(period) {
            verdict.keep.push(reason);
        }
    }
}

fn monday(day: Date) -> Date {
    let back = i32::from(day.weekday().to_monday_zero_offset());
    day.saturating_sub(jiff::Span::new().days(back))
}

/// Keeps what the recovery window needs; answers with the backup that it begins with.
fn window<'a>(
    sorted: &[&'a Listed],
    verdicts: &mut [Verdict],
    keep: &Keep,
    now: Timestamp,
) -> Option<&'a Entry> {
    let length = SignedDuration::try_from(keep.window).unwrap_or(SignedDuration::MAX);
    let begin = now.saturating_sub(length).unwrap_or(Timestamp::MIN);
    for (verdict, listed) in verdicts.iter_mut().zip(sorted) {
        if listed.entry.finished <= begin {
            verdict.keep.push(Reason::BaseOfWindow);
            return Some(&listed.entry);
        }
        verdict.keep.push(Reason::Window);
    }
    // All are younger: the window cannot begin before the oldest.
    sorted.last().map(|listed| &listed.entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::Piece;
    use crate::topology::{Lsn, Timeline};
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn backup(finished: Timestamp) -> Listed {
        let seconds = u64::try_from(finished.as_second()).unwrap();
        let point = Point { timeline: Timeline(1), lsn: Lsn(seconds) };
        let none = || Piece { key: "".into(), raw: 0, stored: 0, sha256: "".into() };
        let entry = Entry {
            format: 1,
            id: BackupId::at(finished),
            engine: "postgres".into(),
            version: "15".into(),
            system: 7,
            node: "b".into(),
            because: "".into(),
            started: finished,
            finished,
            start: point,
            end: point,
            segment: 16 << 20,
            tablespaces: Vec::new(),
            key: None,
            raw: 0,
            stored: 0,
            contents: none(),
        };
        Listed { entry, held: None, proof: None }
    }

    fn daily_for(days: i64, now: Timestamp) -> Vec<Listed> {
        let hours = |n: i64| jiff::SignedDuration::from_hours(24 * n + 1);
        (0..days).map(|n| backup(now.checked_sub(hours(n)).unwrap())).collect()
    }

    fn keep(daily: u32, weekly: u32, monthly: u32, window_days: u64) -> Keep {
        Keep { daily, weekly, monthly, window: Duration::from_secs(window_days * 86_400) }
    }

    fn kept(plan: &Plan) -> usize {
        plan.verdicts.iter().filter(|v| !v.keep.is_empty()).count()
    }

    const NOW: &str = "2026-11-22T12:00:00Z";

    #[test]
    fn grandfather_father_son() {
        let all = daily_for(400, at(NOW));
        let plan = retain(&all, &keep(7, 4, 12, 0), at(NOW), &TimeZone::UTC);
        let kept: Vec<&str> =
            plan.verdicts.iter().filter(|v| !v.keep.is_empty()).map(|v| v.id.as_str()).collect();
        // Seven days, the Sundays before them, the last days of the months before these.
        assert_eq!(
            kept[..7],
            (16..=22).rev().map(|d| format!("202611{d}T110000Z")).collect::<Vec<_>>()
        );
        assert_eq!(kept[7..9], ["20261115T110000Z", "20261108T110000Z"]);
        assert_eq!(kept[9..11], ["20261101T110000Z", "20261031T110000Z"]);
        assert_eq!(kept.last(), Some(&"20251231T110000Z"));
        assert_eq!(kept.len(), 7 + 3 + 11);
    }

    #[test]
    fn days_without_a_backup_do_not_use_up_the_number() {
        let all = vec![backup(at("2026-01-01T00:00:00Z")), backup(at("2025-01-01T00:00:00Z"))];
        assert_eq!(kept(&retain(&all, &keep(2, 0, 0, 0), at(NOW), &TimeZone::UTC)), 2);
    }

    #[test]
    fn the_newest_and_what_is_held_stay_whatever_the_policy() {
        let mut all = daily_for(10, at(NOW));
        all[6].held = Some("audit".into());
        let plan = retain(&all, &keep(0, 0, 0, 0), at(NOW), &TimeZone::UTC);
        assert_eq!(kept(&plan), 2);
        assert_eq!(plan.verdicts[6].keep, [Reason::Held("audit".into())]);
        assert!(plan.verdicts[0].keep.contains(&Reason::Newest));
    }

    #[test]
    fn the_window_is_kept_with_the_backup_that_it_begins_with_and_the_log_from_there() {
        let all = daily_for(10, at(NOW));
        let plan = retain(&all, &keep(0, 0, 0, 3), at(NOW), &TimeZone::UTC);
        assert_eq!(kept(&plan), 4);
        assert_eq!(plan.verdicts[3].keep, [Reason::BaseOfWindow]);
        assert_eq!(plan.log_from, Some(all[3].entry.start));
        let young = retain(&all[..2], &keep(0, 0, 0, 30), at(NOW), &TimeZone::UTC);
        assert_eq!(young.log_from, Some(all[1].entry.start), "all that there is");
        let none = retain(&[], &keep(0, 0, 0, 30), at(NOW), &TimeZone::UTC);
        assert_eq!(none, Plan { verdicts: Vec::new(), log_from: None });
    }

    proptest! {
        #[test]
        fn whatever_the_policy_every_moment_of_the_window_can_be_restored(
            hours in proptest::collection::btree_set(1_i64..2_000, 1..60),
            (daily, weekly, monthly, window) in (0_u32..4, 0_u32..4, 0_u32..4, 0_u64..40),
        ) {
            let now = at(NOW);
            let ago = |h: i64| now.checked_sub(jiff::SignedDuration::from_hours(h)).unwrap();
            let all: Vec<Listed> = hours.iter().map(|h| backup(ago(*h))).collect();
            let plan = retain(&all, &keep(daily, weekly, monthly, window), now, &TimeZone::UTC);
            let log_from = plan.log_from.expect("there are backups");
            // The best backup for the first moment of the window, and all younger ones.
            let begin = ago(24 * i64::try_from(window).unwrap());
            let base = all.iter().filter(|b| b.entry.finished <= begin).map(|b| &b.entry.id).max();
            for verdict in plan.verdicts.iter().filter(|v| base.is_none_or(|base| v.id >= *base)) {
                prop_assert!(!verdict.keep.is_empty(), "{}", verdict.id);
                let listed = all.iter().find(|b| b.entry.id == verdict.id).unwrap();
                prop_assert!(listed.entry.start.lsn >= log_from.lsn);
            }
        }
    }
}
