//! Who is connected: clients and server connections, for KILL and for whoever looks.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// A server connection as others see it.
#[derive(Debug)]
pub struct ServerEntry {
    pub id: u64,
    pub cluster: Arc<str>,
    pub node: Arc<str>,
    pub user: Arc<str>,
    pub database: Arc<str>,
    /// The server's number of it.
    pub thread: u32,
    pub since: Instant,
    pub tls: bool,
    pub prepared: AtomicU64,
    /// The client it is lent to; 0: none.
    pub client: AtomicU64,
}
