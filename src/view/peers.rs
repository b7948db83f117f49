//! Pools, and the connections on both of their sides.

use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Server connections of one node, user and database.
#[derive(Clone, Debug, Serialize)]
pub struct Pool {
    pub cluster: Arc<str>,
    pub node: Arc<str>,
    pub user: Arc<str>,
    pub database: Arc<str>,
    /// `transaction` or `session`.
    pub mode: Arc<str>,
    pub size: u64,
    pub min_idle: u64,
    /// Lent to a client.
    pub servers_active: u64,
    /// Free and known to be clean.
    pub servers_idle: u64,
    /// Free, but asked for a sign of life before they are lent again.
    pub servers_used: u64,
    pub servers_connecting: u64,
    pub clients_waiting: u64,
    #[serde(rename = "longest_wait_seconds", serialize_with = "super::seconds")]
    pub longest_wait: Duration,
    /// Connections opened and closed since the start.
    pub opened: u64,
    pub closed: u64,
}

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientState {
    /// Has not finished its login.
    Login,
    /// Logged in, holds no server connection.
    Idle,
    /// Holds a server connection.
    Active,
    /// Waits for a server connection.
    Waiting,
}

impl ClientState {
    pub fn name(self) -> &'static str {
        match self {
            ClientState::Login => "login",
            ClientState::Idle => "idle",
            ClientState::Active => "active",
            ClientState::Waiting => "waiting",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Client {
    pub id: u64,
    pub user: Arc<str>,
    pub database: Arc<str>,
    pub cluster: Option<Arc<str>>,
    /// `host:port` of the client.
    pub address: Arc<str>,
    pub state: ClientState,
    /// Protocol version and cipher, where the connection is encrypted.
    pub tls: Option<Arc<str>>,
    pub application_name: Option<Arc<str>>,
    /// Why it keeps its server connection between transactions.
    pub pin: Option<Arc<str>>,
    /// `idle`, `transaction` or `failed`.
    pub transaction: Arc<str>,
    #[serde(serialize_with = "super::rfc3339")]
    pub connected: SystemTime,
    pub requests: u64,
    pub last_route: Option<Route>,
    /// The server connection it holds now.
    pub server: Option<u64>,
    /// `none`, `physical` or `logical`.
    pub replication: Arc<str>,
}

/// Where a statement went, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Route {
    pub node: Arc<str>,
    pub because: Arc<str>,
}

/// What a server connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// Has not finished its login.
    Connecting,
    /// Lent to a client.
    Active,
    /// Free and clean.
    Idle,
    /// Free, to be checked before it is lent again.
    Used,
    /// Being cleaned after a client left it.
    Cleaning,
}

impl ServerState {
    pub fn name(self) -> &'static str {
        match self {
            ServerState::Connecting => "connecting",
            ServerState::Active => "active",
            ServerState::Idle => "idle",
            ServerState::Used => "used",
            ServerState::Cleaning => "cleaning",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Server {
    pub id: u64,
    /// The process (PostgreSQL) or thread (MySQL) at the server.
    pub pid: Option<u32>,
    pub cluster: Arc<str>,
    pub node: Arc<str>,
    /// `host:port` of the node.
    pub address: Arc<str>,
    pub user: Arc<str>,
    pub database: Arc<str>,
    pub state: ServerState,
    #[serde(serialize_with = "super::rfc3339")]
    pub connected: SystemTime,
    /// Prepared statements it holds.
    pub prepared: u64,
    /// The client it is lent to.
    pub client: Option<u64>,
}

/// A server connection that listens to notifications for the clients of a database.
#[derive(Clone, Debug, Serialize)]
pub struct Listening {
    pub cluster: Arc<str>,
    pub database: Arc<str>,
    /// Where; `None`: nowhere at the moment, and notifications are lost.
    pub node: Option<Arc<str>>,
    pub channels: u64,
    /// Clients on them, each counted once for each of its channels.
    pub listeners: u64,
}
