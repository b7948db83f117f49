//! A client as others see it, whatever it speaks: what it does, and whether it has to go.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Instant;

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ClientState {
    /// Logged in, no statement under way.
    Idle = 0,
    /// Waits for a server connection.
    Waiting = 1,
    /// Has a server connection.
    Active = 2,
}

/// The part of a client's entry that is the same for every protocol.
#[derive(Debug)]
pub struct Presence {
    pub since: Instant,
    pub requests: AtomicU64,
    state: AtomicU8,
    killed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Default for Presence {
    fn default() -> Presence {
        Presence {
            since: Instant::now(),
            requests: AtomicU64::new(0),
            state: AtomicU8::new(ClientState::Idle as u8),
            killed: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }
}

impl Presence {
    pub fn state(&self) -> ClientState {
        match self.state.load(Ordering::Relaxed) {
            1 => ClientState::Waiting,
            2 => ClientState::Active,
            _ => ClientState::Idle,
        }
    }

    pub fn set_state(&self, state: ClientState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// Ends this client at its next opportunity.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.wake();
    }

    pub fn wake(&self) {
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// The task to wake when somebody wants something of this client.
    pub fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.lock();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}

/// Which server connection works for a client: `T` says where a request to cancel goes.
#[derive(Debug)]
pub struct Link<T>(Mutex<Linked<T>>);

#[derive(Debug)]
struct Linked<T> {
    target: Option<T>,
    /// A request to cancel was sent to it: it must not serve anyone else.
    cancelled: bool,
    /// What it does now must not be cancelled.
    spared: bool,
}

impl<T> Default for Link<T> {
    fn default() -> Link<T> {
        Link(Mutex::new(Linked { target: None, cancelled: false, spared: false }))
    }
}

impl<T: Clone> Link<T> {
    pub fn set(&self, target: T) {
        *self.0.lock() = Linked { target: Some(target), cancelled: false, spared: false };
    }

    /// Lets go of the server; true when it was sent a request to cancel.
    pub fn clear(&self) -> bool {
        let mut link = self.0.lock();
        link.target = None;
        std::mem::take(&mut link.cancelled)
    }

    pub fn target(&self) -> Option<T> {
        self.0.lock().target.clone()
    }

    /// Whether what the server does from now on must not be cancelled.
    pub fn spare(&self, spared: bool) {
        self.0.lock().spared = spared;
    }

    /// Where a request to cancel goes now; from here on the server serves nobody else.
    pub fn cancel(&self) -> Option<T> {
        let mut link = self.0.lock();
        if link.spared {
            return None;
        }
        link.cancelled = link.target.is_some();
        link.target.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_was_sent_a_request_to_cancel_is_known_until_it_is_let_go() {
        let link = Link::default();
        assert_eq!(link.cancel(), None);
        assert!(!link.clear(), "nothing was there to be cancelled");
        link.set(7);
        assert_eq!(link.cancel(), Some(7));
        assert!(link.clear() && !link.clear());
        link.set(8);
        assert!(!link.clear(), "another server");
        link.set(9);
        link.spare(true);
        assert_eq!(link.cancel(), None);
        link.spare(false);
        assert_eq!(link.cancel(), Some(9));
    }
}
