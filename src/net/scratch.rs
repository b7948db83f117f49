//! One read buffer per thread: a socket borrows it for the length of a poll, so an idle
//! connection owns no buffer at all.

use std::cell::RefCell;

/// Bytes one read can take at most.
const SIZE: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SIZE].into_boxed_slice());
}

/// Lends this thread's buffer to `f`. Not reentrant: `f` must not call it again.
pub fn with_scratch<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|buffer| f(buffer))
}
