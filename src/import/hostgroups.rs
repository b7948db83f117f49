//! ProxySQL's hostgroups, servers and users: which of them make one cluster.

use super::cluster::{Server, number, of};
use super::libconfig::Group;
use super::{ImportError, Work};
use std::collections::BTreeSet;

/// Hostgroups that are one cluster here: its writers and its readers.
pub(super) struct Cluster {
    pub(super) name: String,
    /// `None`: the file does not say which of the groups writes.
    pub(super) writer: Option<u64>,
    pub(super) groups: BTreeSet<u64>,
    pub(super) servers: Vec<Server>,
    /// `use_ssl` stands on this line.
    pub(super) tls: Option<usize>,
    /// `max_replication_lag` in seconds, the least, and its line.
    pub(super) lag: Option<(u64, usize)>,
    /// `max_connections` of a server, the most, and its line.
    pub(super) connections: Option<(u64, usize)>,
    /// The default schema of a user.
    pub(super) schema: Option<String>,
}

impl Cluster {
    pub(super) fn groups_in_words(&self) -> String {
        let one = |group: &u64| match self.writer == Some(*group) {
            true => format!("{group} (writes)"),
            false => group.to_string(),
        };
        self.groups.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn clusters(work: &mut Work<'_>, file: &Group) -> Result<Vec<Cluster>, ImportError> {
    let mut found = Vec::new();
    if let Some(pairs) = file.get("mysql_replication_hostgroups") {
        for (line, pair) in pairs.groups() {
            let (Some(writer), Some(reader)) =
                (pair.number("writer_hostgroup"), pair.number("reader_hostgroup"))
            else {
                return Err(work.syntax(line, "writer_hostgroup and reader_hostgroup are needed"));
            };
            if pair.text("check_type").is_some_and(|kind| kind != "read_only") {
                let why = "which node is the primary follows from who follows whom.";
                work.note(line, "check_type", why, "");
            }
            found.push(cluster(&found, Some(writer), [writer, reader].into()));
        }
    }
    // Groups that no pair names belong together: a file without pairs has its writers and readers there.
    let paired = |group: &u64, found: &[Cluster]| found.iter().any(|c| c.groups.contains(group));
    let rest: BTreeSet<u64> = servers(file)
        .map(|(_, server)| hostgroup(server))
        .filter(|group| !paired(group, &found))
        .collect();
    if !rest.is_empty() {
        let writer = first_default(file).filter(|group| rest.contains(group));
        if rest.len() > 1 {
            let line = file.get("mysql_servers").map_or(1, |value| value.line);
            let why = "which hostgroups belong together is not said: those without a pair became one cluster.";
            let todo = "Part it in two if they do not replicate from one primary.";
            work.note(line, "mysql_servers", why, todo);
        }
        found.push(cluster(&found, writer, rest));
    }
    for (line, entry) in servers(file) {
        let group = hostgroup(entry);
        let at = found.iter().position(|cluster| cluster.groups.contains(&group));
        if let Some(cluster) = at.map(|at| &mut found[at]) {
            server(work, cluster, (line, entry));
        }
    }
    found.retain(|cluster| !cluster.servers.is_empty());
    match found.is_empty() {
        true => Err(work.no_server()),
        false => Ok(found),
    }
}

fn cluster(before: &[Cluster], writer: Option<u64>, groups: BTreeSet<u64>) -> Cluster {
    let name = match (before.len(), writer.or(groups.first().copied())) {
        (0, _) | (_, None) => "main".into(),
        (_, Some(group)) => format!("group{group}"),
    };
    let (servers, tls, lag, connections, schema) = (Vec::new(), None, None, None, None);
    Cluster { name, writer, groups, servers, tls, lag, connections, schema }
}

fn servers(file: &Group) -> impl Iterator<Item = (usize, &Group)> {
    file.get("mysql_servers").into_iter().flat_map(|list| list.groups())
}

/// ProxySQL takes several names for it.
fn hostgroup(server: &Group) -> u64 {
    server.number("hostgroup").or(server.number("hostgroup_id")).unwrap_or(0)
}

/// Where users work unless a rule says otherwise: there are the writers.
fn first_default(file: &Group) -> Option<u64> {
    let users = file.get("mysql_users")?;
    users.groups().find_map(|(_, user)| user.number("default_hostgroup"))
}

fn server(work: &mut Work<'_>, cluster: &mut Cluster, (line, entry): (usize, &Group)) {
    let host = entry.text("address").or(entry.text("hostname")).unwrap_or_default().to_owned();
    let port = entry.number("port").unwrap_or(3306);
    if host.is_empty() || port == 0 || host.starts_with('/') {
        let why = "it was reached by a Unix socket; servers are reached by TCP here.";
        work.note(line, format!("mysql_servers: {host}"), why, "Add it with its host and port.");
        return;
    }
    let port = u16::try_from(port).unwrap_or(3306);
    let mut weight = entry.number("weight").unwrap_or(1).min(1000);
    match entry.text("status").unwrap_or("ONLINE").to_uppercase().as_str() {
        "ONLINE" => {}
        "OFFLINE_HARD" => {
            let why = "it was OFFLINE_HARD and is left out.";
            return work.note(line, format!("mysql_servers: {host}"), why, "");
        }
        other => {
            let why = format!("it was {other}: it gets no reads (weight = 0).");
            work.note(
                line,
                format!("mysql_servers: {host}"),
                why,
                "DRAIN and UNDRAIN on the console do it live.",
            );
            weight = 0;
        }
    }
    let least = |old: Option<(u64, usize)>, new: u64| {
        Some(old.filter(|o| o.0 <= new).unwrap_or((new, line)))
    };
    let most = |old: Option<(u64, usize)>, new: u64| {
        Some(old.filter(|o| o.0 >= new).unwrap_or((new, line)))
    };
    for (key, value) in &entry.0 {
        match (key.as_str(), value.number()) {
            ("max_replication_lag", Some(lag)) if lag > 0 => cluster.lag = least(cluster.lag, lag),
            ("max_connections", Some(n)) if n > 0 => {
                cluster.connections = most(cluster.connections, n)
            }
            ("use_ssl", _) if value.is_on() => cluster.tls = Some(value.line),
            ("compression", Some(n)) if n > 0 => {
                work.note(value.line, "compression", "the protocol is not compressed.", "");
            }
            ("max_latency_ms", Some(n)) if n > 0 => {
                let why = "servers are not left for being slow to answer.";
                work.note(value.line, "max_latency_ms", why, "route.zone prefers near ones.");
            }
            _ => {}
        }
    }
    // A writer often stands in the readers' group, too; reads go to it by its share there.
    let known = cluster.servers.iter_mut().find(|s| s.host == host && s.port == port);
    match known {
        Some(known) if cluster.writer != Some(hostgroup(entry)) => known.weight = Some(weight),
        Some(_) => {}
        None => cluster.servers.push(Server { name: None, host, port, weight: Some(weight), line }),
    }
}

/// `mysql_users`: each is a user of the cluster of its default hostgroup.
pub(super) fn users(work: &mut Work<'_>, file: &Group, clusters: &[Cluster]) {
    let mut filled: BTreeSet<&str> = BTreeSet::new();
    let listed = file.get("mysql_users").into_iter().flat_map(|list| list.groups());
    for (line, user) in listed {
        let name = user.text("username").unwrap_or_default();
        let shown = format!("mysql_users: {name}");
        if name.is_empty() || user.number("active") == Some(0) {
            work.note(line, shown, "the user is not active and is left out.", "");
            continue;
        }
        let group = user.number("default_hostgroup").unwrap_or(0);
        let Some(cluster) = clusters.iter().find(|cluster| cluster.groups.contains(&group)) else {
            let why = format!("hostgroup {group} has no servers.");
            work.note(line, shown, why, "");
            continue;
        };
        let Some(password) = user.text("password").filter(|text| !text.is_empty()) else {
            let why = "a user needs a password.";
            work.note(line, shown, why, "Give it one, on the servers and in auth.users.");
            continue;
        };
        filled.insert(&cluster.name);
        let (key, value) = work.secrets.keep("password", &format!("user-{name}"), password);
        let path = ["clusters", cluster.name.as_str(), "auth", "users", name];
        let table = work.draft.table(&path);
        table.set(&key, value, of("mysql_users", line));
        if let Some(most) = user.number("max_connections").filter(|most| *most > 0) {
            table.set("max_clients", number(most.min(1_000_000)), "max_connections");
        }
        if cluster.writer.is_some_and(|writer| writer != group) {
            let why =
                format!("its statements went to hostgroup {group} unless a rule said otherwise.");
            let todo = "Reads go to replicas by themselves; route.rules with this user and to = \"replica\" makes it all of them.";
            work.note(line, shown.clone(), why, todo);
        }
        if let Some(schema) = user.text("default_schema") {
            let why = format!("a client that names no schema has none; it was {schema:?}.");
            work.note(line, shown, why, "Let clients name their schema.");
        }
    }
    for cluster in clusters.iter().filter(|cluster| !filled.contains(cluster.name.as_str())) {
        super::maxscale::users_to_fill(work, &cluster.name);
    }
}
