//! `tidegate import`: the configuration of another proxy, as one of ours.

use super::{print, write};
use crate::import::{self, Engine, Found, ImportError, Imported, Keep, Kind, Source};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

#[derive(Debug, Args)]
pub(super) struct Foreign {
    /// The file: pgbouncer.ini, proxysql.cnf, maxscale.cnf or haproxy.cfg
    file: PathBuf,
    /// Whose it is; default: as its name or its content says
    #[arg(long, value_enum)]
    from: Option<From>,
    /// What the servers are, where the file does not say
    #[arg(long, value_enum)]
    engine: Option<super::EngineName>,
    /// Write the configuration here, and its passwords into files beside it; default: to standard
    /// output, with passwords in environment variables
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long, requires = "output")]
    force: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum From {
    Pgbouncer,
    Proxysql,
    Maxscale,
    Haproxy,
}

impl From {
    fn kind(self) -> Kind {
        match self {
            From::Pgbouncer => Kind::PgBouncer,
            From::Proxysql => Kind::ProxySql,
            From::Maxscale => Kind::MaxScale,
            From::Haproxy => Kind::HaProxy,
        }
    }
}

pub(super) fn import(what: &Foreign) -> ExitCode {
    match try_import(what) {
        Ok(code) => code,
        Err(why) => super::fail(&why),
    }
}

fn try_import(what: &Foreign) -> Result<ExitCode, String> {
    let name = what.file.display().to_string();
    let text = std::fs::read_to_string(&what.file).map_err(|e| format!("{name}: {e}"))?;
    let text = Zeroizing::new(text);
    let kind = what.from.map(From::kind).or_else(|| import::kind_of(&name, &text));
    let kind = kind.ok_or_else(|| {
        format!("{}\nhint: say it by --from", ImportError::Unknown { file: name.clone() })
    })?;
    let keep = what.output.as_ref().map_or(Keep::Environment, |_| Keep::Folder(SECRETS.into()));
    let source = Source {
        name: &name,
        text: &text,
        read: &|path| find(&what.file, path),
        keep,
        engine: what.engine.map(super::EngineName::imported),
    };
    let done = import::import(kind, &source).map_err(|error| error.to_string())?;
    let code = match &what.output {
        None => print(&done.draft.render()),
        Some(file) => {
            write::configuration(file, &done.draft.render(), (SECRETS, &done.secrets), what.force)?;
            eprintln!("{} is written", file.display());
            ExitCode::SUCCESS
        }
    };
    eprint!("{}", told(&name, &done));
    Ok(code)
}

/// The folder of passwords, beside the configuration.
const SECRETS: &str = "tidegate.secrets";

/// A file that the configuration names: where that says, or beside the configuration.
fn find(file: &Path, named: &Path) -> Option<Found> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let places = [folder.join(named), folder.join(named.file_name()?)];
    places.into_iter().find_map(|path| {
        let text = std::fs::read_to_string(&path).ok()?;
        let path = std::path::absolute(&path).unwrap_or(path);
        Some(Found { path: path.display().to_string(), text: Zeroizing::new(text) })
    })
}

/// What the operator has to know.
fn told(name: &str, done: &Imported) -> String {
    let mut lines = String::new();
    for note in &done.notes {
        lines.push_str(&format!("{name}: {note}\n"));
    }
    for variable in &done.variables {
        lines.push_str(&format!("to be set: {variable}, a password of {name}\n"));
    }
    lines.push_str(&match done.notes.len() {
        0 => "all of it was carried over\n".into(),
        1 => "1 setting was not carried over, or not as it was\n".into(),
        n => format!("{n} settings were not carried over, or not as they were\n"),
    });
    lines
}

impl super::EngineName {
    pub(super) fn imported(self) -> Engine {
        match self {
            super::EngineName::Postgres => Engine::Postgres,
            super::EngineName::Mysql => Engine::Mysql,
            super::EngineName::Mariadb => Engine::Mariadb,
        }
    }
}
