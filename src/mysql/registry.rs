//! Who is connected: clients and server connections, for KILL and for whoever looks.

use super::cluster::UserPools;
use crate::dispatch::LastRoute;
pub use crate::registry::ClientState;
use crate::registry::{Link, Presence};
use crate::topology::NodeId;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

/// Numbers of clients start here, beyond those that servers give to their connections: a KILL
/// tells by its number whom it means. They fit into 32 bits, as the protocol wants it.
pub const FIRST_CLIENT: u64 = 1 << 30;

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

/// Why a client keeps its server connection between transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Pin {
    None = 0,
    /// The session pool.
    Mode,
    /// `@x`, assigned.
    UserVariable,
    TemporaryTable,
    /// GET_LOCK
    NamedLock,
    /// LOCK TABLES, FLUSH TABLES WITH READ LOCK
    TableLock,
    /// PREPARE
    SqlPrepare,
    /// Statements that the client prepared before it changed by what they are understood.
    PreparedStatement,
    /// Rows of a statement's cursor wait at the server.
    Cursor,
    /// A long value was sent ahead of its EXECUTE.
    LongData,
    /// HANDLER … OPEN
    Handler,
    Xa,
    /// CALL, a stored function, a text that was not understood: it may have left anything.
    Code,
    /// It asked for the server's number of its connection.
    ConnectionId,
    Sequence,
    /// LAST_INSERT_ID(x)
    LastInsertId,
    /// SQL_CALC_FOUND_ROWS
    FoundRows,
    /// A setting that cannot be made again on another connection.
    Setting,
    /// `autocommit = 0`
    Autocommit,
    /// Warnings that the client may ask for, until its next statement.
    Warnings,
    /// Its pool has clients that ask for ROW_COUNT(), FOUND_ROWS() or LAST_INSERT_ID().
    Asked,
    /// SET TRANSACTION, for the next one.
    NextTransaction,
}

impl Pin {
    /// In the order of their numbers.
    pub const ALL: [Pin; 22] = [
        Pin::None,
        Pin::Mode,
        Pin::UserVariable,
        Pin::TemporaryTable,
        Pin::NamedLock,
        Pin::TableLock,
        Pin::SqlPrepare,
        Pin::PreparedStatement,
        Pin::Cursor,
        Pin::LongData,
        Pin::Handler,
        Pin::Xa,
        Pin::Code,
        Pin::ConnectionId,
        Pin::Sequence,
        Pin::LastInsertId,
        Pin::FoundRows,
        Pin::Setting,
        Pin::Autocommit,
        Pin::Warnings,
        Pin::Asked,
        Pin::NextTransaction,
    ];

    /// `None`: there is no pin.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Pin::None => return None,
            Pin::Mode => "mode",
            Pin::UserVariable => "user_variable",
            Pin::TemporaryTable => "temporary_table",
            Pin::NamedLock => "named_lock",
            Pin::TableLock => "table_lock",
            Pin::SqlPrepare => "sql_prepare",
            Pin::PreparedStatement => "prepared_statement",
            Pin::Cursor => "cursor",
            Pin::LongData => "long_data",
            Pin::Handler => "handler",
            Pin::Xa => "xa",
            Pin::Code => "code",
            Pin::ConnectionId => "connection_id",
            Pin::Sequence => "sequence",
            Pin::LastInsertId => "last_insert_id",
            Pin::FoundRows => "found_rows",
            Pin::Setting => "setting",
            Pin::Autocommit => "autocommit",
            Pin::Warnings => "warnings",
            Pin::Asked => "asked",
            Pin::NextTransaction => "next_transaction",
        })
    }
}

/// The server connection that works for a client.
#[derive(Clone)]
pub struct Target {
    pub node: NodeId,
    /// Its number here.
    pub server: u64,
    /// Its number at the server.
    pub thread: u32,
    /// Those it came from: who can open it can kill it.
    pub pools: Arc<UserPools>,
}

/// Who a client is; COM_CHANGE_USER may change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub user: Arc<str>,
    /// The one it logged in to; empty: none.
    pub database: Arc<str>,
    pub cluster: Arc<str>,
}

/// A client as others see it.
pub struct ClientEntry {
    pub id: u64,
    pub identity: Mutex<Identity>,
    pub address: SocketAddr,
    pub tls: bool,
    pub application: Arc<str>,
    /// The server connection in use and whom a KILL means.
    pub link: Link<Target>,
    pub last_route: Mutex<Option<LastRoute>>,
    pin: AtomicU8,
    in_transaction: AtomicBool,
    presence: Presence,
}

impl Deref for ClientEntry {
    type Target = Presence;
    fn deref(&self) -> &Presence {
        &self.presence
    }
}

/// What a new client entry starts from.
pub struct NewClient {
    pub identity: Identity,
    pub address: SocketAddr,
    pub tls: bool,
    pub application: Arc<str>,
}

impl ClientEntry {
    pub fn new(id: u64, new: NewClient) -> ClientEntry {
        ClientEntry {
            id,
            identity: Mutex::new(new.identity),
            address: new.address,
            tls: new.tls,
            application: new.application,
            link: Link::default(),
            last_route: Mutex::new(None),
            pin: AtomicU8::new(Pin::None as u8),
            in_transaction: AtomicBool::new(false),
            presence: Presence::default(),
        }
    }

    pub fn pin(&self) -> Pin {
        let number = usize::from(self.pin.load(Ordering::Relaxed));
        Pin::ALL.get(number).copied().unwrap_or(Pin::None)
    }

    pub fn note(&self, in_transaction: bool, pin: Pin) {
        self.in_transaction.store(in_transaction, Ordering::Relaxed);
        self.pin.store(pin as u8, Ordering::Relaxed);
    }

    /// `idle` or `open`.
    pub fn transaction(&self) -> &'static str {
        if self.in_transaction.load(Ordering::Relaxed) { "open" } else { "idle" }
    }
}
