//! MaxScale's `maxscale.cnf`: servers, monitors, services, listeners.
//!
//! Source: <https://mariadb.com/docs/maxscale> (23.08).

use super::cluster::{Login, Server, of, plain};
use super::ini::{self, Setting};
use super::verdicts::Given;
use super::{Engine, ImportError, Work};

pub(super) fn import(work: &mut Work<'_>) -> Result<(), ImportError> {
    let settings = ini::read(work.source.text)
        .map_err(|bad| work.syntax(bad.line, "neither [section] nor key=value"))?;
    let file = File { settings };
    let monitors = file.sections("monitor");
    let all = file.sections("server");
    if all.is_empty() {
        return Err(work.no_server());
    }
    listeners(work, &file);
    let mut left = all.clone();
    for (number, monitor) in monitors.iter().enumerate() {
        let mine: Vec<&str> = file
            .get(monitor, "servers")
            .map(|setting| setting.value.split(',').map(str::trim).collect())
            .unwrap_or_default();
        left.retain(|server| !mine.contains(&server.as_str()));
        cluster(work, &file, (number, Some(monitor)), &mine);
    }
    if monitors.is_empty() {
        let names: Vec<&str> = all.iter().map(String::as_str).collect();
        cluster(work, &file, (0, None), &names);
    } else {
        for server in left {
            let line = file.line_of(&server);
            work.note(
                line,
                format!("[{server}]"),
                "no monitor has it.",
                "Add it to a cluster's nodes.",
            );
        }
    }
    file.settings.iter().for_each(|setting| rest(work, &file, setting));
    Ok(())
}

struct File {
    settings: Vec<Setting>,
}

impl File {
    /// The sections of this type, in their order.
    fn sections(&self, kind: &str) -> Vec<String> {
        let of = self.settings.iter().filter(|s| s.key == "type" && s.value == kind);
        of.map(|setting| setting.section.clone()).collect()
    }

    fn get(&self, section: &str, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|s| s.section == section && s.key == key)
    }

    fn value(&self, section: &str, key: &str) -> Option<&str> {
        self.get(section, key).map(|setting| setting.value.as_str())
    }

    fn line_of(&self, section: &str) -> usize {
        self.settings.iter().find(|s| s.section == section).map_or(1, |setting| setting.line)
    }
}

fn cluster(
    work: &mut Work<'_>,
    file: &File,
    (place, monitor): (usize, Option<&str>),
    servers: &[&str],
) {
    let name = match (place, monitor) {
        (0, _) | (_, None) => "main".to_owned(),
        (_, Some(monitor)) => plain(monitor),
    };
    let servers: Vec<Server> = servers
        .iter()
        .filter_map(|server| {
            let host = file.get(server, "address")?;
            let port = file.value(server, "port").and_then(|p| p.parse().ok()).unwrap_or(3306);
            Some(Server {
                name: Some((*server).to_owned()),
                host: host.value.clone(),
                port,
                weight: None,
                line: host.line,
            })
        })
        .collect();
    let engine = work.source.engine.filter(|e| *e == Engine::Mysql).unwrap_or(Engine::Mariadb);
    let table = work.draft.table(&["clusters", &name]);
    table.set("engine", engine.word(), "");
    match place {
        0 => table.set("databases", "*", ""),
        _ => {
            let why = "MaxScale chose by the port, Tidegate does by the database: name them";
            table.set("databases", toml::Value::Array(vec![name.as_str().into()]), why)
        }
    };
    work.nodes(&name, &servers);
    let of_monitor = |key: &str| monitor.and_then(|monitor| file.value(monitor, key));
    let login = of_monitor("user").map(|user| Login {
        user,
        password: of_monitor("password").or(of_monitor("passwd")),
        why: "of the monitor; it needs REPLICA MONITOR and BINLOG MONITOR here",
    });
    work.monitor(&name, engine, login);
    let tls = servers.iter().find_map(|s| file.get(s.name.as_deref()?, "ssl"));
    if let Some(tls) = tls.filter(|s| ["true", "1", "required"].contains(&s.value.as_str())) {
        work.draft.table(&["clusters", &name, "tls"]).set("mode", "require", of("ssl", tls.line));
    }
    users_to_fill(work, &name);
    work.draft.table(&["clusters", &name, "pool"]).set(
        "mode",
        "transaction",
        "\"session\" gives each client a server connection, as MaxScale does",
    );
}

/// A file for users who are not in the file that is imported.
pub(super) fn users_to_fill(work: &mut Work<'_>, cluster: &str) {
    let text = "; One user in each line: \"name\" \"password\", or the hash that the servers have:\n\
                ; SELECT CONCAT('\"', User, '\" \"', authentication_string, '\"') FROM mysql.user\n\
                ;  WHERE plugin = 'mysql_native_password' AND authentication_string LIKE '*%'\n";
    let path = work.secrets.file(&format!("users-{cluster}.txt"), text);
    let table = work.draft.table(&["clusters", cluster, "auth"]);
    table.say("Users are listed here, not read from the servers. The file says how to fill it.");
    table.set("users_file", path, "");
}

/// The first read-write listener is ours; reads are found in it, so that there is no other.
fn listeners(work: &mut Work<'_>, file: &File) {
    let mut taken = false;
    let mut doors = file.sections("listener");
    let splits = |door: &String| {
        let service = file.value(door, "service").or(file.value(door, "target"));
        service.and_then(|service| file.value(service, "router")) == Some("readwritesplit")
    };
    doors.sort_by_key(|door| !splits(door));
    for door in doors {
        let line = file.line_of(&door);
        let Some(port) = file.value(&door, "port") else {
            let why = "there are no Unix sockets here.";
            work.note(
                line,
                format!("[{door}]"),
                why,
                "Let local applications connect to listen.mysql.",
            );
            continue;
        };
        if taken {
            let why = format!("port {port}: one port serves reads and writes, and splits them.");
            work.note(line, format!("[{door}]"), why, "Let its clients connect to listen.mysql.");
            continue;
        }
        taken = true;
        let host = file.value(&door, "address").filter(|a| a.parse::<std::net::IpAddr>().is_ok());
        let address = match host.unwrap_or("0.0.0.0") {
            host if host.contains(':') => format!("[{host}]:{port}"),
            host => format!("{host}:{port}"),
        };
        let why = of(format!("[{door}]"), line);
        work.draft.table(&["listen"]).set("mysql", address, why);
    }
}

/// Settings that are read nowhere else.
fn rest(work: &mut Work<'_>, file: &File, setting: &Setting) {
    const READ: [&str; 9] =
        ["type", "address", "port", "servers", "service", "target", "router", "protocol", "module"];
    let kind = file.value(&setting.section, "type").unwrap_or_default();
    let key = setting.key.as_str();
    let login = matches!(key, "user" | "password" | "passwd");
    let (why, todo) = match (kind, key) {
        (_, key) if READ.contains(&key) => return,
        ("monitor", _) if login => return,
        ("server", "ssl") => return,
        ("service", _) if login => {
            ("users are not read from the servers.", "List them: auth.users_file.")
        }
        ("service", "router_options") => ("reads go to replicas by themselves.", ""),
        ("service", "max_slave_replication_lag" | "max_replication_lag") => {
            ("how late a replica may be is route.max_staleness.", "Set it.")
        }
        ("service", "causal_reads") => {
            ("a session reads its own writes: route.consistency = \"session\".", "")
        }
        ("service", "transaction_replay" | "transaction_replay_timeout") => {
            ("a transaction is not run again; reads are.", "")
        }
        ("monitor", "monitor_interval") => {
            ("monitor.interval is 100 ms, by one small question.", "")
        }
        ("monitor", "auto_failover" | "auto_rejoin" | "switchover_on_low_disk_space") => {
            ("failover is for PostgreSQL as yet.", "A promotion by others is followed.")
        }
        ("monitor", "replication_user" | "replication_password" | "enforce_simple_topology") => {
            ("failover is for PostgreSQL as yet.", "")
        }
        ("server", "proxy_protocol") => ("servers see the address of the proxy.", ""),
        ("filter", _) => ("there are no filters.", "route.rules may do what it did."),
        (_, "threads") => ("workers = 0, one for each processor, is the default.", ""),
        (_, "admin_host" | "admin_port" | "admin_secure_gui") => {
            ("the dashboard and the API are at listen.http.", "")
        }
        _ => ("it is not known to this importer.", "Look it up, and `tidegate reference`."),
    };
    let given = Given { line: setting.line, name: key, value: &setting.value };
    work.note(setting.line, format!("[{}] {}", setting.section, given.shown()), why, todo);
}
