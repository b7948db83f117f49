//! The log of slow statements: by shape, so without what people wrote into them.

use super::LastRoute;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lines a second of one cluster, at most.
const MOST: u32 = 10;

/// What counts as slow in a cluster, and what was said of it.
#[derive(Debug)]
pub struct SlowLog {
    /// In microseconds; the largest number: nothing does.
    after: AtomicU64,
    said: Mutex<Said>,
}

#[derive(Debug)]
struct Said {
    second: Instant,
    lines: u32,
    /// Statements that were slow, and are not in the log.
    left_out: u64,
}

impl Default for SlowLog {
    fn default() -> SlowLog {
        let said = Said { second: Instant::now(), lines: 0, left_out: 0 };
        SlowLog { after: AtomicU64::new(u64::MAX), said: Mutex::new(said) }
    }
}

/// A statement that was slow.
pub struct Slow<'a> {
    pub client: u64,
    pub user: &'a str,
    pub database: &'a str,
    pub address: SocketAddr,
    pub application: &'a str,
    /// Where it went, and why there.
    pub route: Option<LastRoute>,
    /// From the moment when it was here to the end of its answer.
    pub took: Duration,
}

impl SlowLog {
    /// Logs what takes as long as this, or longer; zero: nothing.
    pub fn set(&self, after: Duration) {
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.after.store(if micros == 0 { u64::MAX } else { micros }, Ordering::Relaxed);
    }

    /// One look at a number: this is asked for each statement.
    pub fn is_slow(&self, took: Duration) -> bool {
        let after = self.after.load(Ordering::Relaxed);
        after != u64::MAX && took >= Duration::from_micros(after)
    }

    /// Whether one more line is due; if so, how many were left out before it.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut said = self.said.lock();
        if now.saturating_duration_since(said.second) >= Duration::from_secs(1) {
            (said.second, said.lines) = (now, 0);
        }
        if said.lines >= MOST {
            said.left_out += 1;
            return None;
        }
        said.lines += 1;
        Some(std::mem::take(&mut said.left_out))
    }
}

impl super::Dispatch {
    /// Logs a slow statement. `shape` is asked for only if there is a line to be written.
    #[cold]
    pub fn log_slow(&self, slow: &Slow<'_>, shape: impl FnOnce() -> Option<String>) {
        let Some(left_out) = self.slow.due(Instant::now()) else { return };
        let route = slow.route;
        let shape = shape().unwrap_or_else(|| "(of no shape)".into());
        tracing::warn!(
            target: "tidegate::slow",
            cluster = &*self.name,
            took_ms = slow.took.as_secs_f64() * 1000.0,
            wait_ms = route.map(|route| route.waited.as_secs_f64() * 1000.0),
            node = route.map(|route| self.node_name(route.node)).as_deref(),
            reason = route.map(|route| route.because.name()),
            client = slow.client,
            user = slow.user,
            database = slow.database,
            address = %slow.address,
            application = slow.application,
            left_out,
            statement = shape,
            "slow statement"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_slow_until_somebody_says_what_is() {
        let log = SlowLog::default();
        assert!(!log.is_slow(Duration::MAX));
        log.set(Duration::from_millis(5));
        assert!(log.is_slow(Duration::from_millis(5)) && !log.is_slow(Duration::from_micros(4999)));
        log.set(Duration::ZERO);
        assert!(!log.is_slow(Duration::MAX));
    }

    #[test]
    fn what_is_left_out_is_told_with_the_next_line() {
        let (log, now) = (SlowLog::default(), Instant::now());
        let lines: Vec<_> = (0..13).map(|_| log.due(now)).collect();
        assert_eq!(lines.iter().filter(|line| line.is_some()).count(), 10);
        assert_eq!(log.due(now + Duration::from_secs(2)), Some(3));
        assert_eq!(log.due(now + Duration::from_secs(2)), Some(0));
    }
}
