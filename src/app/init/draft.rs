//! What was found, as a configuration.

use super::{Found, Start};
use crate::config::Engine;
use crate::draft::Draft;
use crate::import::letter;

/// How the monitor's password is told: a key and its value.
pub(in crate::app) type Told = Option<(&'static str, String)>;

/// A commented configuration of the servers. `users`: the path of a file of users, where they cannot
/// be looked up.
pub(in crate::app) fn write(
    start: &Start,
    found: &Found,
    (name, told, users): (&str, Told, &str),
) -> Draft {
    let mut draft = Draft::default();
    draft.say("Written by `tidegate init`. `tidegate reference` prints every key; then");
    draft.say("  tidegate check --connect -c THIS_FILE");
    draft.say("  tidegate run -c THIS_FILE");
    for missing in &found.missing {
        draft.say(format!(
            "Not found: {missing}. Where it listens nobody told: add it to the nodes."
        ));
    }
    draft.table(&[]).set("state_dir", "/var/lib/tidegate", "what must survive a restart");
    listen(&mut draft, start.engine);
    let cluster = draft.table(&["clusters", name]);
    cluster.set("engine", word(start.engine), "");
    cluster.set("databases", "*", "names that clients ask for; \"*\": any");
    for (number, server) in found.servers.iter().enumerate() {
        let node = draft.element(&["clusters", name, "nodes"]);
        node.set("name", letter(number), if server.primary { "the primary now" } else { "" });
        node.set("address", server.address.as_str(), &server.version);
    }
    let monitor = draft.table(&["clusters", name, "monitor"]);
    let lacks: Vec<&String> = found.servers.iter().flat_map(|server| &server.lacks).collect();
    if let Some(first) = lacks.first() {
        monitor.say("This user lacks something, on the primary:");
        monitor.say(format!("  {first}"));
    }
    monitor.set("user", start.user.as_str(), "");
    if let Some((key, value)) = told {
        monitor.set(key, value, "");
    }
    if start.engine == Engine::Postgres && start.database != "postgres" {
        monitor.set("database", start.database.as_str(), "");
    }
    auth(&mut draft, start, found, (name, users));
    rest(&mut draft, name, start.engine);
    draft
}

fn listen(draft: &mut Draft, engine: Engine) {
    let table = draft.table(&["listen"]);
    table.say("This machine alone may connect; another address needs passwords, which are below.");
    match engine {
        Engine::Postgres => table.set("postgres", "127.0.0.1:6432", "for applications"),
        Engine::Mysql | Engine::Mariadb => table.set("mysql", "127.0.0.1:6033", "for applications"),
    };
    table.set("console", "127.0.0.1:6433", "psql -p 6433 tidegate");
    table.set("http", "127.0.0.1:6480", "dashboard, /metrics, /readyz");
}

fn auth(draft: &mut Draft, start: &Start, found: &Found, (name, users): (&str, &str)) {
    let password = draft_password(draft, name);
    if found.servers.iter().any(|server| server.may_look_up) {
        let table = draft.table(&["clusters", name, "auth", "auth_query"]);
        table
            .say("Users and their verifiers are looked up in the database, by the monitor's user.");
        table.set("user", start.user.as_str(), "");
        if let Some((key, value)) = password {
            table.set(&key, value, "");
        }
        table.set("database", start.database.as_str(), "");
    } else {
        let table = draft.table(&["clusters", name, "auth"]);
        table.say("Users, one in each line: \"name\" \"password\". Fill it.");
        table.set("users_file", users, "");
    }
}

/// The key and value of the monitor's password, which the lookup needs, too.
fn draft_password(draft: &mut Draft, name: &str) -> Option<(String, String)> {
    let monitor = draft.table(&["clusters", name, "monitor"]);
    let keys = ["password_file", "password_env"];
    keys.iter().find_map(|key| Some(((*key).to_owned(), monitor.text(key)?.to_owned())))
}

/// What is worth a thought, with its default.
fn rest(draft: &mut Draft, name: &str, engine: Engine) {
    let route = draft.table(&["clusters", name, "route"]);
    route.set("consistency", "session", "eventual, bounded, session, strong, primary");
    route.set("max_staleness", "1s", "how old what a replica shows may be");
    let pool = draft.table(&["clusters", name, "pool"]);
    pool.set("mode", "transaction", "or \"session\"");
    pool.set("size", 20, "server connections for each node, user and database");
    if engine == Engine::Postgres {
        let failover = draft.table(&["clusters", name, "failover"]);
        failover.set(
            "mode",
            "off",
            "\"manual\", \"automatic\"; `tidegate doctor` says what it needs",
        );
        let backup = draft.table(&["clusters", name, "backup"]);
        backup.say("Backups from a replica:");
        backup.propose("store", "s3://backups/orders", "or file:// gs:// az://");
        backup.propose("schedule", "0 3 * * *", "");
    }
}

pub(super) fn word(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => "postgres",
        Engine::Mysql => "mysql",
        Engine::Mariadb => "mariadb",
    }
}
