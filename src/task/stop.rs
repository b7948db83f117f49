//! The signal that asks tasks to end.

use tokio::sync::watch;

/// Tells a task when to end. Cheap to clone; every clone sees the same signal.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(super) fn new(signal: watch::Receiver<bool>) -> Stop {
        Stop(signal)
    }

    /// True once the owner asked everyone to end, or is gone.
    pub fn is_set(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Resolves when the owner asks everyone to end, or is gone. Cancel-safe.
    pub async fn stopped(&mut self) {
        // An error means that the owner is gone, which is an end as well.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
