//! PgBouncer's `pgbouncer.ini`, with the `userlist.txt` and the `pg_hba.conf` that it names.

mod databases;
mod doors;
mod hba;
mod rules;
mod settings;
mod users;

use super::cluster::{number, of};
use super::ini::{self, Setting};
use super::verdicts::Given;
use super::{Engine, ImportError, Work};
use databases::Group;
use settings::{OTHERS, POOL};

pub(super) fn import(work: &mut Work<'_>) -> Result<(), ImportError> {
    let read = ini::read(work.source.text)
        .map_err(|bad| work.syntax(bad.line, "neither [section] nor key = value"))?;
    let file = File { settings: read };
    let groups = databases::groups(work, &file)?;
    let rules = rules::read(work, &file);
    doors::listen(work, &file, &rules);
    doors::client_tls(work, &file);
    let known = users::read(work, &file, rules);
    users::console(work, &file, &known);
    users::strangers(work, &file, &known);
    for group in &groups {
        cluster(work, &file, group);
        users::of_cluster(work, &file, group, &known);
    }
    for setting in file.global() {
        let in_pool = POOL.iter().any(|(name, _)| *name == setting.key);
        if !in_pool {
            work.settle(&["listen"], given(setting), OTHERS);
        }
    }
    for setting in &file.settings {
        if setting.section == "peers" {
            let why = "processes do not know each other.";
            work.note(setting.line, format!("peers: {}", setting.key), why, "");
        } else if !["pgbouncer", "databases", "users", ""].contains(&setting.section.as_str()) {
            let why = "PgBouncer has no such section.";
            work.note(setting.line, format!("[{}] {}", setting.section, setting.key), why, "");
        }
    }
    Ok(())
}

/// The settings of a file.
struct File {
    settings: Vec<Setting>,
}

impl File {
    fn section(&self, name: &'static str) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(move |setting| setting.section == name)
    }

    /// Those of `[pgbouncer]`; as there, the last of a name counts.
    fn global(&self) -> impl Iterator<Item = &Setting> {
        let all = self.settings.iter().enumerate();
        let of_process = |s: &Setting| s.section == "pgbouncer" || s.section.is_empty();
        all.filter(move |(_, setting)| of_process(setting)).filter_map(move |(at, setting)| {
            let again =
                self.settings[at + 1..].iter().any(|s| of_process(s) && s.key == setting.key);
            (!again || setting.key == "%include").then_some(setting)
        })
    }

    /// A global setting that has a value.
    fn get(&self, key: &str) -> Option<&Setting> {
        self.global().find(|setting| setting.key == key && !setting.value.is_empty())
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.get(key).map(|setting| setting.value.as_str())
    }
}

fn given(setting: &Setting) -> Given<'_> {
    Given { line: setting.line, name: &setting.key, value: &setting.value }
}

/// Everything of a cluster but who may log in.
fn cluster(work: &mut Work<'_>, file: &File, group: &Group) {
    let name = group.name.as_str();
    let table = work.draft.table(&["clusters", name]);
    table.set("engine", "postgres", "");
    match group.names.as_slice() {
        [] => table.set("databases", "*", group.origin.as_str()),
        names => {
            let star = group.any.then_some("*");
            let names = names.iter().map(String::as_str).chain(star).map(Into::into).collect();
            table.set("databases", toml::Value::Array(names), group.origin.as_str())
        }
    };
    work.nodes(name, &group.servers);
    work.monitor(name, Engine::Postgres, None);
    doors::server_tls(work, file, name);
    let pool = ["clusters", name, "pool"];
    mode(work, file, group);
    for setting in file.global().filter(|s| POOL.iter().any(|(name, _)| *name == s.key)) {
        work.settle(&pool, given(setting), POOL);
    }
    if let Some(prepared) = file.get("max_prepared_statements") {
        let wanted = prepared.value.parse().unwrap_or(0);
        let here = (prepared.line, prepared.key.as_str());
        match wanted {
            0 => work.note(
                prepared.line,
                "max_prepared_statements = 0",
                "prepared statements work, always.",
                "",
            ),
            wanted => {
                let wanted = work.within(here, wanted, (1, 100_000));
                let why = of("max_prepared_statements", prepared.line);
                work.draft.table(&pool).set("max_prepared", number(wanted), why);
            }
        }
    }
    if let Some((size, line)) = group.pool_size {
        let size = work.within((line, "pool_size"), size, (1, 10_000));
        work.draft.table(&pool).set("size", number(size), of("pool_size", line));
    }
    let size = file.value("default_pool_size").and_then(|n| n.parse().ok());
    let size = group.pool_size.map(|(size, _)| size).or(size).unwrap_or(20_u64).max(1);
    if let Some(least) = file.get("min_pool_size")
        && least.value.parse::<u64>().is_ok_and(|wanted| wanted > size)
    {
        let why = format!("it is more than the pool has: it became {size}.");
        work.note(least.line, "min_pool_size", why, "");
        work.draft.table(&pool).set("min_idle", number(size), of("min_pool_size", least.line));
    }
    for (database, limit, line) in &group.client_limits {
        let path = ["clusters", name, "pool", "databases", database];
        let why = of("max_db_client_connections", *line);
        work.draft.table(&path).set("max_clients", number(*limit), why);
    }
}

/// When a client gives its server connection back.
fn mode(work: &mut Work<'_>, file: &File, group: &Group) {
    let global = file.get("pool_mode").map(|s| (s.value.clone(), s.line));
    let (mode, why) = match group.pool_mode.clone().or(global) {
        Some((mode, line)) => (mode, of("pool_mode", line)),
        None => (
            "session".into(),
            "PgBouncer's default; \"transaction\" needs far fewer connections".into(),
        ),
    };
    let known = match mode.as_str() {
        "session" => "session",
        "statement" => {
            let line = group.pool_mode.as_ref().map_or(0, |(_, line)| *line);
            let line = file.get("pool_mode").map_or(line, |setting| setting.line);
            let why =
                "transactions of several statements are not forbidden: it became \"transaction\".";
            work.note(line, "pool_mode = statement", why, "");
            "transaction"
        }
        _ => "transaction",
    };
    work.draft.table(&["clusters", &group.name, "pool"]).set("mode", known, why);
}
