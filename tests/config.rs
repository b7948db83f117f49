//! What a user is told about a configuration, word by word.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;
use tidegate::config::{self, Config, Door, Method, Problems, Surroundings};
use tidegate::{pool, route};

/// Files and variables of a machine that does not exist.
#[derive(Default)]
struct Invented {
    files: BTreeMap<&'static str, &'static str>,
    open_to_all: Vec<&'static str>,
    variables: BTreeMap<&'static str, &'static str>,
    /// Every other file holds this.
    otherwise: Option<&'static str>,
}

impl Surroundings for Invented {
    fn read(&self, path: &Path) -> io::Result<String> {
        let known = path.to_str().and_then(|p| self.files.get(p).copied());
        let text = known.or(self.otherwise).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.to_string())
    }
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|v| v.to_string())
    }
    fn mode(&self, path: &Path) -> Option<u32> {
        let open = self.open_to_all.iter().any(|p| Path::new(p) == path);
        Some(if open { 0o644 } else { 0o600 })
    }
}

/// A machine where every file holds `hunter2` and nothing else.
fn any_file() -> Invented {
    Invented { otherwise: Some("hunter2\n"), ..Invented::default() }
}

fn read(text: &str) -> Result<Config, Problems> {
    config::parse_in(text, "tidegate.toml", &any_file())
}

/// The least that works, as lines 1 to 4; what is to be tested goes below.
const LEAST: &str = r#"[clusters.orders]
nodes = [{ name = "a", address = "db:5432" }]
monitor.user = "tidegate"
auth.users.app.password_file = "app"
"#;

fn below_the_least(more: &str) -> Result<Config, Problems> {
    read(&format!("{LEAST}{more}"))
}

fn told(result: Result<Config, Problems>) -> String {
    match result {
        Ok(config) => config.warnings.iter().map(|w| format!("{w}\n")).collect(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn the_least_gives_every_default() {
    let config = below_the_least("").unwrap();
    assert_eq!(config.warnings, []);
    let settings = &config.settings;
    let loopback: Vec<String> =
        [settings.listen.postgres, settings.listen.console, settings.listen.http]
            .map(|d| d.address().unwrap().to_string())
            .into();
    assert_eq!(loopback, ["127.0.0.1:6432", "127.0.0.1:6433", "127.0.0.1:6480"]);
    let orders = &settings.clusters["orders"];
    assert_eq!(orders.route.consistency, route::Consistency::Session);
    assert_eq!(orders.route.max_staleness, Duration::from_secs(1));
    assert_eq!(orders.pool.mode, pool::Mode::Transaction);
    assert_eq!((orders.pool.size, orders.pool.max_clients), (20, 5000));
    assert_eq!(orders.pool.max_lifetime, Duration::from_secs(3600));
    assert_eq!(orders.failover.hold, Duration::from_secs(10));
    assert_eq!(orders.auth.method, Method::Scram);
    assert!(orders.databases.any);
    assert_eq!(orders.auth.users["app"].password.as_ref().unwrap().expose(), "hunter2");
}

#[test]
fn the_example_of_the_project_parses() {
    let text = include_str!("../config/tidegate.toml");
    let config = config::parse_in(text, "config/tidegate.toml", &any_file()).unwrap();
    assert_eq!(config.warnings, []);
    let orders = &config.settings.clusters["orders"];
    let nodes: Vec<_> =
        orders.nodes.iter().map(|n| (n.name.as_str(), n.weight, n.backup)).collect();
    assert_eq!(nodes, [("a", 1, false), ("b", 2, false), ("c", 1, true)]);
    assert_eq!(orders.databases.names, ["orders", "billing"]);
}

#[test]
fn the_reference_is_current_and_parses() {
    let file = include_str!("../config/reference.toml");
    let current = config::reference();
    assert!(file == current, "run: tidegate reference > config/reference.toml");
    let config = config::parse_in(&current, "config/reference.toml", &any_file()).unwrap();
    let defaults = config.effective().values();
    let shown_otherwise: Vec<_> =
        defaults.filter(|e| e.default.as_ref().is_some_and(|d| *d != e.value)).collect();
    assert!(shown_otherwise.is_empty(), "{shown_otherwise:?}");
}

#[test]
fn the_reference_of_an_agent_is_current_and_parses() {
    let file = include_str!("../config/agent.toml");
    let current = config::agent_reference();
    assert!(file == current, "run: tidegate reference --agent > config/agent.toml");
    let uncommented: String = current
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if !option.starts_with(' ') => format!("{option}\n"),
            _ => format!("{line}\n"),
        })
        .filter(|line| !line.contains("_env = "))
        .collect();
    for text in [current, uncommented] {
        config::parse_agent(&text, "config/agent.toml", &any_file()).unwrap();
    }
}

#[test]
fn an_agent_that_everyone_could_order_about_is_refused() {
    let text =
        "listen = \"0.0.0.0:6490\"\nlease = \"1s\"\n[postgres]\ndata_dir = \"d\"\nbin_dir = \"b\"";
    let problems = config::parse_agent(text, "agent.toml", &any_file()).unwrap_err().to_string();
    assert!(problems.contains("there is no token, so everyone gives orders"), "{problems}");
    assert!(problems.contains("lease = \"1s\": must be 0s or at least 3s"), "{problems}");
}

/// A key for backups.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

#[test]
fn every_example_of_the_reference_is_a_real_option() {
    let uncommented: String = config::reference()
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .filter(|line| !line.contains("_env = "))
        .map(|line| format!("{line}\n"))
        .collect();
    let config = config::parse_in(
        &uncommented,
        "config/reference.toml",
        &Invented {
            files: BTreeMap::from([
                ("/etc/tidegate/userlist.txt", "\"other\" \"secret\""),
                ("/run/secrets/backup-webhook", "https://example.com/hook\n"),
                ("/etc/tidegate/backup.key", KEY),
            ]),
            ..any_file()
        },
    );
    let config = config.unwrap_or_else(|p| panic!("{p}"));
    assert!(config.settings.clusters["orders"].auth.auth_query.is_some());
    assert!(config.settings.clusters["orders"].auth.users.contains_key("other"));
}

/// What stands below [`LEAST`], from line 5 on, and what is said about it.
const BAD: &[(&str, &str)] = &[
    (
        "pool.size = 0",
        r#"tidegate.toml:5: clusters.orders.pool.size = 0: must be at least 1
  hint: leave it out for the default, 20"#,
    ),
    (
        "pool.size = 1_000_000",
        r#"tidegate.toml:5: clusters.orders.pool.size = 1_000_000: must be at most 10000
  hint: leave it out for the default, 20"#,
    ),
    (
        "pool.size = -1",
        r#"tidegate.toml:5: clusters.orders.pool.size = -1: must not be negative
  hint: leave it out for the default, 20"#,
    ),
    (
        "pool.size = \"30\"",
        r#"tidegate.toml:5: clusters.orders.pool.size = "30": must be a whole number
  hint: write it without quotes: 30"#,
    ),
    (
        "\npool.siez = 30",
        r#"tidegate.toml:6: clusters.orders.pool.siez: there is no such key
  hint: did you mean size?"#,
    ),
    (
        "zebra = 1",
        r#"tidegate.toml:5: clusters.orders.zebra: there is no such key
  hint: known here: engine, databases, nodes, replication, log_slow, monitor, tls, route, classifier, pool, auth, failover, backup"#,
    ),
    (
        "pool.query_wait = 30",
        r#"tidegate.toml:5: clusters.orders.pool.query_wait = 30: must be a duration such as "50ms", "1s", "10m", "1h" or "1d"
  hint: name the unit: "30s" or "30ms""#,
    ),
    (
        "pool.connect_timeout = \"2h\"",
        r#"tidegate.toml:5: clusters.orders.pool.connect_timeout = "2h": must be at most 1h
  hint: leave it out for the default, "5s""#,
    ),
    (
        "pool.min_idle = 21",
        r#"tidegate.toml:5: clusters.orders.pool.min_idle = 21: must be at most clusters.orders.pool.size, 20
  hint: lower it, or raise clusters.orders.pool.size"#,
    ),
    (
        "pool.max_per_node = 5",
        r#"tidegate.toml:5: clusters.orders.pool.max_per_node = 5: must be at least clusters.orders.pool.size, 20, or 0 for no limit
  hint: raise it, or lower clusters.orders.pool.size"#,
    ),
    (
        "pool.mode = \"statement\"",
        r#"tidegate.toml:5: clusters.orders.pool.mode = "statement": must be "transaction" or "session"
  hint: leave it out for the default, "transaction""#,
    ),
    (
        "route.consistency = \"Bounded\"",
        r#"tidegate.toml:5: clusters.orders.route.consistency = "Bounded": must be "eventual", "bounded", "session", "strong" or "primary"
  hint: did you mean "bounded"?"#,
    ),
    (
        "route.rules = [{ user = \"x\", to = \"d\" }]",
        r#"tidegate.toml:5: clusters.orders.route.rules[0].to = "d": is no place here
  hint: one of: any, primary, replica, a"#,
    ),
    (
        "route.rules = [{ user = \"x\" }]",
        r#"tidegate.toml:5: clusters.orders.route.rules[0] = {…}: says who, but not what
  hint: give it at least one of: to, consistency, max_staleness"#,
    ),
    (
        "engine = \"oracle\"",
        r#"tidegate.toml:5: clusters.orders.engine = "oracle": must be "postgres", "mysql" or "mariadb"
  hint: leave it out for the default, "postgres""#,
    ),
    (
        "failover.mode = \"automatic\"",
        r#"tidegate.toml:5: clusters.orders.failover.mode = "automatic": needs a second node
  hint: set "off", or add a standby to nodes"#,
    ),
    (
        "failover.commit_outcome = \"resolve\"",
        r#"tidegate.toml:5: clusters.orders.failover.commit_outcome = "resolve": is for clusters whose failover is done here
  hint: set clusters.orders.failover.mode, or remove it"#,
    ),
    (
        "backup = { store = \"s3://x/y\", from = \"any\", pause_lag = \"2m\" }",
        r#"tidegate.toml:5: clusters.orders.backup.pause_lag = "2m": must be at most clusters.orders.backup.max_lag, 60s
  hint: a replica that is further behind is not taken at all"#,
    ),
    (
        "backup.store = \"/var/backups\"",
        r#"tidegate.toml:5: clusters.orders.backup.store = "/var/backups": must be a place such as "file:///var/backups/orders" or "s3://bucket/orders"
  hint: for example store = "s3://backups/orders""#,
    ),
    (
        "backup.schedule = \"0 3 * *\"",
        r#"tidegate.toml:5: clusters.orders.backup.schedule = "0 3 * *": must be a cron pattern such as "0 3 * * *"
  hint: Invalid pattern: Pattern must have between 5 and 7 fields."#,
    ),
    (
        "backup = { store = \"s3://x/y\", from = \"any\", hooks = { webhook_file = \"hook\" } }",
        r#"tidegate.toml:5: clusters.orders.backup.hooks.webhook: holds no URL of the web
  hint: such as https://example.com/hook; its text is not shown here"#,
    ),
    (
        "backup = { store = \"s3://x/y\", from = \"any\", keys = [{ key_file = \"key\" }] }",
        r#"tidegate.toml:5: clusters.orders.backup.keys[0] = {…}: is no key of 64 hexadecimal digits
  hint: key_file = "/etc/tidegate/backup.key", made by: openssl rand -hex 32"#,
    ),
    (
        "backup.test.settings = [\"work_mem\"]",
        r#"tidegate.toml:5: clusters.orders.backup.test.settings = […]: must be a list of settings such as ["work_mem=64MB"]
  hint: leave it out for the default, []"#,
    ),
    (
        "engine = \"mariadb\"\nbackup.store = \"file:///srv/x\"",
        r#"tidegate.toml:6: clusters.orders.backup.store = "file:///srv/x": backups are not built yet for MySQL and MariaDB
  hint: remove this section; mariadb-backup and mysqldump are at your service"#,
    ),
    (
        "engine = \"mariadb\"\nauth.method = \"scram\"",
        r#"tidegate.toml:6: clusters.orders.auth.method = "scram": is not for MySQL and MariaDB
  hint: "password" is what these engines do: mysql_native_password, or caching_sha2_password"#,
    ),
    (
        "engine = \"mariadb\"\nreplication = \"primary\"",
        r#"tidegate.toml:6: clusters.orders.replication = "primary": is not for MySQL and MariaDB
  hint: replicas connect to the servers themselves"#,
    ),
    (
        "databases = \"orders\"",
        r#"tidegate.toml:5: clusters.orders.databases = "orders": must be a list of names such as ["orders", "billing"], or "*"
  hint: a single name is a list too: ["orders"]"#,
    ),
    (
        "tls.mode = \"verify-full\"",
        r#"tidegate.toml:5: clusters.orders.tls.mode = "verify-full": needs a ca
  hint: set clusters.orders.tls.ca to the certificates that sign those of the nodes"#,
    ),
    (
        "[tls]\nmode = \"require\"",
        r#"tidegate.toml:6: tls.mode = "require": needs a certificate
  hint: set tls.cert and tls.key, or tls.mode = "off""#,
    ),
    (
        "[tls]\ncert = \"server.crt\"",
        r#"tidegate.toml:5: tls.key: is missing: the private key of cert
  hint: a certificate and its key come together"#,
    ),
    (
        "auth.method = \"cert\"",
        r#"tidegate.toml:5: clusters.orders.auth.method = "cert": needs clients that show a certificate
  hint: set tls.mode = "verify" with tls.cert, tls.key and tls.ca"#,
    ),
    (
        "auth.users.ro = {}",
        r#"tidegate.toml:5: clusters.orders.auth.users.ro = {…}: "scram" needs a password for each user
  hint: add password_file or password_env"#,
    ),
    (
        "auth.users.ro.password = \"tiger\"",
        r#"tidegate.toml:5: clusters.orders.auth.users.ro.password: a password does not belong in this file
  hint: write password_file = "/run/secrets/NAME", a file that holds nothing else, or password_env = "NAME", an environment variable"#,
    ),
    (
        "auth.users.ro.password_env = \"RO_PASSWORD\"",
        r#"tidegate.toml:5: clusters.orders.auth.users.ro.password_env = "RO_PASSWORD": the environment variable RO_PASSWORD is not set, or empty
  hint: set it in the environment of tidegate, or use password_file"#,
    ),
    (
        "auth.users.ro.password_env = \"tiger tiger\"",
        r#"tidegate.toml:5: clusters.orders.auth.users.ro.password_env: must be the name of an environment variable: letters, digits and _
  hint: write the name of the variable here, not the secret itself"#,
    ),
    (
        "[listen]\npostgres = \"localhost:6432\"",
        r#"tidegate.toml:6: listen.postgres = "localhost:6432": must be an IP address with a port such as "127.0.0.1:6432" or "[::]:6432", or "off"
  hint: leave it out for the default, "127.0.0.1:6432""#,
    ),
    (
        "auth.method = \"trust\"\n[listen]\npostgres = \"0.0.0.0:6432\"",
        r#"tidegate.toml:7: listen.postgres = "0.0.0.0:6432": other machines reach this, but clusters.orders.auth.method = "trust" lets everyone in
  hint: set clusters.orders.auth.method = "scram", or listen on 127.0.0.1"#,
    ),
    (
        "[listen]\nconsole = \"[::]:6433\"",
        r#"tidegate.toml:6: listen.console = "[::]:6433": other machines reach this, but the console has no users, so lets everyone in
  hint: add [console.users.admin] with a password_file, or listen on 127.0.0.1"#,
    ),
    (
        "[listen]\nhttp = \"10.0.0.9:6480\"",
        r#"tidegate.toml:6: listen.http = "10.0.0.9:6480": other machines reach this, but http has no token, so lets everyone in
  hint: set http.token_file, or listen on 127.0.0.1"#,
    ),
    (
        "[listen]\nhttp = \"127.0.0.1:6432\"",
        r#"tidegate.toml:6: listen.http = "127.0.0.1:6432": listen.postgres is there already
  hint: give each listener its own port, or "off""#,
    ),
    (
        "[clusters.billing]\nnodes = [{ name = \"x\", address = \"db2:5432\" }]\nmonitor.user = \"t\"\nauth.method = \"trust\"",
        r#"tidegate.toml:1: clusters.orders.databases: is "*" by default, but so is cluster billing's
  hint: a name, and "*", may lead to one cluster only"#,
    ),
    (
        "pool = 7",
        "tidegate.toml:5: clusters.orders.pool = 7: must be a table with the keys mode, size, min_idle, max_per_node, max_clients, max_clients_per_address, max_clients_per_user, max_clients_per_database, max_replication, query_wait, connect_timeout, max_lifetime, idle_timeout, check_after, connecting, max_prepared, max_client_prepared, databases\n  hint: write clusters.orders.pool.mode = …, or a section [clusters.orders.pool]",
    ),
];

#[test]
fn each_mistake_is_told_with_line_key_value_and_hint() {
    for (text, expected) in BAD {
        assert_eq!(told(below_the_least(text)), *expected, "\n{text}");
    }
}

#[test]
fn nodes_are_checked_one_by_one() {
    let text = r#"
[clusters.orders]
monitor.user = "tidegate"
auth.method = "trust"
nodes = [
  { name = "a", address = "db1" },
  { name = "a", address = "db2:5432", weight = 2000 },
  { name = "c d", address = "db2:5432" },
  { address = "postgres://app:tiger@db:5432" },
]"#;
    let expected = r#"tidegate.toml:6: clusters.orders.nodes[0].address = "db1": must be a host and port such as "db1.example:5432" or "[fd00::1]:5432"
  hint: add the port: "db1:5432"
tidegate.toml:7: clusters.orders.nodes[1].weight = 2000: must be at most 1000
  hint: leave it out for the default, 1
tidegate.toml:7: clusters.orders.nodes[1].name = "a": nodes[0] has this name already
  hint: give each node its own name
tidegate.toml:8: clusters.orders.nodes[2].name = "c d": a name has 1 to 63 letters, digits, - and _
  hint: it stands in logs, metrics and console commands
tidegate.toml:8: clusters.orders.nodes[2].address = "db2:5432": nodes[1] has this address already
  hint: list each server once
tidegate.toml:9: clusters.orders.nodes[3].name: is missing: a text in quotes
  hint: for example name = "a"
tidegate.toml:9: clusters.orders.nodes[3].address = "…": must be a host and port such as "db1.example:5432" or "[fd00::1]:5432"
  hint: for example address = "10.0.0.1:5432""#;
    assert_eq!(told(read(text)), expected);
}

#[test]
fn a_cluster_has_at_most_64_nodes() {
    let nodes = |n: usize| {
        let one = |i| format!("{{ name = \"n{i}\", address = \"db{i}:5432\" }}");
        let list: Vec<String> = (0..n).map(one).collect();
        read(&format!(
            "[clusters.a]\nmonitor.user = \"t\"\nauth.method = \"trust\"\nnodes = [{}]",
            list.join(", ")
        ))
    };
    assert!(nodes(64).is_ok());
    assert!(
        told(nodes(65)).starts_with(
            "tidegate.toml:4: clusters.a.nodes = […]: 65 nodes; at most 64 are possible"
        )
    );
}

#[test]
fn an_empty_file_is_told_what_is_missing() {
    assert_eq!(
        told(read("")),
        "tidegate.toml: clusters: no cluster is configured\n  \
         hint: add [clusters.NAME] with its nodes; `tidegate reference` prints every key"
    );
}

#[test]
fn text_that_is_not_toml_is_told_by_line_without_its_content() {
    let said = told(read("a = 1\nb = \"hunter2\n[c]\n"));
    assert!(said.starts_with("tidegate.toml:2: not TOML: "), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_database_leads_to_one_cluster_only() {
    let cluster = |name: &str, databases: &str| {
        format!(
            "[clusters.{name}]\ndatabases = {databases}\nmonitor.user = \"t\"\n\
             nodes = [{{ name = \"a\", address = \"{name}:5432\" }}]\nauth.method = \"trust\"\n"
        )
    };
    let both = |a: &str, b: &str| read(&(cluster("a", a) + &cluster("b", b)));
    assert!(both("[\"x\"]", "\"*\"").is_ok());
    let said = told(both("[\"x\", \"y\"]", "[\"z\", \"y\"]"));
    assert!(
        said.starts_with(
            "tidegate.toml:7: clusters.b.databases = […]: \"y\" belongs to cluster a already"
        ),
        "{said}"
    );
    assert!(both("\"*\"", "[\"*\"]").is_err());
}

#[test]
fn a_missing_secret_file_is_named() {
    let text = format!("{LEAST}monitor.password_file = \"/run/secrets/monitor\"");
    let machine = Invented {
        files: BTreeMap::from([("/etc/tidegate/app", "hunter2\n")]),
        ..Invented::default()
    };
    let said = told(config::parse_in(&text, "/etc/tidegate/main.toml", &machine));
    assert_eq!(
        said,
        "/etc/tidegate/main.toml:5: clusters.orders.monitor.password_file = \
         \"/run/secrets/monitor\": cannot read /run/secrets/monitor: no such file\n  \
         hint: the user that runs tidegate must be able to read it"
    );
}

#[test]
fn a_secret_that_everyone_can_read_is_a_warning() {
    let machine = Invented { open_to_all: vec!["app"], ..any_file() };
    let config = config::parse_in(LEAST, "tidegate.toml", &machine).unwrap();
    assert_eq!(
        told(Ok(config)),
        "tidegate.toml:4: warning: clusters.orders.auth.users.app.password_file = \"app\": \
         everyone on this machine can read app\n  hint: chmod o-r app\n"
    );
}

#[test]
fn a_users_file_adds_users_and_its_bad_lines_are_told_by_number() {
    let text = format!("{LEAST}auth.users_file = \"users.txt\"");
    let with = |content: &'static str| {
        let files = BTreeMap::from([("users.txt", content)]);
        config::parse_in(&text, "tidegate.toml", &Invented { files, ..any_file() })
    };
    let config = with("\"ro\" \"SCRAM-SHA-256$4096:x$y:z\"\n").unwrap();
    assert_eq!(
        config.settings.clusters["orders"].auth.users.keys().collect::<Vec<_>>(),
        ["app", "ro"]
    );
    let said = told(with("\"ro\" \"x\"\nhunter3\n\"ro\" \"y\"\n"));
    assert_eq!(
        said,
        "tidegate.toml:5: clusters.orders.auth.users_file = \"users.txt\": line 2 of users.txt \
         is not of the form \"name\" \"password\", and 1 more is wrong\n  \
         hint: one user in each line: \"name\" \"password\""
    );
}

#[test]
fn secrets_never_print() {
    let text = format!(
        "{LEAST}monitor.password_file = \"m\"\n[http]\ntoken_env = \"TOKEN\"\n\
         [console.users.admin]\npassword_file = \"c\"\n"
    );
    let machine =
        Invented { variables: BTreeMap::from([("TOKEN", "hunter2-token")]), ..any_file() };
    let config = config::parse_in(&text, "tidegate.toml", &machine).unwrap();
    assert_eq!(config.settings.http.token.as_ref().unwrap().expose(), "hunter2-token");
    let debug = format!("{config:?}");
    assert!(debug.contains("Secret(…)"));
    assert!(!debug.contains("hunter2"), "{debug}");
    assert!(!config.effective().values().any(|e| e.value.contains("hunter2")));
}

#[test]
fn a_listener_can_be_off() {
    let config = below_the_least("[listen]\nhttp = \"off\"").unwrap();
    assert_eq!(config.settings.listen.http, Door::Off);
}

#[test]
fn a_bound_below_the_monitors_interval_is_a_warning() {
    let said = told(below_the_least("route.max_staleness = \"100ms\""));
    assert_eq!(
        said,
        "tidegate.toml:5: warning: clusters.orders.route.max_staleness = \"100ms\": is not more \
         than clusters.orders.monitor.interval, 100ms: replicas will hardly ever be fresh enough\
         \n  hint: twice the interval is the least that works well\n"
    );
}

#[test]
fn a_reload_tells_what_changes_at_once_and_what_needs_a_restart() {
    let old = below_the_least("").unwrap();
    let new = below_the_least(
        "pool.size = 30\n[listen]\npostgres = \"127.0.0.1:7432\"\n[clusters.new]\n\
         databases = [\"n\"]\nnodes = [{ name = \"a\", address = \"n:1\" }]\n\
         monitor.user = \"t\"\nauth.method = \"trust\"",
    )
    .unwrap();
    let changes = config::diff(&old, &new);
    let restart: Vec<&str> = changes.needs_restart.iter().map(|c| c.key.as_str()).collect();
    assert!(restart.contains(&"listen.postgres"));
    assert!(restart.contains(&"clusters.new.engine"));
    let door = changes.needs_restart.iter().find(|c| c.key == "listen.postgres").unwrap();
    assert_eq!(door.new.as_deref(), Some("\"127.0.0.1:7432\""));
    let live: Vec<&str> = changes.live.iter().map(|c| c.key.as_str()).collect();
    assert_eq!(live, ["clusters.orders.pool.size"]);
    assert!(config::diff(&old, &old).is_empty());
}

#[test]
fn a_secret_with_new_content_is_a_change_and_the_same_value_written_otherwise_is_not() {
    let old = below_the_least("pool.query_wait = \"60s\"").unwrap();
    let same = below_the_least("pool.query_wait = \"1m\"").unwrap();
    assert!(config::diff(&old, &same).is_empty());
    let text = format!("{LEAST}pool.query_wait = \"1m\"");
    let machine = Invented { otherwise: Some("other"), ..Invented::default() };
    let other = config::parse_in(&text, "tidegate.toml", &machine).unwrap();
    let changes = config::diff(&old, &other);
    assert_eq!(changes.live.len(), 1);
    assert_eq!(changes.live[0].key, "clusters.orders.auth.users.app.password_file");
}

#[test]
fn a_collector_of_traces_is_a_url_and_its_key_is_no_part_of_the_file() {
    let with = |keys: &str| below_the_least(&format!("[tracing]\n{keys}\n"));
    let tracing = below_the_least("").unwrap().settings.tracing;
    assert!(tracing.endpoint.is_none() && tracing.sample_ratio.0 == 0.01);
    let endpoint = |url: &str| {
        let tracing = with(&format!("endpoint = {url:?}")).unwrap().settings.tracing;
        tracing.endpoint.expect("an endpoint").0.to_string()
    };
    assert_eq!(endpoint("http://c:4318"), "http://c:4318/v1/traces");
    assert_eq!(endpoint("https://c/otlp/v1/traces"), "https://c/otlp/v1/traces");
    let headers = with("endpoint = \"http://c\"\nheaders_file = \"h\"").unwrap().settings.tracing;
    assert_eq!(headers.headers.expect("headers").expose(), "hunter2");
    let says = |keys: &str| told(with(keys));
    assert!(says("endpoint = \"c:4318\"").contains("must be a URL such as"));
    assert!(
        says("endpoint = \"http://me:secret@c\"").contains("must not hold a user or a password")
    );
    assert!(says("headers_file = \"h\"").contains("tracing.endpoint: is missing"));
    assert!(says("headers = \"key=x\"").contains("a key does not belong in this file"));
    for ratio in ["1.5", "-0.1", "\"1\"", "nan"] {
        assert!(says(&format!("sample_ratio = {ratio}")).contains("from 0.0 to 1.0"), "{ratio}");
    }
    assert_eq!(with("sample_ratio = 1").unwrap().settings.tracing.sample_ratio.0, 1.0);
}
