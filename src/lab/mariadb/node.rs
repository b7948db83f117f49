//! One server of a throwaway cluster, and what a test may do to it.

use super::install::Install;
use super::template::REPLICATION_USER;
use crate::lab::process::{GLANCE, How, PATIENCE, Process};
use crate::lab::{LabError, ports, tree};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, from_value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

/// How often another port is tried when somebody was quicker.
const PORTS_TRIED: usize = 10;

/// The process, and what it takes to start it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) install: Install,
    pub(super) settings: PathBuf,
    pub(super) socket: PathBuf,
}

impl Server {
    async fn launch(&self, port: u16) -> Result<(), LabError> {
        let mut command = self.install.server(&self.process.data);
        command.arg(format!("--defaults-file={}", self.settings.display()));
        command.arg(format!("--port={port}"));
        self.process.launch(command).await
    }
}

/// One MariaDB server on loopback.
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

    /// The server's process number, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.process.pid()
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self) -> String {
        self.server.process.tail()
    }

    /// The password of `user`, if the cluster was built with one.
    pub fn password(&self, user: &str) -> Option<&str> {
        self.passwords.get(user).map(String::as_str)
    }

    /// Where `user` reaches `database` over TCP, with the password the cluster was built with.
    pub fn opts(&self, user: &str, database: &str) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port())
            .user(Some(user))
            .pass(self.password(user))
            .db_name(Some(database))
            .prefer_socket(false)
    }

    /// A connection of root, through the server's own socket, with no schema chosen.
    pub async fn connect(&self) -> Result<Conn, mysql_async::Error> {
        let socket = self.server.socket.to_str();
        let opts = OptsBuilder::default().socket(socket).user(Some("root"));
        Conn::new(Opts::from(opts)).await
    }

    /// Runs statements as root; the rows of all of them, as text.
    pub async fn sql(&self, statement: &str) -> Result<Vec<Vec<Option<String>>>, LabError> {
        let run = async {
            let mut conn = self.connect().await?;
            let mut answers = conn.query_iter(statement).await?;
            let mut rows = Vec::new();
            while !answers.is_empty() {
                rows.extend(answers.collect::<Row>().await?);
            }
            drop(answers);
            conn.disconnect().await?;
            Ok::<_, mysql_async::Error>(rows)
        };
        let rows = run.await.map_err(|error| LabError::Sql {
            node: self.name().to_string(),
            statement: statement.to_string(),
            cause: describe(&error),
        })?;
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
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
            log: self.log_tail(),
        };
        let end = Instant::now() + PATIENCE;
        loop {
            let Err(error) = self.connect().await else { return Ok(()) };
            if let Some(status) = self.server.process.exited() {
                return Err(failed(format!("it ended with {status}")));
            }
            if Instant::now() > end {
                self.server.process.kill();
                return Err(failed(describe(&error)));
            }
            tokio::time::sleep(GLANCE).await;
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

    /// Kills the server at once, as a power cut would.
    pub fn kill(&self) {
        self.server.process.kill();
    }

    /// Stops the server where it stands: connections stay open, nobody answers.
    pub fn freeze(&self) -> Result<(), LabError> {
        tree::freeze(self.running()?);
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
        self.sql("STOP SLAVE SQL_THREAD").await.map(|_| ())
    }

    pub async fn resume_replay(&self) -> Result<(), LabError> {
        self.sql("START SLAVE SQL_THREAD").await.map(|_| ())
    }

    /// Makes a replica a primary, as operators do: it forgets whom it followed, and takes writes.
    pub async fn promote(&self) -> Result<(), LabError> {
        self.sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = OFF").await.map(|_| ())
    }

    /// Makes this node replicate from `primary`, from where it is, be that as a replica or as a
    /// primary before.
    pub async fn follow(&self, primary: &Node) -> Result<(), LabError> {
        let port = primary.port();
        let from = format!(
            "STOP SLAVE; SET GLOBAL gtid_slave_pos = @@gtid_current_pos; CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, \
             MASTER_USER = '{REPLICATION_USER}', MASTER_CONNECT_RETRY = 1, \
             MASTER_USE_GTID = slave_pos; START SLAVE"
        );
        self.sql(&from).await.map(|_| ())
    }

    /// Waits until `condition`, a query of one boolean, is true.
    pub async fn until(&self, what: &str, condition: &str) -> Result<(), LabError> {
        let end = Instant::now() + PATIENCE;
        while self.value(condition).await? != "1" {
            if Instant::now() > end {
                return Err(LabError::Waited {
                    what: format!("{what} on server {}", self.name()),
                    waited: PATIENCE,
                    log: self.log_tail(),
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

fn text(value: mysql_async::Value) -> Option<String> {
    match value {
        mysql_async::Value::NULL => None,
        value => Some(String::from_utf8_lossy(&from_value::<Vec<u8>>(value)).into_owned()),
    }
}

/// The server's own words where there are any.
fn describe(error: &mysql_async::Error) -> String {
    match error {
        mysql_async::Error::Server(server) => format!("{} ({})", server.message, server.code),
        other => other.to_string(),
    }
}
