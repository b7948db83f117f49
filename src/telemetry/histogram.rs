//! Durations in buckets that double, found without a search.

use super::counter::{SHARDS, shard};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The first bucket ends at 16 µs, the last with an end at 16.8 s (2^24 µs).
const FIRST_BITS: u32 = 4;
const BOUNDS: usize = 21;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    /// One for each bound, and one for all that is beyond.
    buckets: [AtomicU64; BOUNDS + 1],
    sum_us: AtomicU64,
}

/// How often which duration was seen.
#[derive(Debug, Default)]
pub struct Histogram {
    shards: [Shard; SHARDS],
}

impl Histogram {
    pub fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let shard = &self.shards[shard()];
        shard.buckets[bucket(us)].fetch_add(1, Ordering::Relaxed);
        shard.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub fn distribution(&self) -> Distribution {
        let mut found = Distribution::default();
        for shard in &self.shards {
            for (to, from) in found.counts.iter_mut().zip(&shard.buckets) {
                *to += from.load(Ordering::Relaxed);
            }
            found.sum_us = found.sum_us.wrapping_add(shard.sum_us.load(Ordering::Relaxed));
        }
        found
    }
}

/// The bucket whose upper bound, inclusive, is the next one.
fn bucket(us: u64) -> usize {
    let bits = u64::BITS - us.saturating_sub(1).leading_zeros();
    (bits.saturating_sub(FIRST_BITS) as usize).min(BOUNDS)
}

/// What a histogram held at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// Not cumulative; the last one has no upper bound.
    counts: Vec<u64>,
    sum_us: u64,
}

impl Default for Distribution {
    fn default() -> Distribution {
        Distribution { counts: vec![0; BOUNDS + 1], sum_us: 0 }
    }
}

impl Distribution {
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// What was seen after `earlier`, which the same histogram held.
    pub fn since(&self, earlier: &Distribution) -> Distribution {
        let counts = self.counts.iter().zip(&earlier.counts);
        Distribution {
            counts: counts.map(|(now, then)| now.saturating_sub(*then)).collect(),
            sum_us: self.sum_us.saturating_sub(earlier.sum_us),
        }
    }

    /// `None`: nothing was seen.
    pub fn mean(&self) -> Option<Duration> {
        self.sum_us.checked_div(self.count()).map(Duration::from_micros)
    }

    /// What so many of a hundred did not exceed, within a factor of two; `None`: nothing was seen.
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let wanted = (self.count() * percent).div_ceil(100).max(1);
        let mut sum = 0;
        let bucket = self.counts.iter().position(|count| {
            sum += count;
            sum >= wanted
        })?;
        Some(Duration::from_micros(1 << (bucket as u32 + FIRST_BITS)))
    }

    /// Upper bounds in seconds with the number of durations up to each, without `+Inf`.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut so_far = 0;
        self.counts[..BOUNDS].iter().enumerate().map(move |(i, count)| {
            so_far += count;
            ((1u64 << (i as u32 + FIRST_BITS)) as f64 / 1e6, so_far)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let us = |us| bucket(us);
        assert_eq!([us(0), us(1), us(16), us(17), us(32), us(33)], [0, 0, 0, 1, 1, 2]);
        assert_eq!(us(1 << 24), BOUNDS - 1);
        assert_eq!(us((1 << 24) + 1), BOUNDS);
        assert_eq!(us(u64::MAX), BOUNDS);
    }

    #[test]
    fn the_cumulative_counts_end_at_all_that_have_a_bound() {
        let histogram = Histogram::default();
        for us in [10, 100, 100_000, 60_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let seen = histogram.distribution();
        assert_eq!(seen.count(), 4);
        assert_eq!(seen.sum(), Duration::from_micros(60_100_110));
        let cumulative: Vec<_> = seen.cumulative().collect();
        assert_eq!(cumulative[0], (0.000_016, 1));
        assert_eq!(cumulative.last(), Some(&(16.777_216, 3)));
    }
}
