//! How far a backup has got, for whoever looks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Numbers that only grow. Shared by reference.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    total: AtomicU64,
    read: AtomicU64,
    stored: AtomicU64,
}

impl Default for Progress {
    fn default() -> Progress {
        let zero = AtomicU64::default;
        Progress { began: Instant::now(), total: zero(), read: zero(), stored: zero() }
    }
}

impl Progress {
    /// Bytes that are expected, about.
    pub fn expect(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn add_stored(&self, bytes: usize) {
        self.stored.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Starts again with another node.
    pub(super) fn reset(&self) {
        for number in [&self.total, &self.read, &self.stored] {
            number.store(0, Ordering::Relaxed);
        }
    }

    /// Bytes that are expected; 0: unknown.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Bytes that were read from the node.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes that are in the store.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
