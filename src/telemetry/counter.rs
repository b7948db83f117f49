//! Counters that many threads add to without meeting on a cache line.

use parking_lot::RwLock;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Threads beyond this number share a shard, which is slower and still correct.
pub(super) const SHARDS: usize = 8;

/// 128 bytes: x86 prefetches cache lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter {
    shards: [Padded; SHARDS],
}

impl Counter {
    pub fn add(&self, n: u64) {
        self.shards[shard()].0.fetch_add(n, Ordering::Relaxed);
    }
    pub fn increment(&self) {
        self.add(1);
    }
    /// The sum so far. What other threads add at the same time may be in it or not.
    pub fn get(&self) -> u64 {
        self.shards.iter().map(|s| s.0.load(Ordering::Relaxed)).sum()
    }
}

/// The shard of this thread.
pub(super) fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    MINE.with(|mine| match mine.get() {
        Some(shard) => shard,
        None => {
            let shard = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            mine.set(Some(shard));
            shard
        }
    })
}

/// Counters by a label whose values are not known beforehand, and are few.
#[derive(Debug, Default)]
pub struct Family {
    counters: RwLock<BTreeMap<String, Arc<Counter>>>,
}

impl Family {
    /// The counter of this label; keep it where it is used often.
    pub fn with(&self, label: &str) -> Arc<Counter> {
        if let Some(counter) = self.counters.read().get(label) {
            return counter.clone();
        }
        self.counters.write().entry(label.to_string()).or_default().clone()
    }

    /// All labels and their numbers.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.counters.read().iter().map(|(label, c)| (label.clone(), c.get())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_addition_of_any_thread_is_lost() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..SHARDS * 2 {
                scope.spawn(|| (0..1000).for_each(|_| counter.increment()));
            }
        });
        assert_eq!(counter.get(), 1000 * 2 * SHARDS as u64);
    }

    #[test]
    fn a_family_gives_the_same_counter_for_the_same_label() {
        let family = Family::default();
        family.with("40001").add(2);
        family.with("40001").increment();
        family.with("25006").increment();
        let counts = family.counts();
        assert_eq!(counts.get("40001"), Some(&3));
        assert_eq!(counts.get("25006"), Some(&1));
    }
}
