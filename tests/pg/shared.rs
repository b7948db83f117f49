//! One cluster for all tests that only read it or keep to their own tables: it lives as long as
//! any of them runs, and ends with the last.

use crate::support::{Cluster, cluster};
use std::sync::{Arc, Weak};
use tokio::sync::Mutex;

static SINGLE: Mutex<Weak<Cluster>> = Mutex::const_new(Weak::new());

async fn share(place: &Mutex<Weak<Cluster>>) -> Arc<Cluster> {
    let mut place = place.lock().await;
    if let Some(running) = place.upgrade() {
        return running;
    }
    let started = cluster().start().await.expect("a cluster");
    let started = Arc::new(started);
    *place = Arc::downgrade(&started);
    started
}

/// A primary alone.
pub async fn single() -> Arc<Cluster> {
    share(&SINGLE).await
}
