//! Servers that let replicate, PostgreSQL's own tools, and a server on what these tools fetched.

use crate::support::ask::until;
use crate::support::proxy::Running;
use crate::support::{Cluster, cluster};
use crate::wire::{Wire, startup};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use tidegate::lab::postgres::Builder;
use tokio::process::{Child, Command};

/// Everybody may replicate; the primary is `a`.
pub(crate) fn servers() -> Builder {
    cluster().hba("host replication all 127.0.0.1/32 trust").conf("wal_level", "logical")
}

/// A program of PostgreSQL as the user that the servers run as, in the cluster's folder.
fn command(servers: &Cluster, program: &str) -> Command {
    let owner = std::fs::metadata(servers.folder()).expect("a folder");
    let mut command = Command::new(format!("/usr/lib/postgresql/15/bin/{program}"));
    command.uid(owner.uid()).gid(owner.gid()).current_dir(servers.folder());
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent").env("LC_ALL", "C").stdin(Stdio::null());
    command.kill_on_drop(true);
    command
}

/// What a tool prints, if it succeeds; else what it complains of.
pub(crate) async fn tool(
    servers: &Cluster,
    program: &str,
    arguments: &[&str],
    password: &str,
) -> Result<String, String> {
    let mut command = command(servers, program);
    let output = command.args(arguments).env("PGPASSWORD", password).output().await;
    let output = output.expect(program);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// How tools reach the proxy; a database in it would be for logical replication.
pub(crate) fn through(running: &Running, user: &str) -> String {
    format!("host=127.0.0.1 port={} user={user} sslmode=disable", running.postgres.port())
}

/// A server on a data folder that a tool fetched; killed when dropped.
pub(crate) struct Restored {
    _child: Child,
    pub(crate) client: tokio_postgres::Client,
}

pub(crate) async fn restore(servers: &Cluster, data: &Path) -> Restored {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let mut command = command(servers, "postgres");
    command.arg("-D").arg(data).args(["-p", &port.to_string()]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a server");
    let url = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
    let reached = async || tokio_postgres::connect(&url, tokio_postgres::NoTls).await.ok();
    until("the restored server", || async { reached().await.is_some() }).await;
    let (client, connection) = reached().await.expect("a connection");
    tokio::spawn(connection);
    Restored { _child: child, client }
}

/// A replication connection as postgres: `kind` as in the startup packet.
pub(crate) async fn replicate(running: &Running, kind: &str) -> Wire {
    let parameters = [("user", "postgres"), ("database", "postgres"), ("replication", kind)];
    Wire::start_with(running.postgres, &startup(0, &parameters)).await
}

/// A backup without its log, as the protocol asks for it.
pub(crate) const BACKUP: &str = "BASE_BACKUP (CHECKPOINT 'fast', WAL false, WAIT false)";

/// Fills about so many megabytes that no compression makes smaller.
pub(crate) async fn fill(servers: &Cluster, megabytes: usize) {
    let sql = format!(
        "CREATE TABLE big (a text); ALTER TABLE big ALTER a SET STORAGE PLAIN; \
         INSERT INTO big SELECT repeat('x', 8000) FROM generate_series(1, {})",
        megabytes * 120
    );
    servers.primary().sql(&sql).await.expect("a table");
}
