//! Clients as an application has them: they read, they write, and they count what fails.

use super::client::{Client, ClientError};
use super::servers::Engine;
use crate::task::{Stop, Tasks};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const ACCOUNTS: u64 = 100;

pub(super) const CLIENTS: u64 = 8;

/// One write for this many statements.
const WRITE_EVERY: u64 = 5;

/// Between two statements of one client: this is a demonstration, not a benchmark.
const PAUSE: Duration = Duration::from_millis(8);
const RECONNECT: Duration = Duration::from_millis(100);

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
    pub(super) fn start(engine: Engine, proxy: SocketAddr) -> Workload {
        let workload = Workload { counts: Arc::default(), tasks: Tasks::new() };
        for number in 0..CLIENTS {
            let counts = workload.counts.clone();
            let name = format!("client {number} of the workload");
            workload.tasks.spawn(name, |stop| work(number, (engine, proxy), counts, stop));
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

async fn work(number: u64, proxy: (Engine, SocketAddr), counts: Arc<Counts>, mut stop: Stop) {
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
    (engine, proxy): (Engine, SocketAddr),
    counts: &Counts,
) -> Result<(), ClientError> {
    let mut client = Client::connect(engine, proxy).await?;
    for turn in number.. {
        let account = i32::try_from((turn * 37 + number) % ACCOUNTS).unwrap_or(0);
        if turn.is_multiple_of(WRITE_EVERY) {
            client.write(account).await?;
            counts.writes.fetch_add(1, Ordering::Relaxed);
        } else {
            client.read(account).await?;
            counts.reads.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
