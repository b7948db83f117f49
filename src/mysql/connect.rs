//! Opens a connection to a MySQL or MariaDB server and logs in.

use super::auth::{self, Plugin, ServerSecret};
use super::link::Link;
use super::registry::ServerEntry;
use super::wire::handshake::{self, Greeting, Response};
use super::wire::ok::{END, ERR, Fault, Ok as OkPacket};
use super::wire::{self, HEADER, WireError, capability};
use crate::dispatch::Failure;
use crate::net::tls::{self, ServerMode};
use crate::net::{Stream, tune_server};
use crate::refusal::Refusal;
use crate::registry::Registry;
use arc_swap::ArcSwapOption;
use bytes::BytesMut;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Why there is no connection.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConnectError {
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The server's own words.
    #[error("{code} ({sqlstate}): {message}")]
    Refused { code: u16, sqlstate: String, message: String },
    #[error("{0}")]
    Login(String),
    #[error("does not speak MySQL's protocol as it should: {0}")]
    NotMysql(String),
}

impl Failure for ConnectError {
    fn is_node_failure(&self) -> bool {
        match self {
            ConnectError::Unreachable(_) | ConnectError::Timeout(_) => true,
            // ER_SERVER_SHUTDOWN
            ConnectError::Refused { code, .. } => *code == 1053,
            ConnectError::Login(_) | ConnectError::NotMysql(_) => false,
        }
    }

    fn refusal(&self, node: Arc<str>) -> Refusal {
        match self {
            ConnectError::Refused { code, message, .. } => {
                Refusal::ServerEnded { node, code: code.to_string(), message: message.clone() }
            }
            error => Refusal::ServerRefused { node, cause: error.to_string() },
        }
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> ConnectError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                ConnectError::Unreachable("it hung up during login".into())
            }
            _ => ConnectError::Unreachable(error.to_string()),
        }
    }
}

impl From<WireError> for ConnectError {
    fn from(error: WireError) -> ConnectError {
        ConnectError::NotMysql(error.to_string())
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
    pub servers: Arc<Registry<ServerEntry>>,
    /// How it introduced itself last: clients are greeted like that.
    pub greeting: ArcSwapOption<Greeting>,
}

impl Node {
    pub fn new(
        (cluster, name, address): (&str, &str, &str),
        tls: Option<tls::Connector>,
        servers: Arc<Registry<ServerEntry>>,
    ) -> Node {
        let greeting = ArcSwapOption::empty();
        let (cluster, name, address) = (cluster.into(), name.into(), address.into());
        Node { cluster, name, address, tls, servers, greeting }
    }

    fn host(&self) -> &str {
        let host = self.address.rsplit_once(':').map_or(&*self.address, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

/// Who logs in, and how the connection shall be.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: Arc<str>,
    pub secret: ServerSecret,
    /// The default schema.
    pub database: Option<Arc<str>>,
    /// Those of [`capability::OF_THE_CLIENT`] that are wanted.
    pub capabilities: u32,
    /// The collation's number, as in the packets of a login.
    pub collation: u8,
}

/// `utf8mb4_general_ci`: every server knows it.
pub const COLLATION: u8 = 45;

/// Our own statements and rows are shorter; a client's limit is the server's business.
const MAX_PACKET: u32 = 1 << 30;

impl Login {
    /// For questions of our own.
    pub fn plain(user: &str, secret: ServerSecret) -> Login {
        let user = user.into();
        Login { user, secret, database: None, capabilities: 0, collation: COLLATION }
    }

    /// Opens a connection to `node`. The time it may take is the caller's business.
    pub async fn connect(&self, node: &Node) -> Result<Link, ConnectError> {
        let mut tcp = TcpStream::connect(&*node.address).await?;
        tune_server(&tcp)?;
        let (_, payload) = read_packet(&mut tcp).await?;
        let greeting = Greeting::parse(&payload)?;
        let missing = capability::NEEDED_OF_SERVERS & !greeting.capabilities;
        if missing != 0 {
            return Err(ConnectError::NotMysql(format!(
                "version {} is too old: it lacks the capabilities 0x{missing:x}",
                greeting.version
            )));
        }
        node.greeting.store(Some(Arc::new(greeting.clone())));
        let mut response = self.response(&greeting);
        let (stream, sequence) = secure(node, tcp, &greeting, &response).await?;
        let mut talk = Talk { stream, sequence };
        let plugin = Plugin::of(&greeting.plugin).unwrap_or(Plugin::Native);
        response.proof = self.answer(plugin, &greeting.scramble)?;
        response.plugin = plugin.name().to_owned();
        if talk.stream.is_tls() {
            response.capabilities |= capability::SSL;
        }
        let mut out = BytesMut::new();
        response.put(&mut out, talk.sequence);
        talk.write(&out).await?;
        let status = talk.authenticate(self, plugin).await?;
        let mut link = Link::new(talk.stream, &greeting);
        link.status = status;
        Ok(link)
    }

    fn response(&self, greeting: &Greeting) -> Response {
        let mut wanted = capability::TO_SERVERS | self.capabilities;
        if self.database.is_some() {
            wanted |= capability::CONNECT_WITH_DB;
        }
        // MariaDB says by the absence of LONG_PASSWORD that it is MariaDB, and expects it all the
        // same of whoever does not speak its extensions.
        let capabilities = wanted & (greeting.capabilities | capability::LONG_PASSWORD);
        Response {
            capabilities,
            max_packet: MAX_PACKET,
            collation: self.collation,
            user: self.user.to_string(),
            database: self.database.as_deref().map(str::to_owned),
            ..Response::default()
        }
    }

    fn answer(&self, plugin: Plugin, scramble: &[u8]) -> Result<Vec<u8>, ConnectError> {
        auth::answer(plugin, &self.secret, scramble).map_err(|e| ConnectError::Login(e.to_string()))
    }
}

/// TLS, as configured. The sequence id is that of the next packet.
async fn secure(
    node: &Node,
    mut tcp: TcpStream,
    greeting: &Greeting,
    response: &Response,
) -> Result<(Stream, u8), ConnectError> {
    let Some(connector) = node.tls.as_ref().filter(|c| c.mode() != ServerMode::Disable) else {
        return Ok((Stream::Plain(tcp), 1));
    };
    if greeting.capabilities & capability::SSL == 0 {
        return match connector.mode() {
            ServerMode::Prefer => Ok((Stream::Plain(tcp), 1)),
            mode => Err(ConnectError::Login(format!(
                "the server does not offer TLS, but tls.mode is {:?}",
                mode.name()
            ))),
        };
    }
    let mut request = BytesMut::new();
    handshake::put_tls_request(&mut request, 1, response);
    tcp.write_all(&request).await?;
    let secured = connector.connect(tcp, node.host()).await;
    let secured = secured.map_err(|e| ConnectError::Login(e.to_string()))?;
    Ok((secured.stream, 2))
}

/// No packet of a login is longer.
const LOGIN_PACKET: usize = 64 * 1024;

/// One packet and not a byte more: TLS may begin behind it.
pub(super) async fn read_packet(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header).await?;
    let Some(header) = wire::peek(&header) else { return Err(io::ErrorKind::InvalidData.into()) };
    if header.len > LOGIN_PACKET {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet of a login is too long"));
    }
    let mut payload = vec![0; header.len];
    from.read_exact(&mut payload).await?;
    Ok((header.sequence, payload))
}

/// A connection that is still being set up.
struct Talk {
    stream: Stream,
    /// Of the next packet that is sent.
    sequence: u8,
}

impl Talk {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), ConnectError> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    async fn send(&mut self, payload: &[u8]) -> Result<(), ConnectError> {
        let mut out = BytesMut::new();
        wire::put_packet(&mut out, self.sequence, payload);
        self.write(&out).await
    }

    async fn read(&mut self) -> Result<Vec<u8>, ConnectError> {
        let (sequence, payload) = read_packet(&mut self.stream).await?;
        self.sequence = sequence.wrapping_add(1);
        if payload.first() == Some(&ERR) {
            let Fault { code, sqlstate, message } = Fault::parse(&payload);
            return Err(ConnectError::Refused { code, sqlstate, message });
        }
        Ok(payload)
    }

    /// From the proof to the server's OK; answers with its status flags.
    async fn authenticate(
        &mut self,
        login: &Login,
        mut plugin: Plugin,
    ) -> Result<u16, ConnectError> {
        /// More of `caching_sha2_password`.
        const MORE: u8 = 1;
        const FAST_WORKED: u8 = 3;
        const FULL_IS_NEEDED: u8 = 4;
        loop {
            let payload = self.read().await?;
            match *payload.as_slice() {
                [0, ..] => return Ok(OkPacket::parse(&payload)?.status),
                [END, ..] => {
                    let (name, scramble) = handshake::parse_switch(&payload)?;
                    plugin = Plugin::of(&name).ok_or_else(|| {
                        ConnectError::Login(format!(
                            "the server asks for the method {name}, which is not spoken here"
                        ))
                    })?;
                    let proof = login.answer(plugin, &scramble)?;
                    self.send(&proof).await?;
                }
                [MORE, FAST_WORKED] if plugin == Plugin::CachingSha2 => {}
                [MORE, FULL_IS_NEEDED] if plugin == Plugin::CachingSha2 => {
                    self.full_proof(login).await?;
                }
                [first, ..] => {
                    return Err(WireError::Unexpected { first, place: "a login" }.into());
                }
                [] => return Err(WireError::Malformed { what: "a packet of a login" }.into()),
            }
        }
    }

    /// The server does not know this user's hash since its start: it wants the password itself.
    async fn full_proof(&mut self, login: &Login) -> Result<(), ConnectError> {
        if !self.stream.is_tls() {
            return Err(ConnectError::Login(
                "the server wants the whole password once (caching_sha2_password), which is sent \
                 over TLS only: set tls.mode to \"require\" or stronger"
                    .into(),
            ));
        }
        let Some(password) = &login.secret.password else {
            return Err(ConnectError::Login("the server wants a password".into()));
        };
        let mut clear = zeroize::Zeroizing::new(password.expose().to_vec());
        clear.push(0);
        self.send(&clear).await
    }
}
