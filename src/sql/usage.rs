//! How often statements of one shape ran, where, and how long they took.

use super::Why;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Bucket n counts what took less than 2ⁿ microseconds and not less than half of it; the last one
/// counts all that took longer than about four minutes, too.
const BUCKETS: usize = 29;

/// The counters of one shape, for all threads. They are read one by one, so that sums may be off by
/// what happens meanwhile.
#[derive(Debug)]
pub struct Usage {
    primary: AtomicU64,
    replicas: AtomicU64,
    retries: AtomicU64,
    micros: AtomicU64,
    longest: AtomicU64,
    took: [AtomicU32; BUCKETS],
}

impl Default for Usage {
    fn default() -> Usage {
        let zero = || AtomicU64::new(0);
        Usage {
            primary: zero(),
            replicas: zero(),
            retries: zero(),
            micros: zero(),
            longest: zero(),
            took: [const { AtomicU32::new(0) }; BUCKETS],
        }
    }
}

/// What the counters said at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Batches that the primary answered.
    pub primary: u64,
    /// Batches that replicas answered.
    pub replicas: u64,
    /// How often one was asked again elsewhere, unseen.
    pub retries: u64,
    pub average: Duration,
    /// Half of them took no longer; within a factor of two.
    pub median: Duration,
    /// 99 of 100 took no longer; within a factor of two.
    pub p99: Duration,
    pub longest: Duration,
}

impl Usage {
    /// One more was answered, by the primary or a replica, after so long.
    pub fn answered(&self, by_primary: bool, took: Duration) {
        let by = if by_primary { &self.primary } else { &self.replicas };
        by.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        // Mostly it is not the longest: a look is cheaper than a change.
        if micros > self.longest.load(Ordering::Relaxed) {
            self.longest.fetch_max(micros, Ordering::Relaxed);
        }
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.took[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// One is asked again elsewhere.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }
}

/// What one or several counters said.
#[derive(Clone, Debug, Default)]
struct Sum {
    primary: u64,
    replicas: u64,
    retries: u64,
    micros: u64,
    longest: u64,
    took: [u64; BUCKETS],
}

impl Sum {
    fn add(&mut self, usage: &Usage) {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.primary += of(&usage.primary);
        self.replicas += of(&usage.replicas);
        self.retries += of(&usage.retries);
        self.micros += of(&usage.micros);
        self.longest = self.longest.max(of(&usage.longest));
        for (sum, bucket) in self.took.iter_mut().zip(&usage.took) {
            *sum += u64::from(bucket.load(Ordering::Relaxed));
        }
    }

    /// Whether nothing ran.
    fn is_empty(&self) -> bool {
        self.primary + self.replicas == 0
    }

    fn used(&self) -> Used {
        let longest = Duration::from_micros(self.longest);
        let micros = self.micros.checked_div(self.primary + self.replicas).unwrap_or(0);
        Used {
            primary: self.primary,
            replicas: self.replicas,
            retries: self.retries,
            average: Duration::from_micros(micros),
            median: self.percentile(50).min(longest),
            p99: self.percentile(99).min(longest),
            longest,
        }
    }

    /// What so many of a hundred did not exceed.
    fn percentile(&self, percent: u64) -> Duration {
        let wanted = (self.took.iter().sum::<u64>() * percent).div_ceil(100);
        let mut sum = 0;
        let bucket = self.took.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        Duration::from_micros(1 << bucket.unwrap_or(0))
    }
}

/// A shape for people, why it needs the primary, and what was counted of it.
pub type Counted = (String, Option<Why>, Used);

/// Sums up the counters of what is one shape to people; what never ran is left out.
pub(super) fn summed(all: impl Iterator<Item = (String, Option<Why>, Arc<Usage>)>) -> Vec<Counted> {
    let mut sums = HashMap::<_, Sum>::new();
    for (shape, primary, usage) in all {
        sums.entry((shape, primary)).or_default().add(&usage);
    }
    let used = sums.into_iter().filter(|(_, sum)| !sum.is_empty());
    used.map(|((shape, primary), sum)| (shape, primary, sum.used())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_is_counted_by_its_place_and_its_time() {
        let (usage, other) = (Usage::default(), Usage::default());
        other.answered(true, Duration::from_micros(3000));
        let mut sum = Sum::default();
        sum.add(&usage);
        assert!(sum.is_empty());
        assert_eq!(sum.used(), Used::default());
        for _ in 0..98 {
            usage.answered(false, Duration::from_micros(100));
        }
        usage.answered(true, Duration::from_secs(7200));
        usage.retried();
        sum.add(&usage);
        sum.add(&other);
        assert!(!sum.is_empty());
        let used = sum.used();
        assert_eq!((used.primary, used.replicas, used.retries), (2, 98, 1));
        assert_eq!(used.median, Duration::from_micros(128));
        assert_eq!(used.p99, Duration::from_micros(4096));
        assert_eq!(used.longest, Duration::from_secs(7200));
        assert_eq!(used.average, Duration::from_micros(72_000_128));
    }
}
