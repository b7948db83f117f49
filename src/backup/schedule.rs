//! When backups are due.

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;
use std::time::Duration;

/// Moments by a cron pattern, in a time zone.
#[derive(Clone)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
    jitter: Duration,
}

impl Schedule {
    /// `pattern`: minute, hour, day of the month, month, day of the week. `zone`: a name of the IANA
    /// database. `jitter`: each moment is put off by up to so long. The error says what is wrong.
    pub fn read(pattern: &str, zone: &str, jitter: Duration) -> Result<Schedule, String> {
        let cron = Cron::from_str(pattern).map_err(|error| error.to_string())?;
        let zone = TimeZone::get(zone).map_err(|error| error.to_string())?;
        Ok(Schedule { cron, zone, jitter })
    }

    /// The first moment behind `after`; `None`: there is none. `chance`: from 0 to 1.
    pub fn next(&self, after: Timestamp, chance: f64) -> Option<Timestamp> {
        let after = after.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?.timestamp();
        let late = SignedDuration::try_from(self.jitter.mul_f64(chance.clamp(0.0, 1.0))).ok()?;
        next.checked_add(late).ok()
    }

    /// When the next backup is due if the last one began at `last`: at once, when a moment passed by
    /// meanwhile. Without a backup it is the first moment that comes.
    pub fn due(&self, last: Option<Timestamp>, now: Timestamp, chance: f64) -> Option<Timestamp> {
        match last.and_then(|last| self.next(last, 0.0)) {
            Some(missed) if missed <= now => Some(now),
            _ => self.next(now, chance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn nightly(zone: &str) -> Schedule {
        Schedule::read("0 3 * * *", zone, Duration::ZERO).unwrap()
    }

    #[test]
    fn moments_are_those_of_the_time_zone_whatever_its_clocks_do() {
        let berlin = nightly("Europe/Berlin");
        let next = |text| berlin.next(at(text), 0.0).unwrap();
        assert_eq!(next("2026-07-01T12:00:00Z"), at("2026-07-02T01:00:00Z"));
        assert_eq!(next("2026-12-01T12:00:00Z"), at("2026-12-02T02:00:00Z"));
        assert_eq!(next("2026-12-02T02:00:00Z"), at("2026-12-03T02:00:00Z"));
    }

    #[test]
    fn a_moment_is_put_off_by_chance_and_never_brought_forward() {
        let late = Schedule::read("0 3 * * *", "UTC", Duration::from_secs(600)).unwrap();
        let next = |chance| late.next(at("2026-12-01T12:00:00Z"), chance).unwrap();
        assert_eq!(next(0.0), at("2026-12-02T03:00:00Z"));
        assert_eq!(next(0.5), at("2026-12-02T03:05:00Z"));
        assert_eq!(next(9.0), at("2026-12-02T03:10:00Z"));
    }

    #[test]
    fn what_was_missed_is_made_up_for_at_once() {
        let now = at("2026-12-02T12:00:00Z");
        let due = |last| nightly("UTC").due(last, now, 0.0);
        let tomorrow = Some(at("2026-12-03T03:00:00Z"));
        assert_eq!(due(Some(at("2026-12-01T03:00:00Z"))), Some(now));
        assert_eq!(due(Some(at("2026-12-02T03:00:01Z"))), tomorrow);
        assert_eq!(due(None), tomorrow);
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for (pattern, zone) in [("0 3 * *", "UTC"), ("61 * * * *", "UTC"), ("0 3 * * *", "Mars")] {
            let error = Schedule::read(pattern, zone, Duration::ZERO).err().unwrap();
            assert!(!error.is_empty() && !error.contains("Cron {"), "{error}");
        }
    }
}
