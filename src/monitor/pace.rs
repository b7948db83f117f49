//! How often to ask: seldom where nobody uses the cluster. No I/O, no clock.

use super::Settings;
use crate::topology::Snapshot;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A cluster counts as idle when no transaction began for so long.
const IDLE_AFTER: Duration = Duration::from_secs(10);

/// What was seen of the work of a cluster.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Transactions so far, and when that was another number.
    work: Option<(u64, Instant)>,
}

impl Pace {
    /// How long from a question at `now` to the next one.
    pub(super) fn next(&mut self, seen: &Snapshot, now: Instant, settings: &Settings) -> Duration {
        let work = seen.nodes.iter().map(|node| {
            let load = &node.load;
            load.reads.load(Ordering::Relaxed) + load.writes.load(Ordering::Relaxed)
        });
        let (work, busy) = (work.sum(), seen.nodes.iter().any(|n| n.load.outstanding() > 0));
        let since = match self.work {
            Some((before, since)) if before == work && !busy => since,
            _ => now,
        };
        self.work = Some((work, since));
        match now.saturating_duration_since(since) < IDLE_AFTER {
            true => settings.interval,
            false => settings.idle_interval.max(settings.interval),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{Member, Picture};

    #[test]
    fn an_idle_cluster_is_asked_seldom_until_it_works_again() {
        let member = Member { name: "a".into(), address: "h:1".into(), weight: 1, near: true };
        let seen = Picture::new("orders".into(), vec![member]).snapshot();
        let load = seen.nodes[0].load.clone();
        let (settings, start) = (Settings::default(), Instant::now());
        let mut pace = Pace::default();
        let mut at = |seconds| pace.next(&seen, start + Duration::from_secs(seconds), &settings);
        assert_eq!((at(0), at(9)), (settings.interval, settings.interval));
        assert_eq!((at(10), at(99)), (settings.idle_interval, settings.idle_interval));
        load.reads.fetch_add(1, Ordering::Relaxed);
        assert_eq!((at(100), at(109)), (settings.interval, settings.interval));
        assert_eq!(at(110), settings.idle_interval);
        load.outstanding.fetch_add(1, Ordering::Relaxed);
        assert_eq!(at(200), settings.interval);
    }
}
