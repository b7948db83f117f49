//! The configurations of other proxies, as a draft of ours.
//!
//! What has a meaning here is carried over, and beside it stands where it comes from; each setting
//! that has none is named, with its line, the reason and what to do instead. Nothing is left out in
//! silence.

mod cluster;
mod haproxy;
mod hostgroups;
mod ini;
mod libconfig;
mod maxscale;
mod pgbouncer;
mod proxysql;
mod query_rules;
mod secrets;
mod verdicts;

pub use cluster::letter;
pub use secrets::Keep;

use crate::draft::Draft;
use crate::secret::Secret;
use secrets::Secrets;
use std::fmt;
use std::path::Path;
use thiserror::Error;
use zeroize::Zeroizing;

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    PgBouncer,
    ProxySql,
    MaxScale,
    HaProxy,
}

/// What the servers are, where the file does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    Mysql,
    Mariadb,
}

impl Engine {
    /// As `engine` in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Engine::Postgres => "postgres",
            Engine::Mysql => "mysql",
            Engine::Mariadb => "mariadb",
        }
    }
}

/// A file to be imported, and what is known besides.
pub struct Source<'a> {
    /// As it is named in comments.
    pub name: &'a str,
    pub text: &'a str,
    /// Reads a file that the configuration names; `None`: it cannot be read here.
    pub read: &'a dyn Fn(&Path) -> Option<Found>,
    pub keep: Keep,
    /// `None`: as the file says, or what is usual where it came from.
    pub engine: Option<Engine>,
}

/// A file that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is, which may be beside the configuration instead.
    pub path: String,
    pub text: Zeroizing<String>,
}

/// A setting that was not carried over, or not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// From 1.
    pub line: usize,
    /// Never with the value of a secret.
    pub setting: String,
    pub why: String,
    /// What to do; empty: nothing.
    pub todo: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.setting, self.why)?;
        match self.todo.is_empty() {
            true => f.write_str(" Nothing to do."),
            false => write!(f, " {}", self.todo),
        }
    }
}

/// What became of a file.
#[derive(Debug)]
pub struct Imported {
    pub draft: Draft,
    /// By line.
    pub notes: Vec<Note>,
    /// Files of secrets that the draft names, by their names in the folder of `Keep::Folder`.
    pub secrets: Vec<(String, Secret)>,
    /// Environment variables that the draft names.
    pub variables: Vec<String>,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum ImportError {
    #[error("{file}:{line}: {says}")]
    Syntax { file: String, line: usize, says: String },
    #[error("{file} names no database server: there is nothing to import")]
    NoServer { file: String },
    #[error("it is not known whose configuration {file} is")]
    Unknown { file: String },
}

/// Tells by the name of a file, or else by its content, whose it is.
pub fn kind_of(name: &str, text: &str) -> Option<Kind> {
    let file = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let by_name = [
        ("pgbouncer", Kind::PgBouncer),
        ("proxysql", Kind::ProxySql),
        ("maxscale", Kind::MaxScale),
        ("haproxy", Kind::HaProxy),
    ];
    if let Some((_, kind)) = by_name.iter().find(|(word, _)| file.contains(word)) {
        return Some(*kind);
    }
    let has = |word: &str| text.lines().any(|line| line.trim_start().starts_with(word));
    if has("[pgbouncer]") || has("[databases]") {
        Some(Kind::PgBouncer)
    } else if has("mysql_servers") || has("mysql_variables") {
        Some(Kind::ProxySql)
    } else if has("[maxscale]") || has("type=server") || has("type = server") {
        Some(Kind::MaxScale)
    } else if has("frontend ") || has("backend ") || has("listen ") {
        Some(Kind::HaProxy)
    } else {
        None
    }
}

/// Turns the configuration of another proxy into a draft of ours.
pub fn import(kind: Kind, source: &Source<'_>) -> Result<Imported, ImportError> {
    let mut work = Work::new(source);
    match kind {
        Kind::PgBouncer => pgbouncer::import(&mut work)?,
        Kind::ProxySql => proxysql::import(&mut work)?,
        Kind::MaxScale => maxscale::import(&mut work)?,
        Kind::HaProxy => haproxy::import(&mut work)?,
    }
    Ok(work.done())
}

/// An import under way.
struct Work<'a> {
    source: &'a Source<'a>,
    draft: Draft,
    notes: Vec<Note>,
    secrets: Secrets,
}

impl<'a> Work<'a> {
    fn new(source: &'a Source<'a>) -> Work<'a> {
        let secrets = Secrets::new(source.keep.clone());
        Work { source, draft: Draft::default(), notes: Vec::new(), secrets }
    }

    fn note(
        &mut self,
        line: usize,
        setting: impl Into<String>,
        why: impl Into<String>,
        todo: impl Into<String>,
    ) {
        let (setting, why, todo) = (setting.into(), why.into(), todo.into());
        self.notes.push(Note { line, setting, why, todo });
    }

    fn syntax(&self, line: usize, says: impl Into<String>) -> ImportError {
        ImportError::Syntax { file: self.source.name.to_owned(), line, says: says.into() }
    }

    fn no_server(&self) -> ImportError {
        ImportError::NoServer { file: self.source.name.to_owned() }
    }

    fn done(self) -> Imported {
        let Work { source, mut draft, mut notes, secrets } = self;
        notes.sort_by_key(|note| note.line);
        // What counts for every cluster was said for each.
        let mut said: Vec<Note> = Vec::new();
        for note in notes {
            if !said.contains(&note) {
                said.push(note);
            }
        }
        let notes = said;
        draft.say(format!(
            "Imported from {}. Look at what is not carried over, then run",
            source.name
        ));
        draft.say("  tidegate check --connect -c THIS_FILE");
        draft.say("`tidegate reference` prints every key.");
        if !notes.is_empty() {
            draft.say("");
            draft.say(format!("Not carried over, or not as it was, of {}:", source.name));
            notes.iter().for_each(|note| draft.say(format!("- {note}")));
        }
        let (secrets, variables) = secrets.kept();
        Imported { draft, notes, secrets, variables }
    }
}
