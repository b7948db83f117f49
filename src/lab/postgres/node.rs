//! One server of a throwaway cluster, and what a test may do to it.

use super::install::Install;
use super::template::REPLICATION_USER;
use crate::lab::process::{GLANCE, How, PATIENCE, Process};
use crate::lab::{LabError, ports, tree};
use rustix::process::Signal;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// Pause between two looks at something that takes long.
const SLOW_GLANCE: Duration = Duration::from_millis(500);

/// How often another port is tried when somebody was quicker.
const PORTS_TRIED: usize = 10;

/// The process, and what it takes to start it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) install: Install,
    pub(super) sockets: PathBuf,
    /// A superuser whom the socket lets in.
    pub(super) user: String,
    /// How long a start may take.
    pub(super) patience: Duration,
    /// Arguments besides the data directory and the port.
    pub(super) more: Vec<String>,
}

impl Server {
    async fn launch(&self, port: u16) -> Result<(), LabError> {
        let data = &self.process.data;
        let mut command = self.install.command("postgres", data);
        command.arg("-D").arg(data).args(["-p", &port.to_string()]).args(&self.more);
        self.process.launch(command).await
    }
}

/// One PostgreSQL server on loopback.
#[derive(Debug)]
pub struct Node {
    server: Server,
    port: AtomicU16,
    passwords: Arc<HashMap<String, String>>,
}

impl Node {
    pub(super) fn new(server: Server, passwords: Arc<HashMap<String, String>>) -> Node {
        Node { server, port: AtomicU16::new(0), passwords }
    }

    pub fn name(&self) -> &str {
        &self.server.process.name
    }

    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    pub fn data(&self) -> &Path {
        &self.server.process.data
    }

    /// The postmaster's process number, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.process.pid()
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self) -> String {
        self.server.process.tail()
    }

    /// Where `user` reaches `database` over TCP, with the password the cluster was built with.
    pub fn url(&self, user: &str, database: &str) -> String {
        let mut url = format!("postgres://{user}");
        if let Some(password) = self.passwords.get(user) {
            url.push(':');
            for byte in password.bytes() {
                let _ = write!(url, "%{byte:02X}");
            }
        }
        let _ = write!(url, "@{}/{database}", self.address());
        url
    }

    /// The same as [`Node::url`], as settings.
    pub fn config(&self, user: &str, database: &str) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port()).user(user).dbname(database);
        if let Some(password) = self.passwords.get(user) {
            config.password(password);
        }
        config
    }

    /// A connection as superuser to the database `postgres`, through the server's own socket.
    pub async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        self.connect_to("postgres").await
    }

    async fn connect_to(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host_path(&self.server.sockets).port(self.port());
        config.user(&self.server.user).dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs statements as superuser; the rows of all of them, as text.
    pub async fn sql(&self, statement: &str) -> Result<Vec<Vec<Option<String>>>, LabError> {
        self.sql_in("postgres", statement).await
    }

    /// The same in another database.
    pub async fn sql_in(
        &self,
        database: &str,
        statement: &str,
    ) -> Result<Vec<Vec<Option<String>>>, LabError> {
        let run = async {
            let client = self.connect_to(database).await?;
            client.simple_query(statement).await
        };
        let messages = run.await.map_err(|error| LabError::Sql {
            node: self.name().to_string(),
            statement: statement.to_string(),
            cause: describe(&error),
        })?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(str::to_string)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The first column of the first row; empty when there is none, or it is null.
    pub async fn value(&self, query: &str) -> Result<String, LabError> {
        let rows = self.sql(query).await?;
        Ok(rows.into_iter().flatten().next().flatten().unwrap_or_default())
    }

    /// Starts the server on the port it had, or on a free one the first time, and waits until it
    /// accepts connections.
    pub async fn start(&self) -> Result<(), LabError> {
        if self.port() != 0 {
            return self.start_on(self.port()).await;
        }
        let mut last = self.start_on(ports::free()).await;
        for _ in 1..PORTS_TRIED {
            match &last {
                Err(LabError::Start { log, .. }) if log.contains("Address already in use") => {
                    last = self.start_on(ports::free()).await;
                }
                _ => break,
            }
        }
        last
    }

    async fn start_on(&self, port: u16) -> Result<(), LabError> {
        self.port.store(port, Ordering::Relaxed);
        self.server.launch(port).await?;
        let failed = |why: String| LabError::Start {
            node: self.name().to_string(),
            port,
            why,
            log: self.server.process.tail(),
        };
        let end = Instant::now() + self.server.patience;
        let mut pause = GLANCE;
        loop {
            let Err(error) = self.connect().await else { return Ok(()) };
            if let Some(status) = self.server.process.exited() {
                return Err(failed(format!("it ended with {status}")));
            }
            if Instant::now() > end {
                self.server.process.kill();
                return Err(failed(describe(&error)));
            }
            tokio::time::sleep(pause).await;
            // Every look costs a process there, and a long recovery is in no hurry.
            pause = pause.mul_f64(1.05).min(SLOW_GLANCE);
        }
    }

    /// Stops the server and waits until it is gone.
    pub async fn stop(&self, how: How) {
        self.server.process.ask_to_stop(how);
        self.server.process.ended().await;
    }

    /// Stops the server fast, and starts it again on the same port.
    pub async fn restart(&self) -> Result<(), LabError> {
        self.stop(How::Fast).await;
        self.start().await
    }

    /// Kills the server and all its children at once, as a power cut would.
    pub fn kill(&self) {
        self.server.process.kill();
    }

    /// Stops the server and its children where they stand: connections stay open, nobody answers.
    pub fn freeze(&self) -> Result<(), LabError> {
        tree::freeze(self.running()?);
        Ok(())
    }

    /// Stops the postmaster alone: sessions go on, and nobody is let in.
    pub fn freeze_door(&self) -> Result<(), LabError> {
        tree::signal(self.running()?, Signal::STOP);
        Ok(())
    }

    pub fn thaw(&self) -> Result<(), LabError> {
        tree::thaw(self.running()?);
        Ok(())
    }

    fn running(&self) -> Result<u32, LabError> {
        self.pid().ok_or_else(|| LabError::NotRunning { node: self.name().to_string() })
    }

    /// Keeps a replica from applying what it receives; returns once it does not.
    pub async fn pause_replay(&self) -> Result<(), LabError> {
        self.sql("SELECT pg_wal_replay_pause()").await?;
        self.until("a paused replay", "SELECT pg_get_wal_replay_pause_state() = 'paused'").await
    }

    pub async fn resume_replay(&self) -> Result<(), LabError> {
        self.sql("SELECT pg_wal_replay_resume()").await.map(|_| ())
    }

    /// Makes a replica a primary; returns once it takes writes.
    pub async fn promote(&self) -> Result<(), LabError> {
        self.sql("SELECT pg_promote(true, 60)").await?;
        self.until("a promotion", "SELECT NOT pg_is_in_recovery()").await
    }

    /// Makes a replica stream from another node, at once.
    pub async fn follow(&self, primary: &Node) -> Result<(), LabError> {
        let conninfo = self.conninfo(primary);
        self.sql(&format!("ALTER SYSTEM SET primary_conninfo = '{conninfo}'")).await?;
        self.sql("SELECT pg_reload_conf()").await.map(|_| ())
    }

    /// How this node as a replica reaches `primary`.
    pub(super) fn conninfo(&self, primary: &Node) -> String {
        let (port, name) = (primary.port(), self.name());
        format!("host=127.0.0.1 port={port} user={REPLICATION_USER} application_name={name}")
    }

    /// Waits until `condition`, a query of one boolean, is true.
    pub async fn until(&self, what: &str, condition: &str) -> Result<(), LabError> {
        let end = Instant::now() + PATIENCE;
        while self.value(condition).await? != "t" {
            if Instant::now() > end {
                return Err(LabError::Waited {
                    what: format!("{what} on server {}", self.name()),
                    waited: PATIENCE,
                    log: self.server.process.tail(),
                });
            }
            tokio::time::sleep(GLANCE).await;
        }
        Ok(())
    }

    pub(super) fn ask_to_stop(&self) {
        self.server.process.ask_to_stop(How::Immediate);
    }
}

/// The server's own words where there are any: the error's text alone is "db error".
fn describe(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |server| server.message().to_string())
}
