//! A server connection on loan.

use super::lease::{Connector, Pool};
use crate::task::Home;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

/// A connection with what the pool must remember of it.
pub(super) struct Held<T> {
    pub(super) conn: T,
    /// When it was there, ready for a first statement.
    pub(super) opened: Instant,
    /// When it is too old to be kept.
    pub(super) expires: Instant,
    /// The pool's generation it was opened in.
    pub(super) generation: u64,
    /// Whose poller watches it.
    pub(super) home: Home,
}

impl<T> Held<T> {
    /// Moves it to `here`, the caller's home, unless it is there. False: it broke on the way.
    pub(super) fn come_here<C: Connector<Conn = T>>(&mut self, here: Home) -> bool {
        let is_there = self.home == here || C::move_here(&mut self.conn).is_ok();
        self.home = here;
        is_there
    }
}

/// A server connection on loan; dropping it closes the connection.
pub struct Lease<C: Connector> {
    held: Option<Held<C::Conn>>,
    pool: Arc<Pool<C>>,
}

impl<C: Connector> Lease<C> {
    pub(super) fn new(held: Held<C::Conn>, pool: Arc<Pool<C>>) -> Lease<C> {
        Lease { held: Some(held), pool }
    }

    /// Returns a connection that is proven clean.
    pub fn give_back(mut self) {
        if let Some(held) = self.held.take() {
            self.pool.put_back(held);
        }
    }

    /// Moves the connection to the caller's home. False: it broke on the way.
    pub(super) fn come_here(&mut self) -> bool {
        self.held.as_mut().is_some_and(|held| held.come_here::<C>(Home::here()))
    }

    /// The connection, which the pool takes over again.
    pub(super) fn into_held(mut self) -> Option<Held<C::Conn>> {
        self.held.take()
    }

    /// When the connection was there, ready for a first statement.
    pub fn opened(&self) -> Instant {
        match &self.held {
            Some(held) => held.opened,
            None => unreachable!("a lease holds its connection until it is consumed"),
        }
    }

    pub fn pool(&self) -> &Arc<Pool<C>> {
        &self.pool
    }
}

impl<C: Connector> Deref for Lease<C> {
    type Target = C::Conn;
    fn deref(&self) -> &C::Conn {
        match &self.held {
            Some(held) => &held.conn,
            None => unreachable!("a lease holds its connection until it is consumed"),
        }
    }
}

impl<C: Connector> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C::Conn {
        match &mut self.held {
            Some(held) => &mut held.conn,
            None => unreachable!("a lease holds its connection until it is consumed"),
        }
    }
}

impl<C: Connector> Drop for Lease<C> {
    fn drop(&mut self) {
        if self.held.take().is_some() {
            self.pool.forget_one();
        }
    }
}
