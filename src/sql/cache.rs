//! The answers by shape: a bounded table for all threads, a small one of each thread in front.
//!
//! A hash never decides: the whole shape is compared, so that no two statements are ever mistaken
//! for one another.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::analysis::Analysis;

/// Slots of a thread's own table.
const SLOTS: usize = 512;

/// Longer shapes stay out of the threads' own tables; in bytes.
const LONGEST_IN_FRONT: usize = 2048;

/// An answer that holds for each text of a shape; `None` if the literals matter.
pub(super) type ByShape<A = Analysis> = Option<Arc<A>>;

/// What an entry costs besides its shape, about; in bytes.
const ENTRY: usize = 400;

/// Counters are spread over this many lines of memory, so that threads do not fight for one.
const LANES: usize = 16;

/// What is known about a shape.
pub(super) struct Shape<A = Analysis> {
    text: Box<[u8]>,
    answer: ByShape<A>,
}

impl<A> Shape<A> {
    pub(super) fn new(text: &[u8], answer: ByShape<A>) -> Arc<Shape<A>> {
        Arc::new(Shape { text: text.into(), answer })
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }
}

struct Key<A>(Arc<Shape<A>>);

impl<A> Clone for Key<A> {
    fn clone(&self) -> Key<A> {
        Key(self.0.clone())
    }
}

impl<A> Borrow<[u8]> for Key<A> {
    fn borrow(&self) -> &[u8] {
        &self.0.text
    }
}

impl<A> Hash for Key<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl<A> PartialEq for Key<A> {
    fn eq(&self, other: &Key<A>) -> bool {
        self.0.text == other.0.text
    }
}

impl<A> Eq for Key<A> {}

#[derive(Clone)]
struct ByBytes;

impl<A> quick_cache::Weighter<Key<A>, Arc<Shape<A>>> for ByBytes {
    fn weight(&self, key: &Key<A>, _: &Arc<Shape<A>>) -> u64 {
        (key.0.text.len() + ENTRY) as u64
    }
}

#[derive(Default)]
#[repr(align(128))]
struct Lane {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Numbers for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Shapes known now.
    pub entries: u64,
    /// Texts answered without the grammar.
    pub hits: u64,
    /// Texts the grammar had to look at.
    pub misses: u64,
    /// What the shapes take, in bytes, about.
    pub bytes: u64,
    /// What they may take.
    pub limit: u64,
}

/// One dialect's answers, `A`.
pub(super) struct Shapes<A = Analysis> {
    all: Cache<Key<A>, Arc<Shape<A>>, ByBytes, RandomState>,
    hasher: RandomState,
    /// Names the state that the threads' own tables were filled from; unique in the process.
    epoch: AtomicU64,
    lanes: [Lane; LANES],
}

struct Slot<A> {
    hash: u64,
    shape: Arc<Shape<A>>,
    /// A copy of the shape's answer that no other thread counts references to.
    answer: ByShape<A>,
}

impl<A: Clone> Slot<A> {
    fn new(hash: u64, shape: Arc<Shape<A>>) -> Slot<A> {
        let answer = shape.answer.as_deref().map(|analysis| Arc::new(analysis.clone()));
        Slot { hash, shape, answer }
    }
}

/// A thread's own table, of whichever cache it was last used for.
pub(super) struct Front<A = Analysis> {
    epoch: u64,
    lane: usize,
    slots: Box<[Option<Slot<A>>]>,
    /// The shape of the text being looked at.
    pub(super) text: Vec<u8>,
}

fn next_epoch() -> u64 {
    static EPOCHS: AtomicU64 = AtomicU64::new(1);
    EPOCHS.fetch_add(1, Ordering::Relaxed)
}

impl<A> Front<A> {
    pub(super) fn new() -> Front<A> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        let lane = THREADS.fetch_add(1, Ordering::Relaxed) % LANES;
        let slots = (0..SLOTS).map(|_| None).collect();
        Front { epoch: 0, lane, slots, text: Vec::with_capacity(1024) }
    }

    fn forget(&mut self, epoch: u64) {
        self.slots.iter_mut().for_each(|slot| *slot = None);
        self.epoch = epoch;
    }
}

thread_local! {
    static FRONT: RefCell<Front> = RefCell::new(Front::new());
}

/// Lends the thread's own table and buffer to `work`, which must not ask for them again.
pub(super) fn with_front<T>(work: impl FnOnce(&mut Front) -> T) -> T {
    FRONT.with(|front| work(&mut front.borrow_mut()))
}

impl<A: Clone> Shapes<A> {
    /// All answers, with their shapes.
    pub(super) fn answers(&self) -> impl Iterator<Item = (Arc<Shape<A>>, Arc<A>)> {
        self.all.iter().filter_map(|(key, shape)| Some((key.0, shape.answer.clone()?)))
    }
}

impl<A: Clone> Shapes<A> {
    /// A cache of about `bytes` bytes, beside at most 1 MiB for each thread.
    pub(super) fn new(bytes: u64) -> Shapes<A> {
        let hasher = RandomState::default();
        let entries = usize::try_from(bytes / 600).unwrap_or(usize::MAX).max(1);
        let lifecycle = DefaultLifecycle::default();
        Shapes {
            all: Cache::with(entries, bytes, ByBytes, hasher.clone(), lifecycle),
            hasher,
            epoch: AtomicU64::new(next_epoch()),
            lanes: Default::default(),
        }
    }

    /// What is known about the shape in `front.text`.
    pub(super) fn find(&self, front: &mut Front<A>) -> Option<ByShape<A>> {
        let epoch = self.epoch.load(Ordering::Acquire);
        if front.epoch != epoch {
            front.forget(epoch);
        }
        let text = &front.text[..];
        if text.len() > LONGEST_IN_FRONT {
            return self.all.get(text).map(|shape| shape.answer.clone());
        }
        let hash = self.hasher.hash_one(text);
        let slot = &mut front.slots[hash as usize % SLOTS];
        if let Some(slot) = slot
            && slot.hash == hash
            && *slot.shape.text == *text
        {
            return Some(slot.answer.clone());
        }
        let filled = slot.insert(Slot::new(hash, self.all.get(text)?));
        Some(filled.answer.clone())
    }

    pub(super) fn keep(&self, shape: Arc<Shape<A>>) {
        self.all.insert(Key(shape.clone()), shape);
    }

    /// Puts `shape` in the place of what was known about it, in every thread.
    pub(super) fn correct(&self, shape: Arc<Shape<A>>) {
        self.keep(shape);
        self.epoch.store(next_epoch(), Ordering::Release);
    }

    pub(super) fn count(&self, front: &Front<A>, hit: bool) {
        let lane = &self.lanes[front.lane];
        let counter = if hit { &lane.hits } else { &lane.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> Stats {
        let sum = |of: fn(&Lane) -> &AtomicU64| {
            self.lanes.iter().map(|lane| of(lane).load(Ordering::Relaxed)).sum()
        };
        Stats {
            entries: self.all.len() as u64,
            hits: sum(|lane| &lane.hits),
            misses: sum(|lane| &lane.misses),
            bytes: self.all.weight(),
            limit: self.all.capacity(),
        }
    }
}
