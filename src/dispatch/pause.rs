//! PAUSE: no new work begins until RESUME. DISABLE: nobody new comes in until ENABLE.

use super::Dispatch;
use crate::refusal::Refusal;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Dispatch {
    /// Resolves when nobody has paused the cluster.
    pub async fn while_paused(&self) {
        if *self.paused.borrow() {
            // An error would mean that the cluster is gone, and nobody waits then.
            let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
        }
    }

    /// New work waits from now on; `lent` tells how many connections are still in use.
    pub async fn pause_until(&self, lent: impl Fn() -> usize) {
        self.paused.send_replace(true);
        while lent() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Whether new clients are turned away from now on; those who are here stay.
    pub fn disable(&self, disabled: bool) {
        self.disabled.store(disabled, Ordering::Relaxed);
    }

    pub fn is_disabled(&self) -> bool {
        self.disabled.load(Ordering::Relaxed)
    }

    /// Refuses a new client while the cluster is disabled.
    pub fn is_open(&self) -> Result<(), Refusal> {
        match self.is_disabled() {
            true => Err(Refusal::Disabled { cluster: self.name.clone() }),
            false => Ok(()),
        }
    }
}
