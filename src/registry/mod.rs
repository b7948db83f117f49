//! A table of what lives now, by number.

mod presence;
mod recent;

pub use presence::{ClientState, Link, Presence};
pub use recent::Recent;

use parking_lot::Mutex;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A table of entries by number; an entry leaves it when its owner drops the registration.
#[derive(Debug)]
pub struct Registry<T> {
    entries: Mutex<HashMap<u64, Arc<T>>>,
    next: AtomicU64,
}

impl<T> Default for Registry<T> {
    fn default() -> Registry<T> {
        Registry { entries: Mutex::default(), next: AtomicU64::new(1) }
    }
}

impl<T> Registry<T> {
    /// One whose numbers start at `first`.
    pub fn starting_at(first: u64) -> Registry<T> {
        Registry { entries: Mutex::default(), next: AtomicU64::new(first) }
    }

    /// A number for somebody who may enter later.
    pub fn reserve(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Enters what `build` makes of the new number.
    pub fn enter(self: &Arc<Self>, build: impl FnOnce(u64) -> T) -> Registration<T> {
        self.enter_as(self.reserve(), build)
    }

    /// The same with a number that was reserved.
    pub fn enter_as(self: &Arc<Self>, id: u64, build: impl FnOnce(u64) -> T) -> Registration<T> {
        let entry = Arc::new(build(id));
        self.entries.lock().insert(id, entry.clone());
        Registration { id, entry, registry: self.clone() }
    }

    pub fn get(&self, id: u64) -> Option<Arc<T>> {
        self.entries.lock().get(&id).cloned()
    }

    pub fn find(&self, wanted: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        self.entries.lock().values().find(|entry| wanted(entry)).cloned()
    }

    pub fn all(&self) -> Vec<Arc<T>> {
        self.entries.lock().values().cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.lock().is_empty()
    }
}

/// Keeps an entry in its registry.
#[derive(Debug)]
pub struct Registration<T> {
    id: u64,
    entry: Arc<T>,
    registry: Arc<Registry<T>>,
}

impl<T> Registration<T> {
    pub fn shared(&self) -> &Arc<T> {
        &self.entry
    }
}

impl<T> Deref for Registration<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.entry
    }
}

impl<T> Drop for Registration<T> {
    fn drop(&mut self) {
        let mut entries = self.registry.entries.lock();
        entries.remove(&self.id);
        if entries.capacity() > 64 && entries.len() < entries.capacity() / 4 {
            entries.shrink_to_fit();
        }
    }
}
