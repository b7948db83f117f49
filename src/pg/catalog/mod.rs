//! What the names of each database mean, kept up to date.
//!
//! A database is read when it is first used, after each definition that passes by, soon after code
//! that may have hidden one, and on a timer. From the moment a definition is sent until the
//! database was read from a server that shows it, nothing is known of the database, and its
//! statements are judged as without a catalog.

mod keep;
mod read;

pub use read::{Answer, read};

use crate::sql::Catalog;
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Who reads catalogs, and how often.
#[derive(Clone, Debug)]
pub struct Settings {
    /// User and password on every node.
    pub login: tokio_postgres::Config,
    /// How often a database in use is looked at, without any reason.
    pub interval: Duration,
}

/// How long after a failure, or after a suspicion, before a database is read again.
const PAUSE: Duration = Duration::from_secs(1);
const SUSPICION: Duration = Duration::from_secs(5);

/// The catalogs of one cluster's databases.
pub struct Catalogs {
    settings: Settings,
    databases: Mutex<HashMap<Arc<str>, Arc<Database>>>,
    /// Something is to be read.
    wake: Arc<Notify>,
}

/// The catalog of one database.
pub struct Database {
    pub name: Arc<str>,
    current: ArcSwap<Catalog>,
    state: Mutex<State>,
    wake: Arc<Notify>,
}

/// What is known of a database's catalog, and what there is to be done about it.
#[derive(Default)]
struct State {
    /// Definitions under way.
    defining: usize,
    /// Definitions ever begun.
    definitions: u64,
    /// What is read now must show what was there at this instant.
    changed: Option<Instant>,
    /// The newest catalog that was read, though it may be too old to be used.
    read: Option<Read>,
    /// When it was last tried, in vain or not.
    tried: Option<Instant>,
    /// Something may have been defined unseen.
    suspected: bool,
    /// Why the last try was in vain.
    failure: Option<String>,
}

struct Read {
    fingerprint: String,
    catalog: Arc<Catalog>,
    at: Instant,
}

/// What was there when a reading began.
struct Reading {
    definitions: u64,
    /// It must show what was there at this instant.
    changed: Option<Instant>,
    /// The fingerprint of what was read before.
    known: Option<String>,
}

/// A definition is under way; it has ended, one way or the other, when this is dropped.
pub struct Defining(Arc<Database>);

/// A database's catalog for people.
#[derive(Clone, Debug)]
pub struct Shown {
    pub database: Arc<str>,
    pub catalog: Arc<Catalog>,
    /// How long ago it was read.
    pub age: Option<Duration>,
    pub failure: Option<String>,
}

impl Catalogs {
    pub fn new(settings: Settings) -> Catalogs {
        Catalogs { settings, databases: Mutex::default(), wake: Arc::default() }
    }

    /// The catalog of this database.
    pub fn of(&self, database: &Arc<str>) -> Arc<Database> {
        let mut databases = self.databases.lock();
        let new = || Arc::new(Database::new(database.clone(), self.wake.clone()));
        databases.entry(database.clone()).or_insert_with(new).clone()
    }

    /// Somebody is about to use the database, and counts as a user of it.
    pub fn expect_use(&self, database: &Database) {
        database.expect_use(self.settings.interval, Instant::now());
    }

    fn all(&self) -> Vec<Arc<Database>> {
        self.databases.lock().values().cloned().collect()
    }

    /// All databases that were used, in the order of their names.
    pub fn shown(&self) -> Vec<Shown> {
        let mut shown: Vec<Shown> = self.all().iter().map(|d| d.shown(Instant::now())).collect();
        shown.sort_by(|a, b| a.database.cmp(&b.database));
        shown
    }
}

impl Database {
    fn new(name: Arc<str>, wake: Arc<Notify>) -> Database {
        Database { name, current: ArcSwap::default(), state: Mutex::default(), wake }
    }

    /// One that is never read.
    #[cfg(test)]
    pub(super) fn unknown(name: &str) -> Arc<Database> {
        Arc::new(Database::new(name.into(), Arc::default()))
    }

    /// What is known now. To be held for a moment only.
    pub fn current(&self) -> Guard<Arc<Catalog>> {
        self.current.load()
    }

    /// A definition is about to be sent, or was made unseen.
    pub fn define(self: &Arc<Database>) -> Defining {
        let mut state = self.state.lock();
        state.defining += 1;
        state.definitions += 1;
        self.current.store(Arc::default());
        Defining(self.clone())
    }

    /// Code ran that may have defined something.
    pub fn suspect(&self) {
        let before = std::mem::replace(&mut self.state.lock().suspected, true);
        // Code like it may run thousands of times a second.
        if !before {
            self.wake.notify_one();
        }
    }

    /// Nobody looked after a database that nobody used.
    fn expect_use(&self, interval: Duration, now: Instant) {
        let state = self.state.lock();
        match &state.read {
            Some(read) if now.duration_since(read.at) <= 2 * interval => return,
            _ => self.current.store(Arc::default()),
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Whether it is to be read now, and if not yet, when. `None`: there is no reason.
    fn due(&self, interval: Duration, now: Instant) -> Option<Instant> {
        let state = self.state.lock();
        if state.defining > 0 {
            return None;
        }
        let Some(tried) = state.tried else { return Some(now) };
        let after = match &state.read {
            _ if state.failure.is_some() && state.changed.is_none() => interval.max(PAUSE),
            _ if state.failure.is_some() => PAUSE,
            _ if state.changed.is_some() => Duration::ZERO,
            None => Duration::ZERO,
            Some(_) if state.suspected => SUSPICION.min(interval),
            Some(_) => interval,
        };
        Some(tried + after)
    }

    fn begin(&self, now: Instant) -> Option<Reading> {
        let mut state = self.state.lock();
        if state.defining > 0 {
            return None;
        }
        state.tried = Some(now);
        state.suspected = false;
        let known = state.read.as_ref().map(|read| read.fingerprint.clone());
        Some(Reading { definitions: state.definitions, changed: state.changed, known })
    }

    /// What was read holds if nothing was defined meanwhile. `new`: the catalog with this
    /// fingerprint; `None`: it is the one that was known.
    fn finish(&self, reading: &Reading, fingerprint: String, new: Option<Catalog>, now: Instant) {
        let mut state = self.state.lock();
        state.failure = None;
        let catalog = match (new, &state.read) {
            (Some(new), _) => Arc::new(new),
            (None, Some(read)) => read.catalog.clone(),
            (None, None) => return,
        };
        state.read = Some(Read { fingerprint, catalog: catalog.clone(), at: now });
        if state.definitions == reading.definitions {
            state.changed = None;
            self.current.store(catalog);
        }
    }

    /// It cannot be read, for this reason; true if that is news. What is not known to hold any
    /// more is not used.
    fn give_up(&self, why: &str, interval: Duration, now: Instant) -> bool {
        let mut state = self.state.lock();
        let holds = |read: &Read| now.duration_since(read.at) <= 2 * interval;
        if !state.read.as_ref().is_some_and(holds) {
            self.current.store(Arc::default());
        }
        let news = state.failure.as_deref() != Some(why);
        state.failure = Some(why.to_owned());
        news
    }

    fn shown(&self, now: Instant) -> Shown {
        let state = self.state.lock();
        Shown {
            database: self.name.clone(),
            catalog: self.current.load_full(),
            age: state.read.as_ref().map(|read| now.duration_since(read.at)),
            failure: state.failure.clone(),
        }
    }
}

impl Drop for Defining {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.defining -= 1;
        state.changed = Some(Instant::now());
        drop(state);
        self.0.wake.notify_one();
    }
}

#[cfg(test)]
mod tests;
