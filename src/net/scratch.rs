//! One read buffer per thread: a socket borrows it for the length of a poll, so an idle
//! connection owns no buffer at all.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes one read can take at most.
pub const SCRATCH_SIZE: usize = 64 * 1024;

/// Threads that have one.
static MADE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(buffer());
}

fn buffer() -> Box<[u8]> {
    MADE.fetch_add(1, Ordering::Relaxed);
    vec![0; SCRATCH_SIZE].into_boxed_slice()
}

/// How many buffers there are. Threads that serve clients stay until the end.
pub fn scratch_buffers() -> usize {
    MADE.load(Ordering::Relaxed)
}

/// Lends this thread's buffer to `f`. Not reentrant: `f` must not call it again.
pub fn with_scratch<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|buffer| f(buffer))
}
