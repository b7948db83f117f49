//! `tidegate init`: a configuration for the servers that are found behind one address.

use super::{EngineName, fail, write};
use crate::app::init::{self, Found, Server, Start};
use crate::config;
use crate::secret::Secret;
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

#[derive(Debug, Args)]
pub(super) struct Wishes {
    /// A server, as host:port; the others are found from there. May be given several times
    #[arg(long, value_name = "HOST:PORT")]
    server: Vec<String>,
    /// What it is
    #[arg(long, value_enum)]
    engine: Option<EngineName>,
    /// As whom Tidegate looks at the servers
    #[arg(long)]
    user: Option<String>,
    /// A file with that user's password
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    password_file: Option<PathBuf>,
    /// An environment variable with it
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,
    /// The database that it connects to
    #[arg(long, default_value = "postgres")]
    database: String,
    /// The name of the cluster
    #[arg(long, default_value = "main")]
    cluster: String,
    /// The configuration to be written
    #[arg(short, long, value_name = "FILE", default_value = "tidegate.toml")]
    output: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

pub(super) fn init(what: &Wishes) -> ExitCode {
    match try_init(what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

/// The folder of secrets, beside the configuration.
const SECRETS: &str = "tidegate.secrets";
const MONITOR: &str = "monitor";
const USERS: &str = "users.txt";

fn try_init(what: &Wishes) -> Result<(), String> {
    if what.output.exists() && !what.force {
        return Err(format!(
            "{} is there already\nhint: --force replaces it",
            what.output.display()
        ));
    }
    let (start, mut secrets, told) = asked(what)?;
    eprintln!("asking {} …", start.servers.join(", "));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let found = runtime.block_on(init::discover(&start)).map_err(|error| error.to_string())?;
    let draft = init::write(&start, &found, (&what.cluster, told, &format!("{SECRETS}/{USERS}")));
    if !found.servers.iter().any(|server| server.may_look_up) {
        let form = "; \"name\" \"password\", one user in each line\n";
        secrets.push((USERS.into(), Secret::new(form)));
    }
    write::configuration(&what.output, &draft.render(), (SECRETS, &secrets), what.force)?;
    eprint!("{}", summary(&found, &what.output));
    config::load(&what.output)
        .map(drop)
        .map_err(|problems| format!("what was written:\n{problems}"))
}

type Asked = (Start, Vec<(String, Secret)>, Option<(&'static str, String)>);

/// By arguments, or by questions on a terminal.
fn asked(what: &Wishes) -> Result<Asked, String> {
    let person = io::stdin().is_terminal() && io::stderr().is_terminal();
    let missing = |flag: &str| format!("{flag} is needed where nobody can be asked");
    let engine = match (what.engine, person) {
        (Some(engine), _) => engine,
        (None, true) => {
            engine_of(&question("What are the servers: postgres, mysql or mariadb?", "postgres")?)?
        }
        (None, false) => EngineName::Postgres,
    };
    let port = if engine == EngineName::Postgres { 5432 } else { 3306 };
    let mut servers = what.server.clone();
    if servers.is_empty() {
        if !person {
            return Err(missing("--server HOST:PORT"));
        }
        servers.push(question("The address of one of them?", &format!("127.0.0.1:{port}"))?);
    }
    for server in &mut servers {
        if server.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            server.push_str(&format!(":{port}"));
        }
    }
    let user = match (&what.user, person) {
        (Some(user), _) => user.clone(),
        (None, true) => question("As whom does Tidegate look at them?", "tidegate")?,
        (None, false) => return Err(missing("--user NAME")),
    };
    let (password, told, secrets) = password(what, person, &user)?;
    let database = what.database.clone();
    let start = Start { engine: engine.configured(), servers, user, password, database };
    Ok((start, secrets, told))
}

type Password = (Option<Secret>, Option<(&'static str, String)>, Vec<(String, Secret)>);

fn password(what: &Wishes, person: bool, user: &str) -> Result<Password, String> {
    if let Some(file) = &what.password_file {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let text = Zeroizing::new(text);
        let path = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        let told = ("password_file", path.display().to_string());
        return Ok((
            Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
            Some(told),
            Vec::new(),
        ));
    }
    if let Some(name) = &what.password_env {
        let text = std::env::var(name).map_err(|_| format!("the variable {name} is not set"))?;
        return Ok((Some(Secret::new(text)), Some(("password_env", name.clone())), Vec::new()));
    }
    if !person {
        return Ok((None, None, Vec::new()));
    }
    let typed = hidden(&format!("Password of {user} (empty: none is needed)?"))?;
    if typed.is_empty() {
        return Ok((None, None, Vec::new()));
    }
    let secret = Secret::new(typed.as_str());
    let told = ("password_file", format!("{SECRETS}/{MONITOR}"));
    Ok((Some(secret.clone()), Some(told), vec![(MONITOR.into(), secret)]))
}

fn engine_of(word: &str) -> Result<EngineName, String> {
    clap::ValueEnum::from_str(word, true).map_err(|_: String| format!("{word:?} is none of them"))
}

/// A line from the terminal; what is empty means the default.
fn question(text: &str, default: &str) -> Result<String, String> {
    eprint!("{text} [{default}] ");
    let line = line()?;
    Ok(if line.is_empty() { default.to_owned() } else { line.as_str().to_owned() })
}

fn line() -> Result<Zeroizing<String>, String> {
    let mut line = Zeroizing::new(String::new());
    let _ = io::stderr().flush();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) => Err("nothing was answered".into()),
        Ok(_) => Ok(Zeroizing::new(line.trim().to_owned())),
        Err(error) => Err(error.to_string()),
    }
}

/// A line that the terminal does not show.
fn hidden(text: &str) -> Result<Zeroizing<String>, String> {
    eprint!("{text} ");
    let input = io::stdin();
    let shown = tcgetattr(&input).map_err(|error| error.to_string())?;
    let mut dark = shown.clone();
    dark.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &dark).map_err(|error| error.to_string())?;
    let read = line();
    let _ = tcsetattr(&input, OptionalActions::Flush, &shown);
    eprintln!();
    read
}

fn summary(found: &Found, file: &Path) -> String {
    let mut lines = String::new();
    for Server { address, primary, version, lacks, .. } in &found.servers {
        let role = if *primary { "primary" } else { "replica" };
        lines.push_str(&format!("{address}: {role}, {version}\n"));
        for lack in lacks {
            lines.push_str(&format!("  lacks: {lack}\n"));
        }
    }
    for missing in &found.missing {
        lines.push_str(&format!(
            "not found: {missing}\n  hint: give its address by another --server\n"
        ));
    }
    let file = file.display();
    lines.push_str(&format!("{file} is written; next: tidegate check --connect -c {file}\n"));
    lines
}

impl EngineName {
    fn configured(self) -> config::Engine {
        match self {
            EngineName::Postgres => config::Engine::Postgres,
            EngineName::Mysql => config::Engine::Mysql,
            EngineName::Mariadb => config::Engine::Mariadb,
        }
    }
}
