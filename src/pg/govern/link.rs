//! A connection by which one server gets its orders.

use crate::failover::{Name, Trouble};
use crate::pg::connect::Node;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::FromSqlOwned;
use tokio_postgres::{Client, Config, NoTls, Row};

/// What pg_stat_activity shows, and how our own sessions are told from others.
const APPLICATION: &str = "tidegate failover";

/// Connection strings hold passwords: they do not belong in a server's log. Nothing here waits for
/// a standby, and nothing waits for a lock for long.
const DISCREET: &str = "SET log_statement = 'none'; SET log_min_error_statement = 'panic';
    SET log_min_duration_statement = -1; SET synchronous_commit = 'local';
    SET lock_timeout = '1s'";

/// Logged in, and closed when dropped.
pub(super) struct Link {
    pub(super) node: Name,
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    pub(super) async fn open(
        node: &Node,
        login: &Config,
        patience: Duration,
    ) -> Result<Link, Trouble> {
        let link = match timeout(patience, Link::connect(node, login)).await {
            Ok(connected) => connected?,
            Err(_) => return Err(unreachable(&node.name, "no answer")),
        };
        link.run(DISCREET).await?;
        Ok(link)
    }

    /// A login without anything else.
    pub(super) async fn connect(node: &Node, login: &Config) -> Result<Link, Trouble> {
        let name = &node.name;
        let stream = match node.dial().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                let refused = TcpStream::connect(&*node.address).await;
                let refused = refused.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
                return Err(match refused {
                    true => Trouble::NobodyListens { node: name.clone() },
                    false => unreachable(name, error),
                });
            }
        };
        let mut login = login.clone();
        login.application_name(APPLICATION);
        let connected = login.connect_raw(stream, NoTls).await;
        let (client, connection) = connected.map_err(|error| trouble(name, &error))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a failover connection ended");
            }
        });
        Ok(Link { node: name.clone(), client, driver })
    }

    /// Statements without answers.
    pub(super) async fn run(&self, sql: &str) -> Result<(), Trouble> {
        let done = self.client.batch_execute(sql).await;
        done.map_err(|error| trouble(&self.node, &error))
    }

    pub(super) async fn row(&self, sql: &str) -> Result<Row, Trouble> {
        let row = self.client.query_one(sql, &[]).await;
        row.map_err(|error| trouble(&self.node, &error))
    }

    pub(super) async fn rows(
        &self,
        sql: &str,
        with: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Row>, Trouble> {
        let rows = self.client.query(sql, with).await;
        rows.map_err(|error| trouble(&self.node, &error))
    }

    /// The first column of the only row.
    pub(super) async fn one<T: FromSqlOwned>(&self, sql: &str) -> Result<T, Trouble> {
        self.get(&self.row(sql).await?, 0)
    }

    pub(super) fn get<T: FromSqlOwned>(&self, row: &Row, column: usize) -> Result<T, Trouble> {
        row.try_get(column).map_err(|error| self.refused(&error.to_string()))
    }

    pub(super) fn refused(&self, cause: &str) -> Trouble {
        Trouble::Refused { node: self.node.clone(), cause: cause.to_owned() }
    }

    pub(super) fn not_observed(&self, what: &str) -> Trouble {
        not_observed(&self.node, what)
    }
}

/// What to say of a node that answered no login: whether its port takes connections at all.
pub(super) async fn silent(node: &Node) -> Trouble {
    const GLANCE: Duration = Duration::from_millis(200);
    match timeout(GLANCE, TcpStream::connect(&*node.address)).await {
        Ok(Ok(_)) => Trouble::Deaf { node: node.name.clone() },
        _ => unreachable(&node.name, "no answer"),
    }
}

pub(super) fn not_observed(node: &Name, what: &str) -> Trouble {
    Trouble::NotObserved { node: node.clone(), what: what.to_owned() }
}

fn unreachable(node: &Name, cause: impl ToString) -> Trouble {
    Trouble::Unreachable { node: node.clone(), cause: cause.to_string() }
}

/// The server's own words where there are any.
fn trouble(node: &Name, error: &tokio_postgres::Error) -> Trouble {
    use std::error::Error as _;
    match error.as_db_error() {
        Some(said) => Trouble::Refused {
            node: node.clone(),
            cause: format!("{}: {}", said.code().code(), said.message()),
        },
        None => {
            let source = error.source().map_or_else(String::new, |source| format!(": {source}"));
            unreachable(node, format!("{error}{source}"))
        }
    }
}

/// A text as an SQL literal.
pub(super) fn literal(text: &str) -> String {
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}
