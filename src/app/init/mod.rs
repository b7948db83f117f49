//! `tidegate init`: from one server's address to a configuration of all that replicate with it.
//!
//! Servers tell whom they follow and who follows them. What they cannot tell is where a follower
//! listens: the address is guessed from how it came, and believed only if who answers there is the
//! follower.

mod draft;
mod mysql;
mod postgres;

pub(super) use draft::write;

use crate::config::{self, Config, Engine, Surroundings};
use crate::net::tls::Authorities;
use crate::secret::Secret;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// Where to begin, and as whom.
pub(super) struct Start {
    pub(super) engine: Engine,
    /// `host:port` of servers that are known; one is enough.
    pub(super) servers: Vec<String>,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    /// The database to connect to.
    pub(super) database: String,
}

/// A server that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// `host:port`
    pub(super) address: String,
    pub(super) primary: bool,
    /// `server_version`, or what the handshake says.
    pub(super) version: String,
    /// What tells it from others: PostgreSQL's address of its WAL receiver does not, so that its start
    /// time stands in; MySQL's `server_id`.
    identity: String,
    /// The same for all that replicate from one another.
    family: String,
    /// Where it says that others are: whom it follows.
    leader: Option<String>,
    /// Those who follow it, by where they came from.
    followers: Vec<Follower>,
    /// Verifiers of users may be read by the user that asked.
    pub(super) may_look_up: bool,
    /// What the user that asked lacks, with the statement that gives it.
    pub(super) lacks: Vec<String>,
}

/// One who follows, as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Follower {
    /// How it presents itself.
    name: String,
    /// Addresses where it may listen.
    candidates: Vec<String>,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The primary first.
    pub(super) servers: Vec<Server>,
    /// Followers whose address nobody could tell.
    pub(super) missing: Vec<String>,
}

#[derive(Debug, Error)]
pub(super) enum InitError {
    #[error("{address}: {why}")]
    Unreached { address: String, why: String },
    #[error("{address} belongs to another cluster than {first}")]
    Stranger { address: String, first: String },
    #[error("{0}")]
    Address(String),
}

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Servers of one cluster, at most.
const MOST: usize = 64;

/// Asks one server after the other, until nobody names a new one.
pub(super) async fn discover(start: &Start) -> Result<Found, InitError> {
    let mut found: Vec<Server> = Vec::new();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    for address in &start.servers {
        asked.insert(address.clone());
        let server = look(start, address).await?;
        if let Some(first) = found.iter().find(|first| first.family != server.family) {
            let first = first.address.clone();
            return Err(InitError::Stranger { address: address.clone(), first });
        }
        add(&mut found, server);
    }
    loop {
        let named = found.iter().flat_map(Server::named).find(|a| !asked.contains(a));
        let Some(address) = named.filter(|_| found.len() < MOST) else { break };
        asked.insert(address.clone());
        // A guess that leads to nobody, or to somebody else, is no news.
        if let Ok(server) = look(start, &address).await
            && found.iter().any(|known| known.family == server.family)
        {
            add(&mut found, server);
        }
    }
    found.sort_by_key(|server| !server.primary);
    let missing = missing(&found);
    Ok(Found { servers: found, missing })
}

/// The same server may have several addresses; the first counts.
fn add(found: &mut Vec<Server>, server: Server) {
    if !found.iter().any(|known| known.identity == server.identity) {
        found.push(server);
    }
}

impl Server {
    /// Addresses that it names.
    fn named(&self) -> impl Iterator<Item = String> + '_ {
        let followers = self.followers.iter().flat_map(|f| f.candidates.iter().cloned());
        self.leader.iter().cloned().chain(followers)
    }
}

/// Followers beyond those that were found.
fn missing(found: &[Server]) -> Vec<String> {
    let mut left: Vec<&Server> = found.iter().filter(|server| !server.primary).collect();
    let mut missing = Vec::new();
    for follower in found.iter().flat_map(|server| &server.followers) {
        let at = left.iter().position(|s| {
            follower.candidates.contains(&s.address) || same_host(follower, &s.address)
        });
        match at {
            Some(at) => drop(left.swap_remove(at)),
            None => missing.push(follower.name.clone()),
        }
    }
    missing
}

fn same_host(follower: &Follower, address: &str) -> bool {
    let host = |address: &str| address.rsplit_once(':').map(|(host, _)| host.to_owned());
    follower.candidates.iter().any(|candidate| host(candidate) == host(address))
}

async fn look(start: &Start, address: &str) -> Result<Server, InitError> {
    let config = mini(start, address)?;
    let asked = async {
        match start.engine {
            Engine::Postgres => postgres::look(&config, address).await,
            Engine::Mysql | Engine::Mariadb => mysql::look(&config, address).await,
        }
    };
    let why = match timeout(PATIENCE, asked).await {
        Ok(Ok(server)) => return Ok(server),
        Ok(Err(why)) => why,
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    Err(InitError::Unreached { address: address.to_owned(), why })
}

/// A configuration with this one node, so that it is reached as the proxy will reach it.
fn mini(start: &Start, address: &str) -> Result<Config, InitError> {
    let mut draft = crate::draft::Draft::default();
    let table = draft.table(&["clusters", "init"]);
    table.set("engine", draft::word(start.engine), "");
    draft.element(&["clusters", "init", "nodes"]).set("name", "a", "").set("address", address, "");
    let monitor = draft.table(&["clusters", "init", "monitor"]);
    monitor.set("user", start.user.as_str(), "").set("database", start.database.as_str(), "");
    if start.password.is_some() {
        monitor.set("password_file", "/password", "");
    }
    // Who may log in is of no interest yet.
    draft.table(&["clusters", "init", "auth"]).set("method", "trust", "");
    let around = Told { password: start.password.clone() };
    config::parse_in(&draft.render(), "init", &around).map_err(|config::Problems(problems)| {
        let says = problems.into_iter().map(|p| format!("{} {}", p.value.unwrap_or(p.key), p.says));
        InitError::Address(says.collect::<Vec<_>>().join("; "))
    })
}

/// The only file there is: the password that was told.
struct Told {
    password: Option<Secret>,
}

impl Surroundings for Told {
    fn read(&self, _: &Path) -> io::Result<String> {
        let password = self.password.as_ref().ok_or(io::ErrorKind::NotFound)?;
        String::from_utf8(password.expose().to_vec()).map_err(|_| io::ErrorKind::InvalidData.into())
    }
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn mode(&self, _: &Path) -> Option<u32> {
        None
    }
}

/// The authorities of a connection that is made once.
fn nobody() -> Authorities {
    Authorities::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str, primary: bool, followers: &[(&str, &[&str])]) -> Server {
        let follower = |(name, candidates): &(&str, &[&str])| Follower {
            name: (*name).into(),
            candidates: candidates.iter().map(|c| (*c).into()).collect(),
        };
        Server {
            address: address.into(),
            primary,
            version: "15".into(),
            identity: address.into(),
            family: "f".into(),
            leader: None,
            followers: followers.iter().map(follower).collect(),
            may_look_up: false,
            lacks: Vec::new(),
        }
    }

    #[test]
    fn followers_that_nobody_found_are_named() {
        let primary = server("h:1", true, &[("b", &["h:1", "h:5432"]), ("c", &["h:1"])]);
        assert_eq!(missing(std::slice::from_ref(&primary)), ["b", "c"]);
        let standby = server("h:7", false, &[]);
        assert_eq!(missing(&[primary, standby]), ["c"]);
    }
}
