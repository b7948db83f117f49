//! HAProxy's `haproxy.cfg`, where it balances PostgreSQL or MySQL in TCP mode.

use super::cluster::{Server, of};
use super::{Engine, ImportError, Work};

/// The ports of the engines, by which a backend is known.
const PORTS: [(u16, Engine); 3] =
    [(5432, Engine::Postgres), (3306, Engine::Mariadb), (3307, Engine::Mariadb)];

pub(super) fn import(work: &mut Work<'_>) -> Result<(), ImportError> {
    let mut read = Read::default();
    for (number, line) in work.source.text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        read.line(work, number + 1, &words);
    }
    if read.servers.is_empty() {
        return Err(work.no_server());
    }
    let engine = work.source.engine.or(read.engine).unwrap_or_else(|| by_port(&read.servers));
    let table = work.draft.table(&["clusters", "main"]);
    table.set("engine", engine.word(), "");
    table.say("One cluster of all servers: which of them is the primary, they say themselves.");
    let key = if engine == Engine::Postgres { "postgres" } else { "mysql" };
    if let Some((door, line)) = &read.door {
        work.draft.table(&["listen"]).set(key, door.as_str(), of("bind", *line));
    }
    work.nodes("main", &read.servers);
    work.monitor("main", engine, None);
    match engine {
        Engine::Postgres => {
            let table = work.draft.table(&["clusters", "main", "auth", "auth_query"]);
            table.say("HAProxy knows no users: they are looked up in the database.");
            table.set("user", "tidegate", "it must be allowed to read pg_shadow");
        }
        Engine::Mysql | Engine::Mariadb => super::maxscale::users_to_fill(work, "main"),
    }
    let table = work.draft.table(&["clusters", "main", "pool"]);
    table.set("mode", "session", "as HAProxy; \"transaction\" needs far fewer connections");
    Ok(())
}

#[derive(Default)]
struct Read {
    section: String,
    servers: Vec<Server>,
    /// The first address, and its line.
    door: Option<(String, usize)>,
    engine: Option<Engine>,
}

impl Read {
    fn line(&mut self, work: &mut Work<'_>, line: usize, words: &[&str]) {
        match words {
            [] => {}
            [
                kind @ ("global" | "defaults" | "frontend" | "backend" | "listen" | "peers"),
                name @ ..,
            ] => {
                self.section = format!("{kind} {}", name.join(" "));
            }
            ["bind", address, ..] => self.bind(work, line, address),
            ["server", name, address, options @ ..] => {
                self.server(work, line, (name, address, options))
            }
            ["option", "pgsql-check", ..] => self.engine = Some(Engine::Postgres),
            ["option", "mysql-check", ..] => {
                self.engine.get_or_insert(Engine::Mariadb);
            }
            ["mode", "tcp"] | ["default_backend", ..] | ["use_backend", ..] => {}
            [key, ..] => {
                let (why, todo) = verdict(key);
                let shown = format!("{}: {}", self.section.trim(), words.join(" "));
                work.note(line, shown.chars().take(80).collect::<String>(), why, todo);
            }
        }
    }

    fn bind(&mut self, work: &mut Work<'_>, line: usize, address: &str) {
        let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
        let host = if host.is_empty() || host == "*" { "0.0.0.0" } else { host };
        let door = format!("{host}:{port}");
        let fits = door.parse::<std::net::SocketAddr>().is_ok();
        if self.door.is_none() && fits {
            self.door = Some((door, line));
            return;
        }
        let why = match fits {
            true => "one port serves reads and writes, and splits them.",
            false => "is no IP address with a port.",
        };
        let todo = "Let its clients connect to the one listener, listen.postgres or listen.mysql.";
        work.note(line, format!("bind {address}"), why, todo);
    }

    fn server(
        &mut self,
        work: &mut Work<'_>,
        line: usize,
        (name, address, options): (&str, &str, &[&str]),
    ) {
        let placed = address.rsplit_once(':').and_then(|(h, p)| Some((h, p.parse::<u16>().ok()?)));
        let Some((host, port)) = placed else {
            let why = "servers are reached by TCP, at a host and port.";
            return work.note(
                line,
                format!("server {name} {address}"),
                why,
                "Add it with its port.",
            );
        };
        let after = |key: &str| {
            let at = options.iter().position(|option| *option == key)?;
            options.get(at + 1)?.parse::<u64>().ok()
        };
        if options.contains(&"backup") {
            let why = "a server that is asked only when the others are gone: it became a node like the others.";
            work.note(
                line,
                format!("server {name} backup"),
                why,
                "weight = 0 keeps reads from it.",
            );
        }
        let (host, weight) = (host.to_owned(), after("weight").map(|weight| weight.min(1000)));
        self.servers.push(Server { name: Some(name.to_owned()), host, port, weight, line });
    }
}

fn verdict(key: &str) -> (&'static str, &'static str) {
    match key {
        "balance" => ("reads are spread over fresh replicas by weight and load.", ""),
        "timeout" => {
            ("timeouts are of the pool: pool.connect_timeout, pool.query_wait.", "Look at them.")
        }
        "option" | "http-check" | "tcp-check" | "external-check" | "default-server" => {
            ("nodes are asked for their role and position, by the monitor's user.", "")
        }
        "maxconn" => ("limits are pool.max_clients and pool.max_per_node.", "Set them."),
        "log" | "log-format" => ("logs go to standard error.", ""),
        "stats" => ("the dashboard and metrics are at listen.http.", ""),
        "mode" => ("only mode tcp has a meaning here.", ""),
        "stick-table" | "stick" => {
            ("a session stays with its replica as long as that is fresh.", "")
        }
        "user" | "group" | "daemon" | "chroot" | "nbthread" | "nbproc" | "pidfile" => (
            "it is of HAProxy's process.",
            "systemd's unit says such things: config/tidegate.service.",
        ),
        _ => ("it has no meaning here.", "Look it up, and `tidegate reference`."),
    }
}

fn by_port(servers: &[Server]) -> Engine {
    let of = |server: &Server| PORTS.iter().find(|(port, _)| *port == server.port);
    servers.iter().find_map(of).map_or(Engine::Postgres, |(_, engine)| *engine)
}
