//! What was acknowledged, and when: the judge of every read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Instant;

/// Acknowledgements kept: many times as many as there are within a staleness allowed here.
const KEPT: usize = 1 << 16;

/// One counter that only grows.
#[derive(Default)]
pub struct Truth {
    begun: AtomicU64,
    acknowledged: RwLock<VecDeque<(Instant, u64)>>,
}

impl Truth {
    /// Whoever writes is about to make it `value`.
    pub fn begin(&self, value: u64) {
        self.begun.store(value, Ordering::SeqCst);
    }

    /// The server said that it is `value`.
    pub fn acknowledge(&self, value: u64) {
        let mut kept = self.acknowledged.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((Instant::now(), value));
    }

    /// No read can show more than this.
    pub fn most(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// The value that was acknowledged last at this instant; 0 where that was forgotten.
    pub fn at(&self, instant: Instant) -> u64 {
        let kept = self.acknowledged.read().unwrap_or_else(PoisonError::into_inner);
        let until = kept.partition_point(|(when, _)| *when <= instant);
        until.checked_sub(1).map_or(0, |last| kept[last].1)
    }
}
