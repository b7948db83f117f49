//! How long to wait before the next attempt: exponential, with jitter.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Waits that double from `first` up to `most`, each shortened by chance by up to a half, so that
/// many who failed together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub fn new(first: Duration, most: Duration) -> Backoff {
        let most = most.max(first);
        Backoff { first, most, next: first }
    }

    /// The wait before the next attempt. `chance` is a random number from 0 (inclusive) to 1.
    pub fn next(&mut self, chance: f64) -> Duration {
        let full = self.next;
        self.next = full.saturating_mul(2).min(self.most);
        full.mul_f64(1.0 - 0.5 * chance.clamp(0.0, 1.0))
    }

    /// The attempt succeeded: the next failure waits `first` again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A random number from 0 to 1, for jitter: not for secrets.
pub fn chance() -> f64 {
    // The standard library seeds each RandomState differently; the low bits of its hash of
    // nothing are as random as jitter needs.
    let bits = RandomState::new().build_hasher().finish() as u32;
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_millis(350);

    #[test]
    fn waits_double_up_to_the_most() {
        let mut backoff = Backoff::new(FIRST, MOST);
        let waits: Vec<u128> = (0..4).map(|_| backoff.next(0.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 350, 350]);
    }

    #[test]
    fn chance_shortens_a_wait_by_at_most_a_half() {
        assert_eq!(Backoff::new(FIRST, MOST).next(1.0), FIRST / 2);
        assert_eq!(Backoff::new(FIRST, MOST).next(0.5), FIRST * 3 / 4);
        assert_eq!(Backoff::new(FIRST, MOST).next(99.0), FIRST / 2);
    }

    #[test]
    fn a_success_starts_again_from_the_first_wait() {
        let mut backoff = Backoff::new(FIRST, MOST);
        backoff.next(0.0);
        backoff.next(0.0);
        backoff.reset();
        assert_eq!(backoff.next(0.0), FIRST);
    }

    #[test]
    fn a_chance_is_between_zero_and_one_and_differs() {
        let draws: Vec<f64> = (0..100).map(|_| chance()).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        assert!(draws.iter().any(|draw| *draw != draws[0]));
    }
}
