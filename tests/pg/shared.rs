//! One cluster for all tests that only read it or keep to their own tables: it lives as long as
//! any of them runs, and ends with the last.

use crate::support::{Cluster, cluster};
use std::sync::{Arc, Weak};
use tokio::sync::Mutex;

static REPLICATED: Mutex<Weak<Cluster>> = Mutex::const_new(Weak::new());
static SINGLE: Mutex<Weak<Cluster>> = Mutex::const_new(Weak::new());

async fn share(place: &Mutex<Weak<Cluster>>, replicas: usize) -> Arc<Cluster> {
    let mut place = place.lock().await;
    if let Some(running) = place.upgrade() {
        return running;
    }
    let started = cluster().replicas(replicas).start().await.expect("a cluster");
    let started = Arc::new(started);
    *place = Arc::downgrade(&started);
    started
}

/// A primary and two replicas.
pub async fn replicated() -> Arc<Cluster> {
    share(&REPLICATED, 2).await
}

/// A primary alone.
pub async fn single() -> Arc<Cluster> {
    share(&SINGLE, 0).await
}
