//! Opens a connection to a PostgreSQL server and logs in.

use super::auth::scram::KeyCache;
use super::auth::{Cleartext, ServerLogin, ServerLoginRequest, ServerSecret, ServerStep};
use super::registry::{Registry, ServerEntry};
use super::server::{CancelKey, Server};
use super::session::Reported;
use super::wire::{self, Fault, HEADER, startup};
use crate::dispatch::Failure;
use crate::net::tls::{self, Channel, ServerMode};
use crate::net::{Stream, tune_server};
use crate::pool::{Connector, Settings};
use crate::refusal::Refusal;
use arc_swap::ArcSwap;
use bytes::{BufMut, BytesMut};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Why there is no connection.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConnectError {
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The server's own words.
    #[error("{code}: {message}")]
    Refused { code: String, message: String },
    #[error("{0}")]
    Login(String),
    #[error("does not speak PostgreSQL's protocol: {0}")]
    NotPostgres(String),
}

impl Failure for ConnectError {
    fn is_node_failure(&self) -> bool {
        match self {
            ConnectError::Unreachable(_) | ConnectError::Timeout(_) => true,
            // cannot_connect_now, admin_shutdown, crash_shutdown
            ConnectError::Refused { code, .. } => code.starts_with("57P"),
            ConnectError::Login(_) | ConnectError::NotPostgres(_) => false,
        }
    }

    fn refusal(&self, node: Arc<str>) -> Refusal {
        match self {
            ConnectError::Refused { code, message } => {
                Refusal::ServerEnded { node, code: code.clone(), message: message.clone() }
            }
            error => Refusal::ServerRefused { node, cause: error.to_string() },
        }
    }
}

/// A node and how it is reached.
#[derive(Debug)]
pub struct Node {
    pub cluster: Arc<str>,
    pub name: Arc<str>,
    /// `host:port`
    pub address: Arc<str>,
    pub tls: Option<tls::Connector>,
    pub keys: Arc<KeyCache>,
    pub servers: Arc<Registry<ServerEntry>>,
}

impl Node {
    /// A node that is reached without TLS.
    pub fn plain(name: &str, address: &str) -> Node {
        Node {
            cluster: name.into(),
            name: name.into(),
            address: address.into(),
            tls: None,
            keys: Arc::new(KeyCache::new(16)),
            servers: Arc::default(),
        }
    }

    fn host(&self) -> &str {
        let host = self.address.rsplit_once(':').map_or(&*self.address, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// A bare connection, TLS agreed on as configured.
    pub async fn dial(&self) -> Result<(Stream, Option<Channel>), ConnectError> {
        let unreachable = |e: std::io::Error| ConnectError::Unreachable(e.to_string());
        let mut tcp = TcpStream::connect(&*self.address).await.map_err(unreachable)?;
        tune_server(&tcp).map_err(unreachable)?;
        let Some(connector) = self.tls.as_ref().filter(|c| c.mode() != ServerMode::Disable) else {
            return Ok((Stream::Plain(tcp), None));
        };
        let mut request = BytesMut::new();
        startup::put_ssl_request(&mut request);
        tcp.write_all(&request).await.map_err(unreachable)?;
        match tcp.read_u8().await.map_err(unreachable)? {
            b'S' => {
                let secured = connector.connect(tcp, self.host()).await;
                let secured = secured.map_err(|e| ConnectError::Login(e.to_string()))?;
                Ok((secured.stream, Some(secured.channel)))
            }
            b'N' if connector.mode() == ServerMode::Prefer => Ok((Stream::Plain(tcp), None)),
            b'N' => Err(ConnectError::Login(format!(
                "the server does not offer TLS, but tls.mode is {:?}",
                connector.mode().name()
            ))),
            other => Err(ConnectError::NotPostgres(format!(
                "it answered the request for TLS with byte 0x{other:02x}"
            ))),
        }
    }
}

/// Opens connections to one node as one user to one database.
pub struct PgConnector {
    pub node: Arc<Node>,
    pub user: Arc<str>,
    pub database: Arc<str>,
    /// What opens the server; a client's login may bring it.
    pub secret: Arc<ArcSwap<ServerSecret>>,
    pub settings: Arc<ArcSwap<Settings>>,
    /// Commits wait for standbys: what files, roles and databases say of that does not count.
    pub strict: bool,
}

impl Connector for PgConnector {
    /// Boxed: it is handed from pool to lease and back for every transaction.
    type Conn = Box<Server>;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Box<Server>, ConnectError> {
        let limit = self.settings.load().connect_timeout;
        match tokio::time::timeout(limit, self.open()).await {
            Ok(opened) => opened.map(Box::new),
            Err(_) => Err(ConnectError::Timeout(limit)),
        }
    }

    async fn check(&self, server: &mut Box<Server>) -> bool {
        let limit = self.settings.load().connect_timeout;
        matches!(tokio::time::timeout(limit, server.run(";")).await, Ok(Ok(())))
    }

    fn is_quiet(server: &mut Box<Server>) -> bool {
        server.is_quiet()
    }

    fn move_here(server: &mut Box<Server>) -> std::io::Result<()> {
        server.stream.move_here()
    }
}

impl PgConnector {
    async fn open(&self) -> Result<Server, ConnectError> {
        let mut parameters = vec![("user", &*self.user), ("database", &*self.database)];
        if self.strict {
            // What comes with the login stands above all but the session's own SET.
            parameters.push(("synchronous_commit", "on"));
        }
        let entrance = Entrance {
            node: &self.node,
            user: &self.user,
            secret: (**self.secret.load()).clone(),
            parameters: &parameters,
        };
        let LoggedIn { stream, reported, cancel } = entrance.log_in().await?;
        let (pid, tls) = (cancel.pid, stream.is_tls());
        let entry = self.node.servers.enter(|id| ServerEntry {
            id,
            cluster: self.node.cluster.clone(),
            node: self.node.name.clone(),
            user: self.user.clone(),
            database: self.database.clone(),
            pid,
            since: Instant::now(),
            tls,
            prepared: AtomicU64::new(0),
            client: AtomicU64::new(0),
            writer: AtomicU64::new(0),
        });
        let max_prepared = self.settings.load().max_prepared;
        let mut server = Server::new(stream, cancel, reported, max_prepared, entry);
        server.backend.strict = self.strict;
        Ok(server)
    }
}

/// A login at a node.
pub(super) struct Entrance<'a, T> {
    pub(super) node: &'a Node,
    pub(super) user: &'a str,
    pub(super) secret: ServerSecret,
    /// Of the startup packet, the user among them.
    pub(super) parameters: &'a [(T, T)],
}

/// A connection that the server has greeted.
pub(super) struct LoggedIn {
    pub(super) stream: Stream,
    pub(super) reported: Reported,
    pub(super) cancel: CancelKey,
}

impl<T: AsRef<[u8]>> Entrance<'_, T> {
    pub(super) async fn log_in(self) -> Result<LoggedIn, ConnectError> {
        let (stream, channel) = self.node.dial().await?;
        let mut talk = Talk { stream, input: BytesMut::new() };
        let mut hello = BytesMut::new();
        startup::put_startup(&mut hello, 0, self.parameters);
        talk.write(&hello).await?;
        let login = ServerLogin::start(ServerLoginRequest {
            user: self.user,
            secret: self.secret,
            channel: channel.as_ref(),
            cleartext: Cleartext::OverTls,
            cache: self.node.keys.clone(),
        });
        talk.authenticate(login).await?;
        talk.welcome().await
    }
}

/// A connection that is still being set up: whole frames, one at a time.
struct Talk {
    stream: Stream,
    input: BytesMut,
}

/// No message of a login is longer.
const LOGIN_FRAME: usize = 64 * 1024;

impl Talk {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), ConnectError> {
        let broken = |e: std::io::Error| ConnectError::Unreachable(e.to_string());
        self.stream.write_all(bytes).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }

    /// The next frame; an ErrorResponse is an error.
    async fn read(&mut self) -> Result<(u8, BytesMut), ConnectError> {
        loop {
            let header =
                wire::peek(&self.input).map_err(|e| ConnectError::NotPostgres(e.to_string()))?;
            if let Some(header) = header {
                if header.len > LOGIN_FRAME {
                    return Err(self.unexpected(header.tag));
                }
                if self.input.len() >= header.len {
                    let body = self.input.split_to(header.len).split_off(HEADER);
                    if header.tag == b'E' {
                        let fault = Fault::parse(&body);
                        let code = fault.sqlstate().to_string();
                        return Err(ConnectError::Refused { code, message: fault.message });
                    }
                    return Ok((header.tag, body));
                }
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err(ConnectError::Unreachable("it hung up during login".into())),
                Ok(_) => {}
                Err(e) => return Err(ConnectError::Unreachable(e.to_string())),
            }
        }
    }

    /// From AuthenticationOk to the first ReadyForQuery.
    async fn welcome(mut self) -> Result<LoggedIn, ConnectError> {
        let mut reported = Reported::default();
        let mut cancel = CancelKey { pid: 0, secret: Vec::new() };
        loop {
            let (tag, body) = self.read().await?;
            match tag {
                b'S' => reported.take(&body),
                b'K' => {
                    if let Some((pid, secret)) = body.split_first_chunk::<4>() {
                        let pid = u32::from_be_bytes(*pid);
                        cancel = CancelKey { pid, secret: secret.to_vec() };
                    }
                }
                b'Z' => break,
                b'N' | b'v' => {}
                other => return Err(self.unexpected(other)),
            }
        }
        Ok(LoggedIn { stream: self.stream, reported, cancel })
    }

    fn unexpected(&self, tag: u8) -> ConnectError {
        ConnectError::NotPostgres(format!("unexpected message {:?} during login", tag as char))
    }

    async fn authenticate(&mut self, mut login: ServerLogin) -> Result<(), ConnectError> {
        loop {
            let (tag, body) = self.read().await?;
            match tag {
                b'R' => {}
                b'N' | b'v' => continue,
                other => return Err(self.unexpected(other)),
            }
            match login.on(&body).map_err(|e| ConnectError::Login(e.to_string()))? {
                ServerStep::Accepted(_) => return Ok(()),
                ServerStep::Continue { login: next, send } => {
                    login = next;
                    if let Some(answer) = send {
                        let mut frame = BytesMut::new();
                        wire::put_frame(&mut frame, b'p', |b| b.put_slice(&answer));
                        self.write(&frame).await?;
                    }
                }
            }
        }
    }
}
