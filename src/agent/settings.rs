//! What an operator decides about an agent.

use crate::net::tls::ClientSide;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    /// How callers speak TLS, if at all.
    pub tls: ClientSide,
    /// What callers must send; `None`: whoever reaches it may give orders, or has a certificate.
    pub token: Option<Arc<str>>,
    /// Where the highest term is kept.
    pub state_dir: PathBuf,
    /// Zero: never. Else the server is stopped when it is the primary's and nobody who keeps the
    /// term was heard of for so long.
    pub lease: Duration,
    pub postgres: Postgres,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({}, {:?})", self.listen, self.postgres)
    }
}

/// The one server that the agent looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    pub data_dir: PathBuf,
    /// Where pg_ctl, pg_rewind and the others are.
    pub bin_dir: PathBuf,
    /// Where it is not in the data directory.
    pub config_file: Option<PathBuf>,
    /// For the server, as `pg_ctl -o` takes them.
    pub options: Option<String>,
    /// Where the server writes until its own logging begins.
    pub log: PathBuf,
    /// How long a clean shutdown, or a start, may take.
    pub patience: Duration,
    /// How another server is reached for pg_rewind, without host and port.
    pub rewind_conninfo: String,
    /// How another server is reached for its log and for base backups, without host and port.
    pub replication_conninfo: String,
}
