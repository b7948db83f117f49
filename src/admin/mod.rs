//! The console: `psql -p 6433 tidegate`, over the PostgreSQL wire.
//!
//! ```text
//! socket ── prelude (SSLRequest …) ── guard (every frame checked) ── pgwire ── command ── Control
//! ```
//!
//! pgwire decodes, keeps portals and does SCRAM; it also panics on malformed frames, so nothing
//! reaches it that `frames` has not looked at first.

mod act;
mod command;
mod execute;
mod failure;
mod frames;
mod guard;
mod handlers;
mod login;
mod prelude;
mod reign;
mod select;
mod session;
mod show;
mod table;

pub use execute::{Refused, execute};
pub use login::{Credentials, VerifierError};

use crate::failover::{Answer, Wanted};
use crate::net::tls::Acceptor;
use crate::view;
use futures_util::future::BoxFuture;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Who may log in. Empty: everyone, which is for loopback only.
    pub users: Credentials,
    /// TLS; `None`: it is declined.
    pub tls: Option<Arc<Acceptor>>,
    pub max_connections: usize,
    /// From the first byte to the end of the login.
    pub login_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            users: Credentials::default(),
            tls: None,
            max_connections: 100,
            login_timeout: Duration::from_secs(10),
        }
    }
}

/// What the console shows and does; the composition root implements it.
pub trait Control: Send + Sync + 'static {
    fn view(&self) -> view::Proxy;
    fn reload(&self) -> Result<Reloaded, String>;
    /// New transactions of the cluster (`None`: of all) wait from now on; resolves when none runs.
    fn pause<'a>(&'a self, cluster: Option<&'a str>) -> BoxFuture<'a, Result<(), String>>;
    fn resume(&self, cluster: Option<&str>) -> Result<(), String>;
    /// Server connections are closed as they become free.
    fn reconnect(&self, cluster: Option<&str>) -> Result<(), String>;
    /// Resolves when no connection is left that was open at the last `reconnect`.
    fn wait_close<'a>(&'a self, cluster: Option<&'a str>) -> BoxFuture<'a, Result<(), String>>;
    /// Whether new clients of the cluster are let in.
    fn admit(&self, cluster: &str, admits: bool) -> Result<(), String>;
    /// Whether new reads go to the node; if not, resolves when it does nothing any more.
    fn drain_node<'a>(
        &'a self,
        cluster: &'a str,
        node: &'a str,
        drained: bool,
    ) -> BoxFuture<'a, Result<(), String>>;
    /// Changes a key of the configuration that needs no restart, until the next reload.
    fn set(&self, key: &str, value: &str) -> Result<Reloaded, String>;
    /// Notes what an operator did: who, the command, and why it failed.
    fn note(&self, operator: &str, command: &str, failed: Option<&str>);
    /// Changes the primary of a cluster, or says what would be done (`dry`). The answer's lines are
    /// for people.
    fn reign<'a>(&'a self, cluster: &'a str, wanted: Wanted, dry: bool) -> BoxFuture<'a, Answer>;
    /// Takes a backup of a cluster; resolves when it is there. The answer's lines are for people.
    fn backup<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Answer>;
    /// Restores the newest backup of a cluster for a test; resolves when that is done.
    fn test_backup<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Answer>;
    /// Closes the connection of a client; false when there is no such client.
    fn kill(&self, client: u64) -> bool;
    /// Starts to drain; returns at once.
    fn shutdown(&self);
}

/// What a reload did. Keys are whole, such as `clusters.orders.pool.size`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    pub changed: Vec<String>,
    /// Changed in the file, but only a restart brings them into force.
    pub needs_restart: Vec<String>,
}

/// Serves the console until `stop` resolves; then tells everyone and leaves within two seconds.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    control: Arc<dyn Control>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    const LEAVE: Duration = Duration::from_secs(2);
    let address = listener.local_addr()?;
    if settings.users.is_empty() && !address.ip().is_loopback() {
        let text =
            format!("the console on {address} is not on loopback: it needs at least one user");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let (stopping, stopped) = watch::channel(false);
    let room = Arc::new(Semaphore::new(settings.max_connections));
    let shared = session::Shared::new(settings, control).map_err(io::Error::other)?;
    let shared = Arc::new(shared);
    let mut sessions = JoinSet::new();
    tokio::pin!(stop);
    loop {
        // Every branch is cancel-safe: accepting and joining lose nothing when dropped.
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    let place = room.clone().try_acquire_owned().ok();
                    sessions.spawn(session::run(tcp, peer, shared.clone(), place, stopped.clone()));
                }
                Err(e) => {
                    tracing::warn!(error = %e, "console: accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(ended) = sessions.join_next() => report(ended),
        }
    }
    drop(listener);
    let _ = stopping.send(true);
    let all = async {
        while let Some(ended) = sessions.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(LEAVE, all).await.is_err() {
        tracing::debug!("console: connections that did not read were dropped");
    }
    Ok(())
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(e) = ended {
        tracing::error!(error = %e, "console: a connection ended abnormally");
    }
}
