//! What no single key can say: checks across keys, and of the files they name.

use super::auth::users_of_file;
use super::backup;
use super::choices::{ClientTlsMode, ServerTlsMode};
use super::cluster::{Cluster, ServerTls};
use super::failover;
use super::logins;
use super::other_engine;
use super::reading::{Reading, join};
use super::routing;
use super::server::{ClientTls, Settings};
use super::traces;
use crate::pg::replication::Destination;
use crate::route::Consistency;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Nodes of one cluster, at most: they are kept as bits of a 64-bit number.
pub(super) const MAX_NODES: usize = 64;

/// Checks what was read as a whole, and reads the files of users into it.
pub(super) fn complete(settings: &mut Settings, reading: &mut Reading<'_>) {
    if settings.clusters.is_empty() {
        let hint = "add [clusters.NAME] with its nodes; `tidegate reference` prints every key";
        reading.wrong("clusters", "no cluster is configured", Some(hint.into()));
    }
    client_tls(&settings.tls, reading);
    for (name, cluster) in &mut settings.clusters {
        let path = join("clusters", name);
        good_name(&path, name, reading);
        nodes(&path, cluster, reading);
        replication(&path, cluster, reading);
        routing::check(&path, cluster, reading);
        server_tls(&format!("{path}.tls"), &cluster.tls, reading);
        users_file(&format!("{path}.auth"), cluster, reading);
        numbers(&path, cluster, reading);
        other_engine::check(&path, cluster, reading);
        failover::check(&path, cluster, reading);
        backup::check(&path, cluster, reading);
    }
    for (name, cluster) in &settings.clusters {
        logins::check(&format!("{}.auth", join("clusters", name)), cluster, settings, reading);
    }
    console(settings, reading);
    traces::check(&settings.tracing, reading);
    databases(settings, reading);
    listeners(settings, reading);
}

fn good_name(path: &str, name: &str, reading: &mut Reading<'_>) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) || name.len() > 63 {
        let hint = "it stands in logs, metrics and console commands".to_string();
        reading.wrong(path, "a name has 1 to 63 letters, digits, - and _", Some(hint));
    }
}

fn replication(path: &str, cluster: &Cluster, reading: &mut Reading<'_>) {
    let Destination::Node(name) = &cluster.replication else { return };
    if !cluster.nodes.iter().any(|node| node.name == **name) {
        let known: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
        let hint = format!("\"off\", \"primary\" or one of: {}", known.join(", "));
        reading.wrong(&format!("{path}.replication"), "is not a node of this cluster", Some(hint));
    }
}

fn nodes(path: &str, cluster: &Cluster, reading: &mut Reading<'_>) {
    let nodes = format!("{path}.nodes");
    match cluster.nodes.len() {
        0 => {
            let hint = "nodes = [{ name = \"a\", address = \"10.0.0.1:5432\" }]";
            reading.wrong(&nodes, "at least one node is needed", Some(hint.into()));
        }
        1..=MAX_NODES => {}
        n => {
            let hint = "make several clusters of them".to_string();
            let says = format!("{n} nodes; at most {MAX_NODES} are possible");
            reading.wrong(&nodes, says, Some(hint));
        }
    }
    let (mut names, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    for (number, node) in cluster.nodes.iter().enumerate() {
        let at = format!("{nodes}[{number}]");
        let (name, address) = (format!("{at}.name"), format!("{at}.address"));
        good_name(&name, &node.name, reading);
        if let Some(first) = names.insert(&node.name, number) {
            let says = format!("nodes[{first}] has this name already");
            reading.wrong(&name, says, Some("give each node its own name".into()));
        }
        if let Some(first) = addresses.insert(&node.address, number) {
            let says = format!("nodes[{first}] has this address already");
            reading.wrong(&address, says, Some("list each server once".into()));
        }
    }
}

/// A certificate and its key come together; the files must be readable.
pub(super) fn pair(
    path: &str,
    cert: &Option<PathBuf>,
    key: &Option<PathBuf>,
    ca: &Option<PathBuf>,
    reading: &mut Reading<'_>,
) {
    let hint = || Some("a certificate and its key come together".to_string());
    if cert.is_some() && key.is_none() {
        reading.wrong(&format!("{path}.key"), "is missing: the private key of cert", hint());
    }
    if key.is_some() && cert.is_none() {
        reading.wrong(&format!("{path}.cert"), "is missing: the certificate of key", hint());
    }
    for (name, file) in [("cert", cert), ("ca", ca)] {
        if let Some(file) = file {
            reading.file(&format!("{path}.{name}"), file);
        }
    }
    if let Some(file) = key {
        reading.private_file(&format!("{path}.key"), file);
    }
}

pub(super) fn client_tls(tls: &ClientTls, reading: &mut Reading<'_>) {
    pair("tls", &tls.cert, &tls.key, &tls.ca, reading);
    if tls.mode != ClientTlsMode::Off && tls.cert.is_none() && tls.key.is_none() {
        let hint = "set tls.cert and tls.key, or tls.mode = \"off\"";
        reading.wrong("tls.mode", "needs a certificate", Some(hint.into()));
    }
    if tls.mode == ClientTlsMode::Verify && tls.ca.is_none() {
        let hint = "set tls.ca to the certificates that sign those of your clients";
        reading.wrong("tls.mode", "needs tls.ca", Some(hint.into()));
    }
}

fn server_tls(path: &str, tls: &ServerTls, reading: &mut Reading<'_>) {
    pair(path, &tls.cert, &tls.key, &tls.ca, reading);
    let verifies = matches!(tls.mode, ServerTlsMode::VerifyCa | ServerTlsMode::VerifyFull);
    if verifies && tls.ca.is_none() {
        let hint = format!("set {path}.ca to the certificates that sign those of the nodes");
        reading.wrong(&format!("{path}.mode"), "needs a ca", Some(hint));
    }
}

fn users_file(path: &str, cluster: &mut Cluster, reading: &mut Reading<'_>) {
    let Some(file) = &cluster.auth.users_file else { return };
    let key = format!("{path}.users_file");
    let Some(text) = reading.private_file(&key, file).map(Zeroizing::new) else { return };
    let (users, bad) = users_of_file(&text);
    if let Some(first) = bad.first() {
        let also = match bad.len() {
            1 => String::new(),
            2 => ", and 1 more is wrong".to_string(),
            n => format!(", and {} more are wrong", n - 1),
        };
        let says = format!("line {} of {} {}{also}", first.line, file.display(), first.says);
        let hint = "one user in each line: \"name\" \"password\"".to_string();
        reading.wrong(&key, says, Some(hint));
    }
    for (name, user) in users {
        match cluster.auth.users.entry(name) {
            Entry::Vacant(free) => {
                free.insert(user);
            }
            Entry::Occupied(taken) => {
                let says = format!("user {:?} is in {} too", taken.key(), file.display());
                let hint = "keep one of the two".to_string();
                reading.wrong(&join(&format!("{path}.users"), taken.key()), says, Some(hint));
            }
        }
    }
}

fn numbers(path: &str, cluster: &Cluster, reading: &mut Reading<'_>) {
    let pool = &cluster.pool;
    if pool.min_idle > pool.size {
        let says = format!("must be at most {path}.pool.size, {}", pool.size);
        let hint = format!("lower it, or raise {path}.pool.size");
        reading.wrong(&format!("{path}.pool.min_idle"), says, Some(hint));
    }
    if pool.max_per_node != 0 && pool.max_per_node < pool.size {
        let says = format!("must be at least {path}.pool.size, {}, or 0 for no limit", pool.size);
        let hint = format!("raise it, or lower {path}.pool.size");
        reading.wrong(&format!("{path}.pool.max_per_node"), says, Some(hint));
    }
    let (route, interval) = (&cluster.route, cluster.monitor.interval);
    let bounded = matches!(route.consistency, Consistency::Bounded | Consistency::Session);
    if bounded && route.max_staleness <= interval {
        let says = format!(
            "is not more than {path}.monitor.interval, {interval:?}: replicas will hardly ever be fresh enough"
        );
        let hint = "twice the interval is the least that works well".to_string();
        reading.warn(&format!("{path}.route.max_staleness"), says, Some(hint));
    }
}

fn console(settings: &Settings, reading: &mut Reading<'_>) {
    let has_certificate = settings.tls.cert.is_some() && settings.tls.key.is_some();
    if settings.console.tls == ClientTlsMode::Require && !has_certificate {
        let hint = "set tls.cert and tls.key, or console.tls = \"allow\"";
        reading.wrong("console.tls", "needs a certificate", Some(hint.into()));
    }
    if settings.console.tls == ClientTlsMode::Verify {
        let hint = "set \"require\": users of the console have passwords";
        reading.wrong("console.tls", "is not for the console", Some(hint.into()));
    }
    let lacking = settings.console.users.iter().filter(|(_, user)| user.password.is_none());
    for (name, _) in lacking {
        logins::missing_password(&join("console.users", name), "needs a password", reading);
    }
}

/// A name that clients ask for must lead to one cluster.
fn databases(settings: &Settings, reading: &mut Reading<'_>) {
    let mut owners: BTreeMap<(bool, &str), &str> = BTreeMap::new();
    for (cluster, options) in &settings.clusters {
        let key = format!("{}.databases", join("clusters", cluster));
        let star = options.databases.any.then_some("*");
        for name in options.databases.names.iter().map(String::as_str).chain(star) {
            // Each protocol has a listener of its own.
            let of = (options.engine.is_postgres(), name);
            let Some(first) = owners.insert(of, cluster) else { continue };
            let says = match (name, reading.is_given(&key)) {
                ("*", false) => format!("is \"*\" by default, but so is cluster {first}'s"),
                _ => format!("{name:?} belongs to cluster {first} already"),
            };
            let hint = "a name, and \"*\", may lead to one cluster only".to_string();
            reading.wrong(&key, says, Some(hint));
        }
    }
}

/// Listeners that other machines reach need authentication, and no two share a port.
fn listeners(settings: &Settings, reading: &mut Reading<'_>) {
    let listen = &settings.listen;
    let of_applications = [
        ("listen.postgres", listen.postgres, true, "scram"),
        ("listen.mysql", listen.mysql, false, "password"),
    ];
    for (key, door, is_postgres, better) in of_applications {
        let its = settings.clusters.iter().filter(|c| c.1.engine.is_postgres() == is_postgres);
        let trusting = its.map(|(name, cluster)| {
            logins::trusts_others(&format!("{}.auth", join("clusters", name)), &cluster.auth)
        });
        if let (true, Some(method)) = (door.is_public(), trusting.flatten().next()) {
            let says =
                format!("other machines reach this, but {method} = \"trust\" lets everyone in");
            let hint = format!("set {method} = \"{better}\", or listen on 127.0.0.1");
            reading.wrong(key, says, Some(hint));
        }
    }
    if listen.console.is_public() && settings.console.users.is_empty() {
        let says = "other machines reach this, but the console has no users, so lets everyone in";
        let hint = "add [console.users.admin] with a password_file, or listen on 127.0.0.1";
        reading.wrong("listen.console", says, Some(hint.into()));
    }
    if listen.http.is_public() && settings.http.token.is_none() {
        let says = "other machines reach this, but http has no token, so lets everyone in";
        let hint = "set http.token_file, or listen on 127.0.0.1";
        reading.wrong("listen.http", says, Some(hint.into()));
    }
    let doors = [
        ("listen.postgres", listen.postgres),
        ("listen.mysql", listen.mysql),
        ("listen.console", listen.console),
        ("listen.http", listen.http),
    ];
    for (at, (key, door)) in doors.iter().enumerate() {
        // Port 0 is any free one, so it never clashes.
        let fixed = door.address().is_some_and(|a| a.port() != 0);
        let same = |(_, other): &&(&str, _)| fixed && other == door;
        if let Some((first, _)) = doors[..at].iter().find(same) {
            let hint = "give each listener its own port, or \"off\"".to_string();
            reading.wrong(key, format!("{first} is there already"), Some(hint));
        }
    }
}
