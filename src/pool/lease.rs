//! The pool: who gets the next server connection, and when one is opened or closed.

use super::Settings;
use super::budget::{Budget, Sharer};
use super::idle::{Idle, Shelf};
use super::lent::{Held, Lease};
use super::waiting::Waiting;
use crate::task::Home;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::oneshot;

/// How server connections are made; the engine implements it.
pub trait Connector: Send + Sync + 'static {
    type Conn: Send + 'static;
    type Error: Clone + fmt::Display + Send + Sync + 'static;
    /// Opens a connection, ready for a first statement.
    fn connect(&self) -> impl Future<Output = Result<Self::Conn, Self::Error>> + Send;
    /// Asks the server for a sign of life.
    fn check(&self, conn: &mut Self::Conn) -> impl Future<Output = bool> + Send;
    /// True when nothing arrived that nobody asked for. No system call.
    fn is_quiet(conn: &mut Self::Conn) -> bool;
    /// From now on the poller of the caller's home watches the connection.
    fn move_here(conn: &mut Self::Conn) -> io::Result<()>;
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PoolError<E> {
    /// Nobody gave a connection back in time.
    #[error("no server connection became free within {waited:?}")]
    Exhausted { waited: Duration, limit: Limit },
    /// The server could not be reached or refused the login.
    #[error("{0}")]
    Connect(E),
}

/// What kept a pool from opening one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `size`: its own.
    Pool(usize),
    /// `max_per_node`: the one that it shares with the other pools of the node.
    Node(usize),
}

/// A lease, so that what is granted to somebody who just left is not lost to the pool.
type Grant<C> = Result<Lease<C>, <C as Connector>::Error>;

struct State<C: Connector> {
    idle: Shelf<C::Conn>,
    waiting: Waiting<Grant<C>>,
    /// Idle, lent and connecting.
    open: usize,
    connecting: usize,
    /// Connections of an older generation are closed when they come back.
    generation: u64,
    /// Connections opened since the start.
    opened: u64,
}

/// How a pool stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub idle: usize,
    pub lent: usize,
    pub connecting: usize,
    pub waiting: usize,
    /// How long the first in the queue has been waiting.
    pub longest_wait: Duration,
    /// Idle for so long that they are checked before they are lent.
    pub used: usize,
    /// Opened and closed since the start.
    pub opened: u64,
    pub closed: u64,
}

/// Server connections of one node, user and database.
pub struct Pool<C: Connector> {
    me: Weak<Pool<C>>,
    connector: C,
    settings: ArcSwap<Settings>,
    state: Mutex<State<C>>,
    budget: Arc<Budget>,
}

/// How long a failed attempt keeps its place, so that a dead server is not hammered.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

impl<C: Connector> Pool<C> {
    pub fn new(connector: C, settings: Arc<Settings>, budget: Arc<Budget>) -> Arc<Pool<C>> {
        let pool = Arc::new_cyclic(|me| Pool {
            me: me.clone(),
            connector,
            settings: ArcSwap::new(settings),
            state: Mutex::new(State {
                idle: Shelf::default(),
                waiting: Waiting::default(),
                open: 0,
                connecting: 0,
                generation: 0,
                opened: 0,
            }),
            budget,
        });
        let sharer: Weak<Pool<C>> = Arc::downgrade(&pool);
        pool.budget.join(sharer);
        pool
    }

    pub fn connector(&self) -> &C {
        &self.connector
    }

    pub fn settings(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.settings.load()
    }

    pub fn reconfigure(&self, settings: Arc<Settings>) {
        self.settings.store(settings);
    }

    /// A connection that is free this instant and needs no check.
    pub fn try_lease(&self) -> Option<Lease<C>> {
        let pool = self.me.upgrade()?;
        let settings = self.settings.load();
        let (now, here) = (Instant::now(), Home::here());
        let oldest = now.checked_sub(settings.check_after).unwrap_or(now);
        loop {
            let mut held = {
                let mut state = self.state.lock();
                if !state.waiting.is_empty() {
                    return None;
                }
                state.idle.take_used_after(here, oldest)?.held
            };
            if held.expires > now && C::is_quiet(&mut held.conn) && held.come_here::<C>(here) {
                return Some(Lease::new(held, pool));
            }
            drop(held);
            self.forget_one();
        }
    }

    /// A connection, after waiting for it if need be.
    pub async fn lease(&self) -> Result<Lease<C>, PoolError<C::Error>> {
        if let Some(lease) = self.try_lease() {
            return Ok(lease);
        }
        let settings = self.settings.load_full();
        let started = Instant::now();
        loop {
            let left = settings.query_wait.saturating_sub(started.elapsed());
            let Some((mut lease, idle)) = self.wait_for_one(left).await? else {
                let waited = started.elapsed();
                return Err(PoolError::Exhausted { waited, limit: self.limit() });
            };
            // The poller that watches it knows what has arrived; after a move the new one does not yet.
            let sound = C::is_quiet(&mut lease) && lease.come_here();
            let fresh = idle <= settings.check_after;
            if sound && (fresh || self.is_alive(&mut lease).await) {
                return Ok(lease);
            }
        }
    }

    async fn is_alive(&self, conn: &mut C::Conn) -> bool {
        self.connector.check(conn).await && C::is_quiet(conn)
    }

    /// The next connection and how long it was idle; `None` when `left` ran out.
    async fn wait_for_one(
        &self,
        left: Duration,
    ) -> Result<Option<(Lease<C>, Duration)>, PoolError<C::Error>> {
        let Some(pool) = self.me.upgrade() else { return Ok(None) };
        let granted = {
            let mut state = self.state.lock();
            if state.waiting.is_empty()
                && let Some(idle) = state.idle.take(Home::here())
            {
                return Ok(Some((Lease::new(idle.held, pool), idle.since.elapsed())));
            }
            state.waiting.join(Home::here(), Instant::now())
        };
        let place = Place { pool: self, granted };
        self.open_more();
        match tokio::time::timeout(left, place).await {
            Ok(Ok(Ok(lease))) => Ok(Some((lease, Duration::ZERO))),
            Ok(Ok(Err(error))) => Err(PoolError::Connect(error)),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Which limit those who wait have run into.
    fn limit(&self) -> Limit {
        let size = self.settings.load().size;
        match self.state.lock().open < size {
            true => Limit::Node(self.budget.limit()),
            false => Limit::Pool(size),
        }
    }

    /// Opens connections for those who wait, as far as the limits allow.
    fn open_more(&self) {
        let settings = self.settings.load();
        loop {
            let wanted = |state: &State<C>| {
                state.connecting < state.waiting.len().min(settings.connecting)
                    && state.open < settings.size
            };
            if !wanted(&self.state.lock()) || !self.budget.take() {
                return;
            }
            let mut state = self.state.lock();
            if !wanted(&state) {
                self.budget.put();
                return;
            }
            self.start_connecting(&mut state);
        }
    }

    /// The caller took a slot of the budget.
    fn start_connecting(&self, state: &mut State<C>) {
        let Some(pool) = self.me.upgrade() else { return self.budget.put() };
        state.open += 1;
        state.connecting += 1;
        tokio::spawn(async move { pool.connect().await });
    }

    async fn connect(&self) {
        let settings = self.settings.load_full();
        let generation = self.state.lock().generation;
        match self.connector.connect().await {
            Ok(conn) => {
                {
                    let mut state = self.state.lock();
                    state.connecting -= 1;
                    state.opened += 1;
                }
                let opened = Instant::now();
                let expires = opened + jittered(settings.max_lifetime);
                self.put_back(Held { conn, opened, expires, generation, home: Home::here() });
            }
            Err(error) => self.connect_failed(error).await,
        }
    }

    /// With other connections open the waiters wait for those; with none, they are told.
    async fn connect_failed(&self, error: C::Error) {
        let told = {
            let mut state = self.state.lock();
            match state.open > state.connecting {
                true => None,
                false => Some(state.waiting.dismiss()).filter(|told| told.len() > 0),
            }
        };
        match told {
            None => tokio::time::sleep(AFTER_FAILURE).await,
            Some(told) => told.for_each(|waiter| {
                let _ = waiter.grant.send(Err(error.clone()));
            }),
        }
        self.state.lock().connecting -= 1;
        self.forget_one();
    }

    /// Hands a clean connection to the first in the queue, or keeps it.
    pub(super) fn put_back(&self, held: Held<C::Conn>) {
        let Some(pool) = self.me.upgrade() else { return };
        let now = Instant::now();
        let mut state = self.state.lock();
        let surplus = state.open > self.settings.load().size;
        if surplus || held.generation != state.generation || held.expires <= now {
            drop(state);
            drop(held);
            return self.forget_one();
        }
        let home = held.home;
        let mut lease = Lease::new(held, pool);
        while let Some(waiter) = state.waiting.next(home) {
            match waiter.grant.send(Ok(lease)) {
                Ok(()) => return,
                Err(Ok(back)) => lease = back,
                Err(Err(_)) => unreachable!("what comes back is what was sent"),
            }
        }
        if let Some(held) = lease.into_held() {
            state.idle.put(Idle { held, since: now });
        }
        drop(state);
        if self.budget.is_spent() {
            // Somebody of another pool may wait for what is idle here now.
            self.budget.announce();
        }
    }

    /// A connection is gone: its place is free.
    pub(super) fn forget_one(&self) {
        self.state.lock().open -= 1;
        self.budget.put();
        self.open_more();
        self.budget.announce();
    }

    /// Closes what is too old or too idle and opens what `min_idle` asks for. Call each second.
    pub fn tend(&self) {
        let settings = self.settings.load();
        let now = Instant::now();
        let closed = {
            let mut state = self.state.lock();
            let mut open = state.open;
            state.idle.sort_out(|idle| {
                let surplus = open > settings.size
                    || open > settings.min_idle
                        && now.duration_since(idle.since) > settings.idle_timeout;
                let dead = idle.held.expires <= now || !C::is_quiet(&mut idle.held.conn);
                open -= usize::from(surplus || dead);
                surplus || dead
            })
        };
        for idle in closed {
            drop(idle);
            self.forget_one();
        }
        self.keep_minimum(settings.min_idle.min(settings.size));
        self.open_more();
    }

    fn keep_minimum(&self, minimum: usize) {
        while self.state.lock().open < minimum && self.budget.take() {
            self.start_connecting(&mut self.state.lock());
        }
    }

    /// Closes idle connections now and lent ones when they come back: the node changed its role,
    /// or the settings did.
    pub fn retire_all(&self) {
        let idle = {
            let mut state = self.state.lock();
            state.generation += 1;
            state.idle.sort_out(|_| true)
        };
        for idle in idle {
            drop(idle);
            self.forget_one();
        }
    }

    pub fn counts(&self) -> Counts {
        let check_after = self.settings.load().check_after;
        let state = self.state.lock();
        Counts {
            idle: state.idle.len(),
            lent: state.open - state.idle.len() - state.connecting,
            connecting: state.connecting,
            waiting: state.waiting.len(),
            used: state.idle.iter().filter(|i| i.since.elapsed() > check_after).count(),
            opened: state.opened,
            closed: state.opened - (state.open - state.connecting) as u64,
            longest_wait: state.waiting.since().map_or(Duration::ZERO, |since| since.elapsed()),
        }
    }
}

/// A place in the queue; who leaves it is forgotten at once.
struct Place<'a, C: Connector> {
    pool: &'a Pool<C>,
    granted: oneshot::Receiver<Grant<C>>,
}

impl<C: Connector> Future for Place<'_, C> {
    type Output = Result<Grant<C>, oneshot::error::RecvError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.granted).poll(cx)
    }
}

impl<C: Connector> Drop for Place<'_, C> {
    fn drop(&mut self) {
        if self.granted.is_terminated() {
            return;
        }
        self.granted.close();
        match self.granted.try_recv() {
            Ok(Ok(lease)) => lease.give_back(),
            Ok(Err(_)) => {}
            Err(_) => self.pool.state.lock().waiting.tidy(),
        }
    }
}

impl<C: Connector> Sharer for Pool<C> {
    fn evict_one(&self) -> bool {
        let evicted = self.state.lock().idle.take_oldest();
        let found = evicted.is_some();
        if found {
            drop(evicted);
            self.state.lock().open -= 1;
            self.budget.put();
        }
        found
    }

    fn slot_is_free(&self) {
        self.open_more();
    }
}

/// `full` less up to a tenth of it, so that connections opened together do not end together.
fn jittered(full: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let chance = RandomState::new().hash_one(0u8) % 1000;
    full.saturating_sub(full / 10_000 * (chance as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_differ_by_up_to_a_tenth() {
        let full = Duration::from_secs(3600);
        let lives: Vec<Duration> = (0..200).map(|_| jittered(full)).collect();
        assert!(lives.iter().all(|life| *life <= full && *life >= full * 9 / 10));
        let (shortest, longest) = (lives.iter().min().unwrap(), lives.iter().max().unwrap());
        assert!(*longest - *shortest > full / 20, "they end together");
    }
}
