//! A statement that took long is logged, where that is wanted.

use super::Client;
use crate::dispatch::Slow;
use crate::sql::Usage;
use std::sync::Arc;
use std::time::Duration;

impl Client {
    #[cold]
    pub(super) fn was_slow(&self, usage: Option<&Arc<Usage>>, took: Duration) {
        let entry = &self.entry;
        let identity = entry.identity.lock().clone();
        let slow = Slow {
            client: entry.id,
            user: &identity.user,
            database: &identity.database,
            address: entry.address,
            application: &entry.application,
            route: *entry.last_route.lock(),
            took,
        };
        self.cluster.log_slow(&slow, || self.cluster.classifier.shape_of(usage?));
    }
}
