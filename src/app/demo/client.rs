//! A client of the demo, by the driver of its engine.

use super::servers::Engine;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use std::error::Error;
use std::net::SocketAddr;
use thiserror::Error;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage, Statement};

/// The driver's error with its causes: its own text is often only "db error".
#[derive(Debug, Error)]
pub(super) enum ClientError {
    #[error("{}", told(.0))]
    Postgres(#[from] tokio_postgres::Error),
    #[error("{0}")]
    Mariadb(#[from] mysql_async::Error),
}

fn told(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

pub(super) enum Client {
    Postgres { client: tokio_postgres::Client, read: Statement, write: Statement },
    Mariadb { conn: Box<Conn>, read: mysql_async::Statement, write: mysql_async::Statement },
}

impl Client {
    /// A connection to the demo's database at `address`, with the workload's statements prepared.
    pub(super) async fn connect(
        engine: Engine,
        address: SocketAddr,
    ) -> Result<Client, ClientError> {
        match engine {
            Engine::Postgres => {
                let mut config = Config::new();
                config.host(address.ip().to_string()).port(address.port());
                config.user("postgres").dbname("postgres").application_name("tidegate demo");
                let (client, connection) = config.connect(NoTls).await?;
                // It ends with the client.
                tokio::spawn(connection);
                let read = client.prepare("SELECT balance FROM accounts WHERE id = $1");
                let read = read.await?;
                let write = "UPDATE accounts SET balance = balance + 1 WHERE id = $1";
                let write = client.prepare(write).await?;
                Ok(Client::Postgres { client, read, write })
            }
            Engine::Mariadb => {
                let opts = OptsBuilder::default().ip_or_hostname(address.ip().to_string());
                let opts = opts.tcp_port(address.port()).user(Some("root")).db_name(Some("test"));
                // A socket of the server's would lead past the proxy.
                let mut conn = Conn::new(Opts::from(opts.prefer_socket(false))).await?;
                let read = conn.prep("SELECT balance FROM accounts WHERE id = ?").await?;
                let write = "UPDATE accounts SET balance = balance + 1 WHERE id = ?";
                let write = conn.prep(write).await?;
                Ok(Client::Mariadb { conn: Box::new(conn), read, write })
            }
        }
    }

    pub(super) async fn read(&mut self, account: i32) -> Result<(), ClientError> {
        match self {
            Client::Postgres { client, read, .. } => {
                client.query_one(&*read, &[&account]).await?;
            }
            Client::Mariadb { conn, read, .. } => {
                let _: Option<i64> = conn.exec_first(&*read, (account,)).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, account: i32) -> Result<(), ClientError> {
        match self {
            Client::Postgres { client, write, .. } => {
                client.execute(&*write, &[&account]).await?;
            }
            Client::Mariadb { conn, write, .. } => conn.exec_drop(&*write, (account,)).await?,
        }
        Ok(())
    }

    /// The first value of the answer, as text.
    pub(super) async fn ask(&mut self, statement: &str) -> Result<String, ClientError> {
        match self {
            Client::Postgres { client, .. } => {
                let answer = client.simple_query(statement).await?;
                let value = answer.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => row.get(0).map(str::to_string),
                    _ => None,
                });
                Ok(value.unwrap_or_default())
            }
            Client::Mariadb { conn, .. } => {
                Ok(conn.query_first::<String, _>(statement).await?.unwrap_or_default())
            }
        }
    }
}
