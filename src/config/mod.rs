//! The configuration: TOML in, every module's settings out, or all problems at once.
//!
//! Options are declared once, in `server`, `cluster` and `auth`. What the declarations cannot
//! say, because it needs more than one key or a look at the machine, is in `checks`.

mod addresses;
mod agent;
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
mod proof;
mod reading;
mod reference;
mod routing;
mod rules;
mod schema;
mod secret;
mod server;
mod tables;
mod traces;
mod units;
mod values;

pub use crate::pg::auth::Method;
pub use addresses::{Address, Door};
pub use agent::{Agent, AgentDoor, AgentUrl};
pub use auth::{Auth, AuthQuery, User};
pub use backup::Backup;
pub use choices::{ClientTlsMode, Engine, Format, Level, ServerTlsMode};
pub use cluster::{Classifier, Cluster, Databases, Monitor, Node, ServerTls};
pub use diff::{Change, Changes, diff};
pub use problem::{Problem, Problems, Severity};
pub use reference::{agent_reference, reference};
pub use routing::{Groups, Route, Rule};
pub use secret::{Machine, Secret, Surroundings};
pub use server::{ClientTls, Console, ConsoleUser, Http, Listen, Log, Settings};
pub use traces::Traces;
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
    text_of(path).and_then(|text| parse(&text, &path.display().to_string()))
}

/// The same for the file of an agent, with what somebody should know all the same.
pub fn load_agent(path: &Path) -> Result<(Agent, Vec<Problem>), Problems> {
    text_of(path).and_then(|text| parse_agent(&text, &path.display().to_string(), &Machine))
}

/// As [`parse_in`], for the file of an agent.
pub fn parse_agent(
    text: &str,
    origin: &str,
    around: &dyn Surroundings,
) -> Result<(Agent, Vec<Problem>), Problems> {
    let mut reading = reading::Reading::new(text, origin, around);
    let read = syntax(text, &mut reading).map(|table| agent::read(&table, &mut reading));
    let (read, warnings, _) = judged(read, reading)?;
    Ok((read, warnings))
}

fn text_of(path: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(path).map_err(|error| {
        Problems(vec![Problem {
            severity: Severity::Error,
            origin: path.display().to_string(),
            line: None,
            key: String::new(),
            value: None,
            says: format!("cannot be read: {}", secret::why_unreadable(&error)),
            hint: Some("name the configuration with -c FILE".into()),
        }])
    })
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
    let read = syntax(text, &mut reading).map(|table| {
        let mut settings: Settings = reading::root("", Some(&table), &mut reading);
        checks::complete(&mut settings, &mut reading);
        settings
    });
    let (settings, warnings, effective) = judged(read, reading)?;
    Ok(Config { settings, warnings, effective })
}

/// The table that the text is; `None`: it is none, as the problems say.
fn syntax<'t>(text: &'t str, reading: &mut reading::Reading<'_>) -> Option<DeTable<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let whole = errors.is_empty();
    for error in errors {
        reading.syntax(error.span().map(|s| s.start), error.message());
    }
    whole.then(|| table.into_inner())
}

type Judged<T> = (T, Vec<Problem>, BTreeMap<String, Effective>);

/// What was read, with its warnings, if there are no errors.
fn judged<T>(read: Option<T>, reading: reading::Reading<'_>) -> Result<Judged<T>, Problems> {
    let (mut problems, effective) = (reading.problems, reading.effective);
    problems.sort_by_key(|p| p.line);
    let wrong = problems.iter().any(|p| p.severity == Severity::Error);
    match read.filter(|_| !wrong) {
        Some(read) => Ok((read, problems, effective)),
        None => Err(Problems(problems)),
    }
}
