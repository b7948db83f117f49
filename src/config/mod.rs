//! The configuration: TOML in, every module's settings out, or all problems at once.
//!
//! Options are declared once, in `server`, `cluster` and `auth`. What the declarations cannot
//! say, because it needs more than one key or a look at the machine, is in `checks`.

mod addresses;
mod auth;
mod backup;
mod checks;
mod choices;
mod cluster;
mod diff;
mod failover;
mod functions;
mod logins;
mod other_engine;
mod problem;
mod reading;
mod reference;
mod routing;
mod rules;
mod schema;
mod secret;
mod server;
mod tables;
mod units;
mod values;

pub use crate::pg::auth::Method;
pub use addresses::{Address, Door};
pub use auth::{Auth, AuthQuery, User};
pub use backup::Backup;
pub use choices::{ClientTlsMode, Engine, Format, Level, ServerTlsMode};
pub use cluster::{Classifier, Cluster, Databases, Monitor, Node, ServerTls};
pub use diff::{Change, Changes, diff};
pub use problem::{Problem, Problems, Severity};
pub use reference::reference;
pub use routing::{Groups, Route, Rule};
pub use secret::{Machine, Secret, Surroundings};
pub use server::{ClientTls, Console, ConsoleUser, Http, Listen, Log, Settings};
pub use values::Size;

use std::collections::BTreeMap;
use std::path::Path;
use toml::de::DeTable;

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Config {
    pub settings: Settings,
    /// What somebody should know all the same.
    pub warnings: Vec<Problem>,
    effective: BTreeMap<String, Effective>,
}

/// What a key is set to, for the console and for comparing two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// As it would stand in the file; for a secret, where it comes from.
    pub value: String,
    /// `None` when the key has no default.
    pub default: Option<String>,
    /// True when only a restart can change it.
    pub restart: bool,
    secret: Option<Secret>,
}

impl Config {
    /// Every key that has a value, given or by default, by its full path.
    pub fn effective(&self) -> &BTreeMap<String, Effective> {
        &self.effective
    }
}

/// Reads a file, and the secrets it names.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let origin = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &origin),
        Err(error) => Err(Problems(vec![Problem {
            severity: Severity::Error,
            origin,
            line: None,
            key: String::new(),
            value: None,
            says: format!("cannot be read: {}", secret::why_unreadable(&error)),
            hint: Some("name the configuration with -c FILE".into()),
        }])),
    }
}

/// The file with one key changed. Problems name no lines: nobody sees this text.
pub fn load_with(path: &Path, key: &str, value: &str) -> Result<Config, Problems> {
    let origin = path.display().to_string();
    let told = |says: String, hint: &str| {
        let (line, value) = (None, Some(value.to_owned()));
        let (severity, key) = (Severity::Error, key.to_owned());
        let hint = Some(hint.to_owned());
        Problems(vec![Problem { severity, origin: origin.clone(), line, key, value, says, hint }])
    };
    let text = std::fs::read_to_string(path)
        .map_err(|e| told(secret::why_unreadable(&e), "the file must be readable still"))?;
    let mut table: toml::Table = text
        .parse()
        .map_err(|_| told("the file is not TOML any more".into(), "mend it, then RELOAD"))?;
    place(&mut table, key, value).ok_or_else(|| {
        told("is not a key that can be set".into(), "SHOW CONFIG has the keys that can")
    })?;
    let parsed = parse(&table.to_string(), &origin);
    parsed.map_err(|Problems(mut problems)| {
        problems.iter_mut().for_each(|problem| problem.line = None);
        Problems(problems)
    })
}

/// Puts a value, as TOML or else as a text, at a path of tables; `None`: something else is there.
fn place(table: &mut toml::Table, path: &str, text: &str) -> Option<()> {
    let read = format!("value = {text}").parse::<toml::Table>();
    let value = read.ok().and_then(|mut read| read.remove("value"));
    let value = value.unwrap_or_else(|| toml::Value::String(text.to_owned()));
    let (tables, last) = path.rsplit_once('.')?;
    let mut inner = table;
    for name in tables.split('.') {
        let empty = || toml::Value::Table(toml::Table::new());
        inner = inner.entry(name).or_insert_with(empty).as_table_mut()?;
    }
    inner.insert(last.to_owned(), value);
    Some(())
}

/// Understands the text of a file, and reads the secrets it names. `origin` names it in
/// problems; relative paths start at its folder.
pub fn parse(text: &str, origin: &str) -> Result<Config, Problems> {
    parse_in(text, origin, &Machine)
}

/// As [`parse`], with files and environment variables from `around`.
pub fn parse_in(text: &str, origin: &str, around: &dyn Surroundings) -> Result<Config, Problems> {
    let mut reading = reading::Reading::new(text, origin, around);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            reading.syntax(error.span().map(|s| s.start), error.message());
        }
        let mut problems = reading.problems;
        problems.sort_by_key(|p| p.line);
        return Err(Problems(problems));
    }
    let mut settings: Settings = reading::root("", Some(table.get_ref()), &mut reading);
    checks::complete(&mut settings, &mut reading);
    let (mut problems, effective) = (reading.problems, reading.effective);
    problems.sort_by_key(|p| p.line);
    match problems.iter().any(|p| p.severity == Severity::Error) {
        true => Err(Problems(problems)),
        false => Ok(Config { settings, warnings: problems, effective }),
    }
}
