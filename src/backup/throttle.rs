//! How fast a backup reads: at most so many bytes a second, and not at all while it hurts.
//!
//! Whoever does not read makes the server wait: back-pressure is the only brake that can change while
//! a copy runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep_until};

/// Bytes that may come at once even if the rate is lower.
const BURST: Duration = Duration::from_millis(200);

/// The brake of one backup.
#[derive(Debug, Default)]
pub struct Throttle {
    /// Bytes a second; 0: no limit.
    rate: u64,
    /// Until when what was read so far takes at this rate.
    paid_until: Mutex<Option<Instant>>,
    paused: AtomicBool,
    changed: Notify,
}

impl Throttle {
    pub fn new(rate: u64) -> Throttle {
        Throttle { rate, ..Throttle::default() }
    }

    /// Nothing is read while it is paused.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Waits until `bytes` more may be read.
    pub async fn admit(&self, bytes: usize) {
        while self.is_paused() {
            let changed = self.changed.notified();
            if self.is_paused() {
                changed.await;
            }
        }
        if self.rate == 0 {
            return;
        }
        let mut paid = self.paid_until.lock().await;
        let until = next(*paid, Instant::now(), bytes, self.rate);
        *paid = Some(until);
        sleep_until(until - BURST).await;
    }
}

/// When `bytes` more are paid for.
fn next(paid: Option<Instant>, now: Instant, bytes: usize, rate: u64) -> Instant {
    let from = paid.map_or(now, |paid| paid.max(now));
    from + Duration::from_secs_f64(bytes as f64 / rate as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1_000_000;

    #[test]
    fn the_rate_is_kept_whatever_the_pieces() {
        let began = Instant::now();
        let pieces = [1, 500_000, 999_999, 500_000];
        let until = pieces.iter().fold(None, |paid, bytes| Some(next(paid, began, *bytes, RATE)));
        assert_eq!(until.unwrap() - began, Duration::from_secs(2));
    }

    #[test]
    fn time_that_was_not_used_is_not_saved_up() {
        let began = Instant::now();
        let later = began + Duration::from_secs(60);
        let until = next(Some(began), later, 10_000_000, RATE);
        assert_eq!(until - later, Duration::from_secs(10));
    }

    #[tokio::test]
    async fn nothing_is_admitted_during_a_pause() {
        let throttle = Throttle::new(0);
        throttle.pause(true);
        let waited = tokio::time::timeout(Duration::from_millis(50), throttle.admit(1)).await;
        assert!(waited.is_err());
        // Whoever waits is let in when it is over.
        tokio::join!(throttle.admit(1), async { throttle.pause(false) });
    }
}
