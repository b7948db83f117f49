//! PAUSE: no new work begins until RESUME.

use super::Dispatch;
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
}
