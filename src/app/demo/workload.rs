//! Clients as an application has them: they read, they write, and they count what fails.

use crate::task::{Stop, Tasks};
use parking_lot::Mutex;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio_postgres::{Client, Config, NoTls, Statement};

/// What the workload works on.
pub(super) const TABLES: [&str; 2] = [
    "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0)",
    "INSERT INTO accounts (id) SELECT generate_series(0, 99)",
];
const ACCOUNTS: u64 = 100;
const READ: &str = "SELECT balance FROM accounts WHERE id = $1";
const WRITE: &str = "UPDATE accounts SET balance = balance + 1 WHERE id = $1";

pub(super) const CLIENTS: u64 = 8;

/// One write for this many statements.
const WRITE_EVERY: u64 = 5;

/// Between two statements of one client: this is a demonstration, not a benchmark.
const PAUSE: Duration = Duration::from_millis(8);
const RECONNECT: Duration = Duration::from_millis(100);

/// The driver's error with its causes: its own text is often only "db error".
#[derive(Debug, Error)]
#[error("{}", told(.0))]
pub(super) struct ClientError(#[from] tokio_postgres::Error);

fn told(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
    errors: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// What the clients of the workload saw so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub reads: u64,
    pub writes: u64,
    /// Failed statements and failed connections.
    pub errors: u64,
    pub last_error: Option<String>,
}

pub(super) struct Workload {
    counts: Arc<Counts>,
    tasks: Tasks,
}

impl Workload {
    pub(super) fn start(proxy: SocketAddr) -> Workload {
        let workload = Workload { counts: Arc::default(), tasks: Tasks::new() };
        for number in 0..CLIENTS {
            let counts = workload.counts.clone();
            let name = format!("client {number} of the workload");
            workload.tasks.spawn(name, |stop| work(number, proxy, counts, stop));
        }
        workload
    }

    pub(super) fn tally(&self) -> Tally {
        let counts = &self.counts;
        Tally {
            reads: counts.reads.load(Ordering::Relaxed),
            writes: counts.writes.load(Ordering::Relaxed),
            errors: counts.errors.load(Ordering::Relaxed),
            last_error: counts.last_error.lock().clone(),
        }
    }

    pub(super) async fn stop(&self) {
        self.tasks.shutdown(Duration::from_secs(3)).await;
    }
}

/// A connection to the demo's database at `address`; its task ends with the client.
pub(super) async fn connect(address: SocketAddr) -> Result<Client, ClientError> {
    let mut config = Config::new();
    config.host(address.ip().to_string()).port(address.port());
    config.user("postgres").dbname("postgres").application_name("tidegate demo");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn work(number: u64, proxy: SocketAddr, counts: Arc<Counts>, mut stop: Stop) {
    loop {
        // A client that is stopped hangs up in the middle of what it does, as processes do.
        let ended = tokio::select! {
            () = stop.stopped() => return,
            ended = one_connection(number, proxy, &counts) => ended,
        };
        if let Err(error) = ended {
            counts.errors.fetch_add(1, Ordering::Relaxed);
            *counts.last_error.lock() = Some(error.to_string());
            // Cancel-safe; a stop is seen at the next turn.
            tokio::time::sleep(RECONNECT).await;
        }
    }
}

async fn one_connection(
    number: u64,
    proxy: SocketAddr,
    counts: &Counts,
) -> Result<(), ClientError> {
    let client = connect(proxy).await?;
    let (read, write) = (client.prepare(READ).await?, client.prepare(WRITE).await?);
    for turn in number.. {
        let id = i32::try_from((turn * 37 + number) % ACCOUNTS).unwrap_or(0);
        one_statement(&client, turn, (&read, &write), id, counts).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn one_statement(
    client: &Client,
    turn: u64,
    (read, write): (&Statement, &Statement),
    id: i32,
    counts: &Counts,
) -> Result<(), ClientError> {
    if turn.is_multiple_of(WRITE_EVERY) {
        client.execute(write, &[&id]).await?;
        counts.writes.fetch_add(1, Ordering::Relaxed);
    } else {
        client.query_one(read, &[&id]).await?;
        counts.reads.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
