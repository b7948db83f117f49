//! How many clients a cluster has, whose they are and where they come from, and the limits of that.

use crate::refusal::Refusal;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

/// A limit of clients and the key that sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// 0: no limit.
    pub most: usize,
    /// Below `clusters.NAME`.
    pub key: String,
}

impl Limit {
    pub fn new(most: usize, key: impl Into<String>) -> Limit {
        Limit { most, key: key.into() }
    }

    fn check(&self, have: usize, whose: impl FnOnce() -> String) -> Result<(), Refusal> {
        if self.most == 0 || have < self.most {
            return Ok(());
        }
        let what = format!("{} ({})", whose(), self.key);
        Err(Refusal::TooManyClients { what, limit: self.most })
    }
}

/// What a client is once its login is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    pub user: Arc<str>,
    pub database: Arc<str>,
    /// Its connection is one of replication.
    pub replicates: bool,
}

/// The limits for one guest.
pub struct GuestLimits {
    pub user: Limit,
    pub database: Limit,
    pub replication: Limit,
}

/// The clients of one cluster, counted.
#[derive(Debug, Default)]
pub struct Attendance {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    replicating: usize,
    by_address: HashMap<IpAddr, usize>,
    by_user: HashMap<Arc<str>, usize>,
    by_database: HashMap<Arc<str>, usize>,
}

impl Attendance {
    /// A place for somebody from `address` whose name is not proven yet.
    pub fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        cluster: &str,
        (all, here): (&Limit, &Limit),
    ) -> Result<Place, Refusal> {
        let address = address.to_canonical();
        let mut counts = self.counts.lock();
        all.check(counts.total, || format!("cluster {cluster}"))?;
        here.check(count(&counts.by_address, &address), || format!("address {address}"))?;
        counts.total += 1;
        *counts.by_address.entry(address).or_default() += 1;
        Ok(Place { attendance: self.clone(), address, guest: None })
    }
}

/// A client's place in its cluster; given back when dropped.
#[derive(Debug)]
pub struct Place {
    attendance: Arc<Attendance>,
    address: IpAddr,
    guest: Option<Guest>,
}

impl Place {
    /// Counts who it turned out to be. Before the login is over this must not happen: whoever
    /// knows a name could use up what belongs to it.
    pub fn seat(&mut self, mut guest: Guest, limits: &GuestLimits) -> Result<(), Refusal> {
        let mut counts = self.attendance.counts.lock();
        let (user, database) = (&guest.user, &guest.database);
        limits.user.check(count(&counts.by_user, user), || format!("user {user}"))?;
        let here = count(&counts.by_database, database);
        limits.database.check(here, || format!("database {database}"))?;
        if guest.replicates {
            limits.replication.check(counts.replicating, || "replication".into())?;
            counts.replicating += 1;
        }
        guest.user = shared(&counts.by_user, user);
        guest.database = shared(&counts.by_database, database);
        *counts.by_user.entry(guest.user.clone()).or_default() += 1;
        *counts.by_database.entry(guest.database.clone()).or_default() += 1;
        self.guest = Some(guest);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.attendance.counts.lock();
        counts.total -= 1;
        leave(&mut counts.by_address, &self.address);
        if let Some(guest) = &self.guest {
            leave(&mut counts.by_user, &guest.user);
            leave(&mut counts.by_database, &guest.database);
            counts.replicating -= usize::from(guest.replicates);
        }
    }
}

/// The name as those who are here already hold it: clients are many, names few.
fn shared(counts: &HashMap<Arc<str>, usize>, name: &Arc<str>) -> Arc<str> {
    counts.get_key_value(name).map_or(name, |(known, _)| known).clone()
}

fn count<K: Hash + Eq>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or(0)
}

/// Nobody who left leaves an entry behind.
fn leave<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(here) = counts.get_mut(key) {
        *here -= 1;
        if *here == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn come(attendance: &Arc<Attendance>, all: usize, here: usize) -> Result<Place, Refusal> {
        attendance.admit(HOME, "c", (&Limit::new(all, "all"), &Limit::new(here, "here")))
    }

    fn guest(user: &str, replicates: bool) -> Guest {
        Guest { user: user.into(), database: "d".into(), replicates }
    }

    fn limits(user: usize, database: usize, replication: usize) -> GuestLimits {
        GuestLimits {
            user: Limit::new(user, "user"),
            database: Limit::new(database, "database"),
            replication: Limit::new(replication, "replication"),
        }
    }

    fn full(what: &str, limit: usize) -> Refusal {
        Refusal::TooManyClients { what: what.into(), limit }
    }

    #[test]
    fn each_limit_names_itself_and_is_given_back() {
        let clients: Arc<Attendance> = Arc::default();
        let mut first = come(&clients, 2, 0).expect("a place");
        first.seat(guest("u", false), &limits(1, 1, 0)).expect("a seat");
        let mut second = come(&clients, 2, 0).expect("a place");
        let seated = second.seat(guest("u", false), &limits(1, 0, 0));
        assert_eq!(seated, Err(full("user u (user)", 1)));
        let seated = second.seat(guest("v", false), &limits(1, 1, 0));
        assert_eq!(seated, Err(full("database d (database)", 1)));
        assert_eq!(come(&clients, 2, 0).expect_err("full"), full("cluster c (all)", 2));
        assert_eq!(come(&clients, 0, 2).expect_err("full"), full("address 127.0.0.1 (here)", 2));
        drop(first);
        second.seat(guest("u", false), &limits(1, 1, 0)).expect("a seat");
        drop(second);
        let counts = clients.counts.lock();
        assert_eq!((counts.total, counts.replicating), (0, 0));
        assert!(counts.by_address.is_empty() && counts.by_user.is_empty());
        assert!(counts.by_database.is_empty());
    }

    #[test]
    fn replication_has_a_limit_of_its_own() {
        let clients: Arc<Attendance> = Arc::default();
        let mut first = come(&clients, 0, 0).expect("a place");
        first.seat(guest("u", true), &limits(0, 0, 1)).expect("a seat");
        let mut second = come(&clients, 0, 0).expect("a place");
        let seated = second.seat(guest("u", true), &limits(0, 0, 1));
        assert_eq!(seated, Err(full("replication (replication)", 1)));
        second.seat(guest("u", false), &limits(0, 0, 1)).expect("a seat");
    }

    #[test]
    fn an_address_written_as_ipv6_is_the_same_address() {
        let clients: Arc<Attendance> = Arc::default();
        let _first = come(&clients, 0, 1).expect("a place");
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped().into();
        let limits = (&Limit::new(0, "all"), &Limit::new(1, "here"));
        assert!(clients.admit(mapped, "c", limits).is_err());
    }

    #[test]
    fn limits_hold_when_many_come_at_once() {
        let clients: Arc<Attendance> = Arc::default();
        let seated = || {
            let mut place = come(&clients, 0, 0).expect("a place");
            place.seat(guest("u", false), &limits(10, 0, 0)).is_ok().then_some(place)
        };
        let kept: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| [(); 50].map(|()| seated()))).collect();
            threads.into_iter().flat_map(|t| t.join().expect("a thread")).flatten().collect()
        });
        assert_eq!(kept.len(), 10);
    }
}
