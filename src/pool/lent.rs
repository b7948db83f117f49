//! A server connection on loan.

use super::lease::{Connector, Pool};
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
