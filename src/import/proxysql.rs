//! ProxySQL's `proxysql.cnf`.
//!
//! Source: <https://proxysql.com/documentation/global-variables/mysql-variables/> (2.7).

use super::cluster::{Login, duration, number, of};
use super::hostgroups::{self, Cluster};
use super::libconfig::{self, Group, Value};
use super::verdicts::Given;
use super::verdicts::To::{self, Known, No, Number, Time};
use super::{Engine, ImportError, Work, query_rules};

const NOTHING: &str = "";
const MONITOR: &str =
    "nodes are asked for role and position by one question, every monitor.interval.";
const CLEAN: &str = "what a session sets is its own, and a server connection goes back clean.";
const ADMIN: &str = "the console speaks PostgreSQL's protocol.";

/// Those of a pool: each cluster gets them.
const POOL: &[(&str, To)] = &[
    ("max_connections", Number("max_clients", 1, 1_000_000)),
    ("connect_timeout_server", Time("connect_timeout", 1, (10, 3_600_000))),
    ("connect_timeout_server_max", Time("query_wait", 1, (1, 86_400_000))),
    ("connection_max_age_ms", Time("max_lifetime", 1, (1_000, 31_536_000_000))),
    ("ping_interval_server_msec", Time("check_after", 1, (0, 86_400_000))),
    ("ping_interval_server", Time("check_after", 1, (0, 86_400_000))),
];

const VARIABLES: &[(&str, To)] = &[
    ("interfaces", Known),
    ("threads", Known),
    ("monitor_username", Known),
    ("monitor_password", Known),
    ("server_version", Known),
    ("default_query_delay", No("statements are not delayed.", NOTHING)),
    (
        "default_query_timeout",
        No(
            "a statement may take as long as it takes.",
            "MariaDB: max_statement_time; MySQL: max_execution_time.",
        ),
    ),
    ("have_compress", No("the protocol is not compressed.", NOTHING)),
    ("poll_timeout", No("nothing is polled.", NOTHING)),
    ("poll_timeout_on_failure", No("nothing is polled.", NOTHING)),
    (
        "default_schema",
        No("a client without a schema has none, as on a server.", "Let clients name their schema."),
    ),
    ("default_charset", No("the character set is the client's.", NOTHING)),
    ("stacksize", No("there is no thread for each client.", NOTHING)),
    ("server_capabilities", No("capabilities are those of the client and the servers.", NOTHING)),
    ("commands_stats", No("SHOW STATS and SHOW ROUTES have the numbers.", NOTHING)),
    ("servers_stats", No("SHOW NODES has the numbers.", NOTHING)),
    ("sessions_sort", No("who waits is served in the order of coming.", NOTHING)),
    ("session_debug", No("log.level = \"debug\" says more.", NOTHING)),
    ("ping_timeout_server", No("monitor.probe_timeout counts.", NOTHING)),
    (
        "connect_timeout_server_error",
        No("errors have their own words.", "`tidegate explain --errors` lists them."),
    ),
    (
        "connect_retries_on_failure",
        No(
            "a server that cannot be reached is not asked again by the same client; another is.",
            NOTHING,
        ),
    ),
    (
        "max_replication_lag",
        No("how late a replica may be is route.max_staleness.", "Set it, by time."),
    ),
    (
        "multiplexing",
        No(
            "pool.mode = \"transaction\" shares server connections.",
            "pool.mode = \"session\" does not.",
        ),
    ),
    ("query_cache_size_MB", No("answers are not cached.", NOTHING)),
    (
        "query_retries_on_failure",
        No("a read whose replica fails runs elsewhere, unseen; a write never runs twice.", NOTHING),
    ),
    ("long_query_time", No("log_slow of the cluster has it.", "Set log_slow = \"1s\".")),
    (
        "eventslog_filename",
        No(
            "statements are not logged to a file.",
            "log_slow names slow ones; SHOW ROUTES counts all by shape.",
        ),
    ),
    ("free_connections_pct", No("pool.min_idle and pool.idle_timeout say how many stay.", NOTHING)),
    ("wait_timeout", No("an idle client may stay: it holds no server.", NOTHING)),
    ("max_transaction_time", No("a transaction may take as long as it takes.", NOTHING)),
    (
        "max_allowed_packet",
        No("packets are passed on as they come, up to the servers' own limit.", NOTHING),
    ),
    ("max_stmts_per_connection", No("pool.max_prepared counts.", NOTHING)),
    ("have_ssl", No("TLS towards clients is [tls].", "Set tls.mode, tls.cert and tls.key.")),
    ("ssl_p2s_ca", No("TLS towards servers is set for a cluster.", "Set clusters.NAME.tls.ca.")),
    (
        "ssl_p2s_cert",
        No("TLS towards servers is set for a cluster.", "Set clusters.NAME.tls.cert."),
    ),
    ("ssl_p2s_key", No("TLS towards servers is set for a cluster.", "Set clusters.NAME.tls.key.")),
    ("proxy_protocol_networks", No("listen.proxy_protocol has them.", "Set it.")),
    ("session_idle_ms", No("an idle client holds no thread.", NOTHING)),
    ("session_idle_show_processlist", No("SHOW CLIENTS shows all.", NOTHING)),
    ("reset_connection_algorithm", No(CLEAN, NOTHING)),
    ("init_connect", No(CLEAN, "Set defaults on the servers.")),
];

const ADMIN_VARIABLES: &[(&str, To)] = &[
    ("admin_credentials", Known),
    ("stats_credentials", Known),
    ("mysql_ifaces", No(ADMIN, "psql -p 6433 tidegate; set listen.console for another address.")),
    ("pgsql_ifaces", No(ADMIN, "psql -p 6433 tidegate; set listen.console for another address.")),
    ("refresh_interval", No("what is shown is of now.", NOTHING)),
    ("debug", No("log.level = \"debug\" says more.", NOTHING)),
    ("web_enabled", No("the dashboard is at listen.http.", NOTHING)),
    ("web_port", No("the dashboard is at listen.http.", NOTHING)),
    ("restapi_enabled", No("the API is at listen.http.", NOTHING)),
    ("restapi_port", No("the API is at listen.http.", NOTHING)),
];

pub(super) fn import(work: &mut Work<'_>) -> Result<(), ImportError> {
    let file = libconfig::read(work.source.text).map_err(|bad| work.syntax(bad.line, bad.says))?;
    let none = Group::default();
    let group = |name: &str| match file.get(name).map(|value| &value.what) {
        Some(libconfig::What::Group(group)) => group,
        _ => &none,
    };
    let (variables, admin) = (group("mysql_variables"), group("admin_variables"));
    process(work, variables, admin);
    let clusters = hostgroups::clusters(work, &file)?;
    let engine = engine(work, variables);
    for (number, cluster) in clusters.iter().enumerate() {
        one(work, (number, cluster), (variables, engine));
    }
    hostgroups::users(work, &file, &clusters);
    query_rules::read(work, &file, &clusters);
    for (name, value) in &variables.0 {
        if !POOL.iter().any(|(known, _)| known == name) {
            settle(work, &["listen"], (name, value), VARIABLES);
        }
    }
    for (name, value) in &admin.0 {
        settle(work, &["listen"], (name, value), ADMIN_VARIABLES);
    }
    others(work, &file);
    Ok(())
}

fn settle(work: &mut Work<'_>, path: &[&str], (name, value): (&str, &Value), table: &[(&str, To)]) {
    let text = value.text().unwrap_or_default();
    if name.starts_with("monitor_") && !table.iter().any(|(known, _)| *known == name) {
        let given = Given { line: value.line, name, value: text };
        return work.note(value.line, given.shown(), MONITOR, NOTHING);
    }
    work.settle(path, Given { line: value.line, name, value: text }, table);
}

/// What counts for the process: threads, the listener, the console's users.
fn process(work: &mut Work<'_>, variables: &Group, admin: &Group) {
    work.draft.table(&[]);
    if let Some(threads) = variables.get("threads").filter(|value| value.number().is_some()) {
        let workers =
            work.within((threads.line, "threads"), threads.number().unwrap_or(0), (0, 1024));
        work.draft.table(&[]).set("workers", number(workers), of("threads", threads.line));
    }
    if let Some(value) = variables.get("interfaces") {
        interfaces(work, value);
    }
    for (key, read_only) in [("admin_credentials", false), ("stats_credentials", true)] {
        let Some(value) = admin.get(key) else { continue };
        for pair in value.text().unwrap_or_default().split(';').filter(|pair| !pair.is_empty()) {
            let (user, password) = pair.split_once(':').unwrap_or((pair, ""));
            if password.is_empty() || user.is_empty() {
                let why = "a user of the console needs a password.";
                work.note(value.line, key, why, "Add [console.users.NAME] with a password_file.");
                continue;
            }
            if user == password {
                let why = format!("the password of {user:?} is its name.");
                work.note(value.line, key, why, "Choose another one.");
            }
            let (kept, file) = work.secrets.keep("password", &format!("console-{user}"), password);
            let table = work.draft.table(&["console", "users", user]);
            table.set(&kept, file, of(key, value.line));
            if read_only {
                table.set("read_only", true, "");
            }
        }
    }
}

fn interfaces(work: &mut Work<'_>, value: &Value) {
    let doors: Vec<&str> = value.text().unwrap_or_default().split(';').map(str::trim).collect();
    let is_address = |door: &&&str| door.parse::<std::net::SocketAddr>().is_ok();
    let first = doors.iter().find(is_address).copied();
    if let Some(door) = first {
        let table = work.draft.table(&["listen"]);
        table.set("mysql", door, of("interfaces", value.line));
    }
    for door in doors.into_iter().filter(|door| Some(*door) != first && !door.is_empty()) {
        let (why, todo) = match door.starts_with('/') {
            true => (
                "there are no Unix sockets here.",
                "Let local applications connect to listen.mysql.",
            ),
            false => {
                ("there is one listener for each protocol, at an IP address.", "Set listen.mysql.")
            }
        };
        work.note(value.line, format!("interfaces: {door}"), why, todo);
    }
}

/// By the option, by what ProxySQL said it was, or MySQL, for which it was made.
fn engine(work: &Work<'_>, variables: &Group) -> Engine {
    let mariadb =
        variables.text("server_version").is_some_and(|v| v.to_lowercase().contains("mariadb"));
    match work.source.engine {
        Some(Engine::Mariadb) => Engine::Mariadb,
        None if mariadb => Engine::Mariadb,
        _ => Engine::Mysql,
    }
}

fn one(
    work: &mut Work<'_>,
    (place, cluster): (usize, &Cluster),
    (variables, engine): (&Group, Engine),
) {
    let name = cluster.name.as_str();
    let table = work.draft.table(&["clusters", name]);
    table.say(format!("Hostgroups {}.", cluster.groups_in_words()));
    let why = match work.source.engine {
        Some(_) => "",
        None => "the file does not say: \"mysql\" or \"mariadb\"",
    };
    table.set("engine", engine.word(), why);
    match (place, &cluster.schema) {
        (0, _) => table.set("databases", "*", ""),
        (_, schema) => {
            let schema = schema.as_deref().unwrap_or(name);
            let why = "ProxySQL chose by the user, Tidegate does by the database: name them";
            table.set("databases", toml::Value::Array(vec![schema.into()]), why)
        }
    };
    work.nodes(name, &cluster.servers);
    let user = variables.text("monitor_username").filter(|user| !user.is_empty());
    let password = variables.text("monitor_password").filter(|text| !text.is_empty());
    let login = user.map(|user| Login { user, password, why: "monitor_username" });
    work.monitor(name, engine, login);
    if let Some(line) = cluster.tls {
        work.draft.table(&["clusters", name, "tls"]).set("mode", "require", of("use_ssl", line));
    }
    if let Some((seconds, line)) = cluster.lag {
        let millis = work.within((line, "max_replication_lag"), seconds * 1000, (1, 86_400_000));
        let route = work.draft.table(&["clusters", name, "route"]);
        route.set("max_staleness", duration(millis), of("max_replication_lag", line));
    }
    let pool = ["clusters", name, "pool"];
    work.draft.table(&pool).set("mode", "transaction", "as ProxySQL's multiplexing");
    for (key, value) in &variables.0 {
        if POOL.iter().any(|(known, _)| known == key) {
            settle(work, &pool, (key, value), POOL);
        }
    }
    if let Some((most, line)) = cluster.connections {
        // pool.size is of one user and database; max_per_node must not be below it.
        let most = work.within((line, "max_connections"), most, (1, 10_000));
        let table = work.draft.table(&pool);
        table.set("max_per_node", number(most), of("max_connections of a server", line));
        table.set("size", number(most.min(20)), "");
    }
}

/// Sections that are read nowhere.
fn others(work: &mut Work<'_>, file: &Group) {
    const READ: &[&str] = &[
        "mysql_variables",
        "admin_variables",
        "mysql_servers",
        "mysql_users",
        "mysql_query_rules",
        "mysql_replication_hostgroups",
    ];
    for (name, value) in &file.0 {
        let (why, todo) = match name.as_str() {
            name if READ.contains(&name) => continue,
            "datadir" => ("the configuration is this file alone.", NOTHING),
            "errorlog" => ("logs go to standard error.", NOTHING),
            "scheduler" => ("no programs are started.", "Let systemd's timers or cron do it."),
            "proxysql_servers" => {
                ("processes do not share their configuration.", "Give each the same file.")
            }
            "mysql_galera_hostgroups" | "mysql_group_replication_hostgroups" => (
                "a cluster here is one primary with asynchronous or semi-synchronous replicas.",
                "Several writers at once are not supported.",
            ),
            name if name.starts_with("pgsql_") => (
                "only the MySQL side of ProxySQL is imported.",
                "Write another cluster with engine = \"postgres\".",
            ),
            _ => ("it is not known to this importer.", "Look it up, and `tidegate reference`."),
        };
        work.note(value.line, name.clone(), why, todo);
    }
}
