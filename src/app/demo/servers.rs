//! The throwaway servers of the demo, whichever they are.

use crate::lab::{LabError, mariadb, postgres};
use std::net::SocketAddr;
use std::path::Path;

/// What the servers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Engine {
    Postgres,
    Mariadb,
}

impl Engine {
    /// Its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Engine::Postgres => "PostgreSQL",
            Engine::Mariadb => "MariaDB",
        }
    }

    /// Its name in the configuration.
    pub(super) fn key(self) -> &'static str {
        match self {
            Engine::Postgres => "postgres",
            Engine::Mariadb => "mariadb",
        }
    }

    /// The listener for its clients, and the port that they expect.
    pub(super) fn listener(self) -> (&'static str, u16) {
        match self {
            Engine::Postgres => ("postgres", 6432),
            Engine::Mariadb => ("mysql", 6033),
        }
    }

    /// Who may do everything, without a password.
    pub(super) fn superuser(self) -> &'static str {
        match self {
            Engine::Postgres => "postgres",
            Engine::Mariadb => "root",
        }
    }

    /// What the workload works on: accounts 0 to 99.
    fn tables(self) -> [&'static str; 2] {
        match self {
            Engine::Postgres => [
                "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0)",
                "INSERT INTO accounts (id) SELECT generate_series(0, 99)",
            ],
            Engine::Mariadb => [
                "CREATE TABLE test.accounts (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0)",
                "INSERT INTO test.accounts (id) SELECT seq FROM test.seq_0_to_99",
            ],
        }
    }

    /// The statement that says where the one before went.
    pub(super) fn last_route(self) -> &'static str {
        match self {
            Engine::Postgres => "SHOW tidegate.last_route",
            Engine::Mariadb => "SELECT @@tidegate_last_route",
        }
    }

    /// The shell command that connects to this address.
    pub(super) fn at(self, address: SocketAddr) -> String {
        let (host, port) = (address.ip(), address.port());
        match self {
            Engine::Postgres => format!("psql -h {host} -p {port} -U postgres postgres"),
            Engine::Mariadb => format!("mariadb -h {host} -P {port} -u root test"),
        }
    }

    /// What behind it stops replay, and the statement that lets it go on.
    pub(super) fn replay(self) -> (&'static str, &'static str) {
        match self {
            Engine::Postgres => ("-c 'SELECT pg_wal_replay_pause()'", "pg_wal_replay_resume()"),
            Engine::Mariadb => ("-e 'STOP SLAVE SQL_THREAD'", "START SLAVE SQL_THREAD"),
        }
    }
}

/// A primary and two replicas.
pub(super) enum Servers {
    Postgres(postgres::Cluster),
    Mariadb(mariadb::Cluster),
}

impl Servers {
    pub(super) async fn start(engine: Engine) -> Result<Servers, LabError> {
        let [create, fill] = engine.tables();
        Ok(match engine {
            Engine::Postgres => {
                // For backups: they are taken as the superuser, from a replica that can be copied.
                let servers = postgres::cluster().hba("host replication all 127.0.0.1/32 trust");
                let servers = servers
                    .conf("full_page_writes", "on")
                    .replicas(2)
                    .sql(create)
                    .sql(fill)
                    .start();
                Servers::Postgres(servers.await?)
            }
            Engine::Mariadb => {
                let servers = mariadb::cluster().replicas(2).sql(create).sql(fill).start();
                Servers::Mariadb(servers.await?)
            }
        })
    }

    pub(super) async fn caught_up(&self) -> Result<(), LabError> {
        match self {
            Servers::Postgres(servers) => servers.caught_up().await,
            Servers::Mariadb(servers) => servers.caught_up().await,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        match self {
            Servers::Postgres(servers) => servers.folder(),
            Servers::Mariadb(servers) => servers.folder(),
        }
    }

    /// Names and addresses.
    pub(super) fn nodes(&self) -> Vec<(String, String)> {
        match self {
            Servers::Postgres(servers) => {
                servers.nodes().iter().map(|n| (n.name().to_owned(), n.address())).collect()
            }
            Servers::Mariadb(servers) => {
                servers.nodes().iter().map(|n| (n.name().to_owned(), n.address())).collect()
            }
        }
    }

    pub(super) async fn pause_replay(&self, replica: usize) -> Result<(), LabError> {
        match self {
            Servers::Postgres(servers) => servers.replica(replica).pause_replay().await,
            Servers::Mariadb(servers) => servers.replica(replica).pause_replay().await,
        }
    }

    pub(super) async fn resume_replay(&self, replica: usize) -> Result<(), LabError> {
        match self {
            Servers::Postgres(servers) => servers.replica(replica).resume_replay().await,
            Servers::Mariadb(servers) => servers.replica(replica).resume_replay().await,
        }
    }

    pub(super) fn kill(&self, replica: usize) {
        match self {
            Servers::Postgres(servers) => servers.replica(replica).kill(),
            Servers::Mariadb(servers) => servers.replica(replica).kill(),
        }
    }

    pub(super) async fn start_again(&self, replica: usize) -> Result<(), LabError> {
        match self {
            Servers::Postgres(servers) => servers.replica(replica).start().await,
            Servers::Mariadb(servers) => servers.replica(replica).start().await,
        }
    }
}
