//! `[databases]`: which servers there are, and which databases belong to one cluster.

use super::File;
use crate::import::cluster::{Server, free, of, plain};
use crate::import::ini::{self, Setting};
use crate::import::{ImportError, Work};

/// Databases of the same servers and with the same pool.
pub(super) struct Group {
    /// The cluster's.
    pub(super) name: String,
    pub(super) servers: Vec<Server>,
    pub(super) names: Vec<String>,
    /// Whether it has the others, too (`*`).
    pub(super) any: bool,
    /// Where the databases stand.
    pub(super) origin: String,
    /// Its own, with its line.
    pub(super) pool_size: Option<(u64, usize)>,
    pub(super) pool_mode: Option<(String, usize)>,
    /// Database, clients at most, line.
    pub(super) client_limits: Vec<(String, u64, usize)>,
    /// Everybody is this user on the servers: name, password.
    pub(super) forced: Option<(String, Option<String>)>,
    /// Who asks for users that are not listed.
    pub(super) auth_user: Option<String>,
    pub(super) auth_dbname: Option<String>,
}

/// The parts of one line.
#[derive(Default)]
struct Entry {
    hosts: Vec<String>,
    port: u16,
    dbname: Option<String>,
    pool_size: Option<u64>,
    pool_mode: Option<String>,
    clients: Option<u64>,
    user: Option<String>,
    password: Option<String>,
    auth_user: Option<String>,
    auth_dbname: Option<String>,
}

pub(super) fn groups(work: &mut Work<'_>, file: &File) -> Result<Vec<Group>, ImportError> {
    let mut groups: Vec<Group> = Vec::new();
    for setting in file.section("databases") {
        if setting.key == "%include" {
            let why = "that file was not read.";
            work.note(
                setting.line,
                "%include",
                why,
                "Put its text in place of the line, and import again.",
            );
            continue;
        }
        let pairs = ini::pairs(&setting.value);
        let pairs = pairs.ok_or_else(|| work.syntax(setting.line, "is no connection string"))?;
        let entry = entry(work, setting, pairs);
        add(work, &mut groups, setting, entry);
    }
    match groups.is_empty() {
        true => Err(work.no_server()),
        false => Ok(groups),
    }
}

fn entry(work: &mut Work<'_>, setting: &Setting, pairs: Vec<(String, String)>) -> Entry {
    let mut entry = Entry { port: 5432, ..Entry::default() };
    let database = &setting.key;
    for (key, value) in pairs {
        match key.as_str() {
            "host" => entry.hosts = value.split(',').map(|host| host.trim().to_owned()).collect(),
            "port" => entry.port = value.parse().unwrap_or(5432),
            "dbname" => entry.dbname = Some(value),
            "pool_size" => entry.pool_size = value.parse().ok(),
            "pool_mode" => entry.pool_mode = Some(value),
            "max_db_client_connections" => entry.clients = value.parse().ok(),
            "user" => entry.user = Some(value),
            "password" => entry.password = Some(value),
            "auth_user" => entry.auth_user = Some(value),
            "auth_dbname" => entry.auth_dbname = Some(value),
            other => {
                let (why, todo) = part(other);
                work.note(setting.line, format!("{database}: {other}"), why, todo);
            }
        }
    }
    entry.hosts.retain(|host| !host.is_empty());
    let sockets = entry.hosts.iter().filter(|host| host.starts_with(['/', '@'])).count();
    if entry.hosts.is_empty() || sockets > 0 {
        let why = "it was reached by a Unix socket; servers are reached by TCP here.";
        let todo = "Let PostgreSQL listen on localhost.";
        work.note(setting.line, format!("{database}: host"), why, todo);
        entry.hosts.retain(|host| !host.starts_with(['/', '@']));
        entry.hosts.push("127.0.0.1".into());
    }
    entry
}

/// Why a part of a connection string is not carried over, and what to do.
fn part(key: &str) -> (&'static str, &'static str) {
    match key {
        "reserve_pool_size" | "reserve_pool" => ("there is no reserve.", "Raise pool.size by it."),
        "min_pool_size" => ("pool.min_idle counts for the whole cluster.", "Set it there."),
        "max_db_connections" => (
            "connections are limited for each node, not for each database.",
            "pool.max_per_node does it.",
        ),
        "connect_query" => ("there is no such query.", "ALTER ROLE … IN DATABASE … SET does it."),
        "client_encoding" | "datestyle" | "timezone" | "application_name" => {
            ("parameters are those of the client.", "ALTER DATABASE … SET does it on the servers.")
        }
        "auth_query" => ("there is one for each cluster.", "Set auth.auth_query.query."),
        "load_balance_hosts" => ("reads are spread over the replicas, by weight.", ""),
        "server_lifetime" => ("it counts for the whole cluster.", "Set pool.max_lifetime."),
        _ => ("it is not known to this importer.", "Look it up, and `tidegate reference`."),
    }
}

fn add(work: &mut Work<'_>, groups: &mut Vec<Group>, setting: &Setting, entry: Entry) {
    let (line, asked) = (setting.line, setting.key.as_str());
    let name = entry.dbname.clone().unwrap_or_else(|| asked.to_owned());
    if asked == "*" && entry.dbname.is_some() || asked != "*" && name != asked {
        let why = format!("a database has one name here, and it is {name:?}.");
        work.note(line, format!("{asked}: dbname"), why, "Let clients ask for that name.");
    }
    let servers: Vec<Server> = entry
        .hosts
        .iter()
        .map(|host| Server { name: None, host: host.clone(), port: entry.port, weight: None, line })
        .collect();
    let forced = entry.user.map(|user| (user, entry.password));
    let same = |group: &Group| {
        let places = |servers: &[Server]| -> Vec<(String, u16)> {
            servers.iter().map(|s| (s.host.clone(), s.port)).collect()
        };
        places(&group.servers) == places(&servers)
            && group.pool_size.as_ref().map(|(size, _)| *size) == entry.pool_size
            && group.pool_mode.as_ref().map(|(mode, _)| mode) == entry.pool_mode.as_ref()
            && group.forced == forced
            && group.auth_user == entry.auth_user
    };
    let at = groups.iter().position(same).unwrap_or_else(|| {
        let taken: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
        let wanted = if asked == "*" { "main" } else { &name };
        groups.push(Group {
            name: free(&taken, plain(wanted)),
            servers,
            names: Vec::new(),
            any: false,
            origin: of("[databases]", line),
            pool_size: entry.pool_size.map(|size| (size, line)),
            pool_mode: entry.pool_mode.map(|mode| (mode, line)),
            client_limits: Vec::new(),
            forced,
            auth_user: entry.auth_user,
            auth_dbname: entry.auth_dbname,
        });
        groups.len() - 1
    });
    // Two names there may lead to one database.
    let known = groups.iter().any(|group| group.names.contains(&name));
    let group = &mut groups[at];
    match asked {
        "*" if entry.dbname.is_none() => group.any = true,
        _ if !known => group.names.push(name.clone()),
        _ => {}
    }
    if let Some(limit) = entry.clients {
        group.client_limits.push((name, limit, line));
    }
}
