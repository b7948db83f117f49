//! What the logins need: servers that want a proof, secrets in files, clients that report.

use crate::authority::{Pair, private};
use crate::support::proxy::Running;
use crate::support::{Cluster, cluster};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

/// How long a test waits for what must come: as long as a busy machine may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The proxy's own user needs no proof, everyone else the one that `method` asks for.
pub(crate) fn servers(method: &str) -> tidegate::lab::postgres::Builder {
    let bare = "host all postgres 127.0.0.1/32 trust";
    cluster().auth(method).hba(bare).user("app", "pencil").user("web", "spider")
}

/// What the primary keeps in place of a user's password.
pub(crate) async fn stored(servers: &Cluster, user: &str) -> String {
    let query = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'");
    servers.primary().value(&query).await.expect("a stored password")
}

/// Secrets in files of their own, as the configuration wants them.
pub(crate) struct Secrets(TempDir);

impl Secrets {
    pub(crate) fn new() -> Secrets {
        Secrets(tempfile::tempdir().expect("a folder"))
    }

    /// Writes, or writes again, the secret of this name; the path of its file.
    pub(crate) fn file(&self, name: &str, secret: &str) -> String {
        let path = self.0.path().join(name);
        private(&path, secret);
        path.display().to_string()
    }

    /// The line of `[clusters.test.auth]` that lists this user.
    pub(crate) fn user(&self, name: &str, secret: &str) -> String {
        format!("users.{name}.password_file = {:?}", self.file(name, secret))
    }
}

/// The `[tls]` of a proxy with this certificate.
pub(crate) fn tls(mode: &str, pair: &Pair, ca: Option<&Path>) -> String {
    let ca = ca.map(|ca| format!("ca = {ca:?}\n")).unwrap_or_default();
    format!("[tls]\nmode = {mode:?}\ncert = {:?}\nkey = {:?}\n{ca}", pair.cert, pair.key)
}

/// Why a login did not work: what the server of the protocol said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Logs in without TLS and asks the server who that is.
pub(crate) async fn who(running: &Running, user: &str, password: &str) -> Result<String, Said> {
    who_in(running, user, password, "postgres").await
}

pub(crate) async fn who_in(
    running: &Running,
    user: &str,
    password: &str,
    database: &str,
) -> Result<String, Said> {
    let client = log_in(running, user, password, database).await?;
    let row = client.query_one("SELECT current_user::text", &[]).await.map_err(said)?;
    Ok(row.get(0))
}

pub(crate) async fn log_in(
    running: &Running,
    user: &str,
    password: &str,
    database: &str,
) -> Result<tokio_postgres::Client, Said> {
    let port = running.postgres.port();
    let url =
        format!("host=127.0.0.1 port={port} user={user} password='{password}' dbname={database}");
    running.connect_with(&url).await.map_err(said)
}

pub(crate) fn said(error: tokio_postgres::Error) -> Said {
    let told = error.as_db_error().unwrap_or_else(|| panic!("nothing was said: {error:?}"));
    Said {
        code: told.code().code().to_owned(),
        message: told.message().to_owned(),
        hint: without_number(told.hint().unwrap_or_default()),
    }
}

/// What a hint says; the number of the error stands behind it.
fn without_number(hint: &str) -> String {
    hint.rsplit_once("(TG").map_or(hint, |(said, _)| said.trim_end()).to_owned()
}

/// What everyone is told whose proof does not fit.
pub(crate) fn refused(user: &str) -> Result<String, Said> {
    let message = format!("password authentication failed for user \"{user}\"");
    Err(Said { code: "28P01".into(), message, hint: String::new() })
}

/// One statement by psql, which brings everything of libpq: its answer, or what it complains of.
pub(crate) async fn psql(port: u16, options: &str, password: &str) -> Result<String, String> {
    let sql = "SELECT current_user";
    let target = format!("host=localhost hostaddr=127.0.0.1 port={port} dbname=postgres {options}");
    let mut command = tokio::process::Command::new("/usr/lib/postgresql/15/bin/psql");
    command.args(["-X", "-A", "-t", "-w", "-c", sql, &target]).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    // Without a home there are no certificates of the user's own.
    command.env("HOME", "/nonexistent").env("PGPASSWORD", password).env("LC_ALL", "C");
    let output = command.output().await.expect("psql");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// Rewrites the proxy's configuration and reloads it by the console.
pub(crate) async fn reload_with(running: &Running, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(&running.file).expect("the configuration");
    std::fs::write(&running.file, change(text)).expect("written");
    running.admin("RELOAD").await;
}
