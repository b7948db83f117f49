//! The limit of server connections per node, shared by all pools of that node.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// A pool that shares a budget with others.
pub(super) trait Sharer: Send + Sync {
    /// Closes one idle connection; false when there is none.
    fn evict_one(&self) -> bool;
    /// A slot became free: open a connection if somebody waits.
    fn slot_is_free(&self);
}

/// A slot that was taken; given back when dropped.
pub struct Slot(Arc<Budget>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.put();
        self.0.announce();
    }
}

/// Slots for server connections of one node.
#[derive(Default)]
pub struct Budget {
    /// 0: no limit.
    limit: AtomicUsize,
    used: AtomicUsize,
    sharers: Mutex<Vec<Weak<dyn Sharer>>>,
}

impl Budget {
    pub fn new(limit: usize) -> Budget {
        Budget { limit: AtomicUsize::new(limit), ..Budget::default() }
    }

    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// No slot is left.
    pub(super) fn is_spent(&self) -> bool {
        let limit = self.limit();
        limit > 0 && self.used.load(Ordering::Acquire) >= limit
    }

    pub(super) fn join(&self, sharer: Weak<dyn Sharer>) {
        let mut sharers = self.sharers.lock();
        sharers.retain(|s| s.strong_count() > 0);
        sharers.push(sharer);
    }

    /// Takes a slot; when all are taken, an idle connection of another pool makes room.
    /// Call without any pool's lock held.
    pub(super) fn take(&self) -> bool {
        self.try_take() || (self.evict() && self.try_take())
    }

    fn try_take(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let next = |used: usize| (limit == 0 || used < limit).then_some(used + 1);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    fn evict(&self) -> bool {
        self.sharers().into_iter().any(|s| s.upgrade().is_some_and(|s| s.evict_one()))
    }

    /// A slot for a server connection that belongs to no pool.
    pub fn reserve(self: &Arc<Self>) -> Option<Slot> {
        self.take().then(|| Slot(self.clone()))
    }

    /// Gives a slot back, without waking anyone.
    pub(super) fn put(&self) {
        self.used.fetch_sub(1, Ordering::AcqRel);
    }

    /// Tells the pools that share this budget that there may be room.
    /// Call without any pool's lock held.
    pub(super) fn announce(&self) {
        if self.limit.load(Ordering::Relaxed) > 0 {
            self.sharers().iter().filter_map(Weak::upgrade).for_each(|s| s.slot_is_free());
        }
    }

    fn sharers(&self) -> Vec<Weak<dyn Sharer>> {
        self.sharers.lock().clone()
    }
}
