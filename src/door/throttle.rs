//! Failed logins cost the one who fails time.
//!
//! Failures are counted for each user and address together: a password that is guessed, or an
//! application that has the wrong one. Its neighbours behind the same address do not feel that. Those
//! failures that were still free are counted for the address as well: that is somebody who tries a few
//! passwords with many names. Who logged in from an address before is not held up by what others do
//! there.
//!
//! Above the free ones each attempt gets a moment of its own at which it is judged, in the order in
//! which they came, so that many connections at once guess no faster than one. Users that do not exist
//! are counted like the others.

use parking_lot::Mutex;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Entries of one ledger; the oldest go first. One entry takes less than 100 bytes.
const KEPT: usize = 10_000;

/// How long a successful login speaks for its user and address.
const KNOWN: Duration = Duration::from_secs(24 * 3_600);

#[derive(Clone, Debug)]
pub struct Settings {
    /// Failures in a row of one user from one address that cost nothing; 0: none ever costs.
    pub failures: usize,
    /// The same of one address, over all users.
    pub failures_per_address: usize,
    /// The first delay; it doubles with every further failure.
    pub delay: Duration,
    pub max_delay: Duration,
    /// Without a failure for so long, all is forgotten.
    pub forget_after: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            failures: 5,
            failures_per_address: 50,
            delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(5),
            forget_after: Duration::from_secs(600),
        }
    }
}

impl Settings {
    /// What an attempt after this record costs, of whose failures `free` cost nothing.
    fn cost(&self, record: &Record, free: usize, now: Instant) -> Duration {
        if free == 0 || record.failures < free || !record.is_fresh(self, now) {
            return Duration::ZERO;
        }
        let doublings = u32::try_from(record.failures - free).unwrap_or(u32::MAX).min(20);
        self.delay.saturating_mul(1 << doublings).min(self.max_delay)
    }
}

/// Whose login it is. Names are hashed under a key of this process: an entry has the same size
/// whatever the client calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pair: u64,
    address: u64,
}

/// When an attempt may be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Now,
    After(Duration),
    /// Not within the patience asked for; then it might be.
    Refused(Duration),
}

/// How a failure is to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It cost nothing.
    Free,
    /// From now on attempts are slowed down.
    First,
    /// They are already.
    Again,
}

/// The failed logins of one cluster.
#[derive(Debug, Default)]
pub struct Throttle {
    books: Mutex<Books>,
    key: RandomState,
}

#[derive(Debug, Default)]
struct Books {
    pairs: HashMap<u64, Record>,
    addresses: HashMap<u64, Record>,
    /// Pairs that logged in, and when.
    known: HashMap<u64, Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: usize,
    last: Instant,
    /// Nothing is judged before.
    next: Instant,
}

impl Throttle {
    pub fn attempt(&self, user: &str, address: IpAddr) -> Attempt {
        let address = network(address);
        Attempt { pair: self.key.hash_one((user, address)), address: self.key.hash_one(address) }
    }

    /// Whether [`Throttle::turn`] would refuse now: asked first, before anything is done for it.
    pub fn refuses(
        &self,
        who: Attempt,
        by: &Settings,
        patience: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let wait = self.books.lock().wait(who, by, now);
        (wait > patience).then_some(wait)
    }

    /// Takes the next free moment for judging this attempt.
    pub fn turn(&self, who: Attempt, by: &Settings, patience: Duration, now: Instant) -> Turn {
        let mut books = self.books.lock();
        let wait = books.wait(who, by, now);
        if wait > patience {
            return Turn::Refused(wait);
        }
        let at = now + wait;
        let known = books.is_known(who, now);
        let Books { pairs, addresses, .. } = &mut *books;
        let address = addresses.get_mut(&who.address).filter(|_| !known);
        let both = [(pairs.get_mut(&who.pair), by.failures), (address, by.failures_per_address)];
        for (record, free) in both {
            if let Some(record) = record {
                record.next = record.next.max(at + by.cost(record, free, now));
            }
        }
        if wait.is_zero() { Turn::Now } else { Turn::After(wait) }
    }

    pub fn failed(&self, who: Attempt, by: &Settings, now: Instant) -> Noted {
        let mut books = self.books.lock();
        let pair = note(&mut books.pairs, who.pair, (by, by.failures), now);
        if pair == Noted::Again {
            // What is slowed down for its own sake does not count against its neighbours.
            return pair;
        }
        match note(&mut books.addresses, who.address, (by, by.failures_per_address), now) {
            Noted::Free => pair,
            address => address,
        }
    }

    pub fn succeeded(&self, who: Attempt, by: &Settings, now: Instant) {
        let mut books = self.books.lock();
        if let Some(record) = books.pairs.remove(&who.pair)
            && let Some(address) = books.addresses.get_mut(&who.address)
        {
            let counted = if by.failures == 0 { usize::MAX } else { by.failures };
            address.failures = address.failures.saturating_sub(record.failures.min(counted));
        }
        make_room(&mut books.known, |at| *at, KNOWN, now);
        books.known.insert(who.pair, now);
    }
}

impl Books {
    fn is_known(&self, who: Attempt, now: Instant) -> bool {
        self.known.get(&who.pair).is_some_and(|at| now.duration_since(*at) < KNOWN)
    }

    fn wait(&self, who: Attempt, by: &Settings, now: Instant) -> Duration {
        let of = |record: Option<&Record>, free: usize| match record {
            Some(r) if !by.cost(r, free, now).is_zero() => r.next.saturating_duration_since(now),
            _ => Duration::ZERO,
        };
        let pair = of(self.pairs.get(&who.pair), by.failures);
        match self.is_known(who, now) {
            true => pair,
            false => pair.max(of(self.addresses.get(&who.address), by.failures_per_address)),
        }
    }
}

impl Record {
    fn is_fresh(&self, by: &Settings, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < by.forget_after
    }
}

/// Counts one more failure.
fn note(
    ledger: &mut HashMap<u64, Record>,
    key: u64,
    (by, free): (&Settings, usize),
    now: Instant,
) -> Noted {
    if !ledger.contains_key(&key) {
        make_room(ledger, |record| record.last, by.forget_after, now);
    }
    let record = ledger.entry(key).or_insert(Record { failures: 0, last: now, next: now });
    if !record.is_fresh(by, now) {
        record.failures = 0;
    }
    record.failures += 1;
    record.last = now;
    record.next = record.next.max(now + by.cost(record, free, now));
    match record.failures.cmp(&free) {
        _ if free == 0 => Noted::Free,
        Ordering::Less => Noted::Free,
        Ordering::Equal => Noted::First,
        Ordering::Greater => Noted::Again,
    }
}

/// Drops what is forgotten anyway when there are too many, then the oldest quarter.
fn make_room<V>(
    ledger: &mut HashMap<u64, V>,
    age: impl Fn(&V) -> Instant,
    forget_after: Duration,
    now: Instant,
) {
    if ledger.len() < KEPT {
        return;
    }
    ledger.retain(|_, value| now.saturating_duration_since(age(value)) < forget_after);
    if ledger.len() > KEPT / 4 * 3 {
        let mut ages: Vec<Instant> = ledger.values().map(&age).collect();
        let (_, quarter, _) = ages.select_nth_unstable(ledger.len() / 4);
        let quarter = *quarter;
        ledger.retain(|_, value| age(value) > quarter);
    }
}

/// Whoever has an IPv6 address has the 2⁶⁴ of its network (RFC 4291, 2.5.4).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests;
