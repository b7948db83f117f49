//! From an accepted connection to a logged-in client: TLS, startup packet, login, greeting.

use super::auth::{Accepted, Login, LoginRequest, Method, Step};
use super::client::{Arrived, Client};
use super::cluster::{Cluster, Errand, UserPools};
use super::engine::Engine;
use super::params::Params;
use super::refuse::{self, Severity};
use super::registry::{ClientEntry, NewClient};
use super::session::Session;
use super::welcome::Greeting;
use super::wire::startup::{self, First, Startup};
use super::wire::{self, HEADER};
use super::{options, welcome};
use crate::net::tls::{ALPN_POSTGRESQL, Channel, ClientMode};
use crate::net::{Stream, tune_client};
use crate::pool::Mode;
use crate::refusal::Refusal;
use crate::route::{Consistency, Known, Wants};
use crate::sql::Pin;
use crate::topology::NodeSet;
use bytes::{BufMut, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Why a connection ends before it is a client.
#[derive(Debug)]
enum Stopped {
    /// It hung up, or was a cancel request: nothing is said.
    Quietly,
    /// Told to the client.
    Refused(Refusal),
}

impl From<std::io::Error> for Stopped {
    fn from(_: std::io::Error) -> Stopped {
        Stopped::Quietly
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Stopped {
        Stopped::Refused(refusal)
    }
}

/// A connection that is not a client yet: a drain waits for it.
pub(super) struct Arrival {
    engine: Arc<Engine>,
    /// It was accepted to be told that we are going.
    late: bool,
}

impl Arrival {
    pub(super) fn new(engine: Arc<Engine>) -> Arrival {
        engine.arriving.fetch_add(1, Ordering::AcqRel);
        Arrival { late: engine.is_draining(), engine }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.engine.arriving.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves one connection from its first byte to its last.
pub(super) async fn serve(arrival: Arrival, tcp: TcpStream, address: SocketAddr) {
    if tune_client(&tcp).is_err() {
        return;
    }
    // The login's buffers and state are gone before the client's long life begins.
    let login = Box::pin(log_in(arrival, tcp, address));
    if let Some((client, place)) = login.await {
        client.run().await;
        drop(place);
    }
}

/// How long a client that is refused may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

async fn log_in(
    arrival: Arrival,
    tcp: TcpStream,
    address: SocketAddr,
) -> Option<(Client, super::cluster::Place)> {
    let mut arriving = Arriving { stream: None, input: BytesMut::new(), channel: None };
    let limit = arrival.engine.settings.login_timeout;
    let login = tokio::time::timeout(limit, arriving.log_in(&arrival, tcp, address)).await;
    let refusal = match login {
        Ok(Ok(arrived)) => return Some(arrived),
        Ok(Err(Stopped::Quietly)) => return None,
        Ok(Err(Stopped::Refused(refusal))) => refusal,
        Err(_) => Refusal::LoginTimeout(limit),
    };
    tracing::info!(%address, %refusal, "a client was refused");
    let _ = tokio::time::timeout(FAREWELL, arriving.refuse(&refusal)).await;
    None
}

struct Arriving {
    stream: Option<Stream>,
    input: BytesMut,
    channel: Option<Channel>,
}

/// No message of a login is longer.
const LOGIN_FRAME: usize = 16 * 1024;

impl Arriving {
    async fn log_in(
        &mut self,
        Arrival { engine, late }: &Arrival,
        tcp: TcpStream,
        address: SocketAddr,
    ) -> Result<(Client, super::cluster::Place), Stopped> {
        let hello = self.negotiate(engine, tcp).await?;
        let asked = Asked::read(&hello)?;
        if *late {
            return Err(Refusal::ShuttingDown.into());
        }
        let must = engine
            .acceptor
            .as_ref()
            .is_some_and(|a| matches!(a.mode(), ClientMode::Require | ClientMode::Verify));
        if must && self.channel.is_none() {
            return Err(Refusal::TlsRequired.into());
        }
        let unknown = || Refusal::UnknownDatabase(asked.database.clone());
        let cluster = engine.cluster_of(&asked.database).ok_or_else(unknown)?.clone();
        let place = cluster.admit(address.ip())?;
        self.negotiate_version(&hello).await?;
        let accepted = self.authenticate(engine, &cluster, &asked).await?;
        let pools = cluster.pools(&asked.user, &asked.database, &accepted.secret);
        let (params, greeting) = greet(&cluster, &pools, asked.params).await?;
        cluster.counters.logins.increment();
        let secret = fresh_secret(hello.minor)?;
        let application = params.get("application_name").cloned();
        let entry = engine.clients.enter(|id| {
            ClientEntry::new(
                id,
                NewClient {
                    user: pools.user.clone(),
                    database: pools.database.clone(),
                    cluster: cluster.name.clone(),
                    address,
                    tls: self.channel.is_some(),
                    secret,
                    application: application.unwrap_or_else(|| "".into()),
                },
            )
        });
        self.say_hello(&accepted, &greeting, &entry).await?;
        let pin = (cluster.pool_settings.load().mode == Mode::Session).then_some(Pin::Mode);
        let session = Session::new(params, pin);
        let (stream, input) = (self.stream.take(), std::mem::take(&mut self.input));
        let stream = stream.ok_or(Stopped::Quietly)?;
        let arrived = Arrived { stream, input, session, cluster, pools, entry };
        Ok((Client::new(engine.clone(), arrived), place))
    }

    /// Up to the startup packet; cancel requests end here.
    async fn negotiate(&mut self, engine: &Engine, tcp: TcpStream) -> Result<Startup, Stopped> {
        const TLS_HANDSHAKE: u8 = 0x16;
        let mut first = [0];
        if tcp.peek(&mut first).await? == 0 {
            return Err(Stopped::Quietly);
        }
        let tls_is_on = engine.acceptor.as_ref().filter(|a| a.mode() != ClientMode::Off);
        if first[0] == TLS_HANDSHAKE && tls_is_on.is_some() {
            self.secure(engine, tcp, true).await?;
        } else {
            self.stream = Some(Stream::Plain(tcp));
        }
        loop {
            match self.first_packet().await? {
                First::Ssl if tls_is_on.is_some() && self.channel.is_none() => {
                    self.refuse_early_bytes()?;
                    self.write(b"S").await?;
                    let Some(Stream::Plain(tcp)) = self.stream.take() else {
                        return Err(Stopped::Quietly);
                    };
                    self.secure(engine, tcp, false).await?;
                }
                First::Ssl | First::Gssenc => self.write(b"N").await?,
                First::Cancel { pid, secret } => {
                    engine.cancel(pid, &secret).await;
                    // TLS has an end of its own; without it libpq calls the cancel a failure.
                    if let Some(stream) = &mut self.stream {
                        let _ = stream.shutdown().await;
                    }
                    return Err(Stopped::Quietly);
                }
                First::Startup(hello) => return Ok(hello),
            }
        }
    }

    /// Bytes that came before the handshake were not protected by it (CVE-2021-23222).
    fn refuse_early_bytes(&self) -> Result<(), Refusal> {
        match self.input.is_empty() {
            true => Ok(()),
            false => {
                Err(Refusal::Protocol("received unencrypted data after the request for TLS".into()))
            }
        }
    }

    async fn secure(
        &mut self,
        engine: &Engine,
        tcp: TcpStream,
        direct: bool,
    ) -> Result<(), Stopped> {
        let Some(acceptor) = &engine.acceptor else { return Err(Stopped::Quietly) };
        let secured = acceptor.accept(tcp, direct).await.map_err(|error| {
            tracing::info!(%error, "a TLS handshake with a client failed");
            Stopped::Quietly
        })?;
        debug_assert!(!direct || secured.channel.alpn.as_deref() == Some(ALPN_POSTGRESQL));
        self.stream = Some(secured.stream);
        self.channel = Some(secured.channel);
        Ok(())
    }

    async fn first_packet(&mut self) -> Result<First, Stopped> {
        // Terminate: some clients say goodbye before they say who they are.
        const GOODBYE: &[u8] = b"X\0\0\0\x04";
        loop {
            if self.input.starts_with(GOODBYE) {
                return Err(Stopped::Quietly);
            }
            match startup::take(&mut self.input) {
                Ok(Some(first)) => return Ok(first),
                Ok(None) => self.read().await?,
                Err(error) => return Err(Refusal::Protocol(error.to_string()).into()),
            }
        }
    }

    async fn read(&mut self) -> Result<(), Stopped> {
        let Some(stream) = &mut self.stream else { return Err(Stopped::Quietly) };
        match stream.read_buf(&mut self.input).await? {
            0 => Err(Stopped::Quietly),
            _ => Ok(()),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        let Some(stream) = &mut self.stream else { return Err(Stopped::Quietly) };
        stream.write_all(bytes).await?;
        stream.flush().await?;
        Ok(())
    }

    async fn refuse(&mut self, refusal: &Refusal) {
        let mut out = BytesMut::new();
        refuse::put(&mut out, refusal, Severity::Fatal);
        let _ = self.write(&out).await;
        if let Some(stream) = &mut self.stream {
            let _ = stream.shutdown().await;
        }
    }

    /// A client that asks for more than we speak is told what we do.
    async fn negotiate_version(&mut self, hello: &Startup) -> Result<(), Stopped> {
        let unknown: Vec<&[u8]> = hello
            .parameters
            .iter()
            .map(|(name, _)| name.as_slice())
            .filter(|name| name.starts_with(b"_pq_."))
            .collect();
        if hello.minor <= startup::NEWEST_MINOR && unknown.is_empty() {
            return Ok(());
        }
        let mut out = BytesMut::new();
        wire::put_negotiate(&mut out, hello.minor.min(startup::NEWEST_MINOR), &unknown);
        self.write(&out).await
    }

    async fn authenticate(
        &mut self,
        engine: &Engine,
        cluster: &Arc<Cluster>,
        asked: &Asked,
    ) -> Result<Accepted, Stopped> {
        let auth = cluster.live.load().auth.clone();
        let credential = cluster.credential(&asked.user).await?;
        if auth.method == Method::Trust
            && credential.is_none()
            && !cluster.users.current().is_empty()
        {
            tracing::debug!(user = asked.user, "a user without an entry comes in by trust");
        }
        let mut step = Login::start(LoginRequest {
            user: &asked.user,
            method: auth.method,
            credential: credential.as_deref(),
            channel: self.channel.as_ref(),
            certificate_map: &auth.certificate_map,
            mock: &engine.mock,
            cache: &engine.keys,
        });
        loop {
            match step {
                Step::Accepted(accepted) => return Ok(accepted),
                Step::Rejected(reason) => {
                    tracing::info!(user = asked.user, %reason, "a login failed");
                    cluster.counters.failed_logins.increment();
                    // It may have changed in the database since.
                    cluster.asked.forget(&asked.user);
                    let user = asked.user.clone();
                    return Err(match auth.method {
                        Method::Cert => Refusal::Certificate(user),
                        _ => Refusal::Authentication(user),
                    }
                    .into());
                }
                Step::Continue { login, send } => {
                    let mut out = BytesMut::new();
                    wire::put_frame(&mut out, b'R', |b| b.put_slice(&send));
                    self.write(&out).await?;
                    step = login.on(&self.password_message().await?);
                }
            }
        }
    }

    async fn password_message(&mut self) -> Result<BytesMut, Stopped> {
        loop {
            match wire::peek(&self.input) {
                Err(error) => return Err(Refusal::Protocol(error.to_string()).into()),
                Ok(Some(header)) if header.tag != b'p' || header.len > LOGIN_FRAME => {
                    let what = format!("expected a password, got message {:?}", header.tag as char);
                    return Err(Refusal::Protocol(what).into());
                }
                Ok(Some(header)) if self.input.len() >= header.len => {
                    return Ok(self.input.split_to(header.len).split_off(HEADER));
                }
                Ok(_) => self.read().await?,
            }
        }
    }

    async fn say_hello(
        &mut self,
        accepted: &Accepted,
        greeting: &Greeting,
        entry: &ClientEntry,
    ) -> Result<(), Stopped> {
        let mut out = BytesMut::new();
        for body in &accepted.send {
            wire::put_frame(&mut out, b'R', |b| b.put_slice(body));
        }
        for (name, value) in greeting.iter() {
            wire::put_parameter_status(&mut out, name, value);
        }
        wire::put_backend_key(&mut out, entry.pid(), &entry.secret);
        wire::put_ready(&mut out, b'I');
        self.write(&out).await
    }
}

/// What the startup packet asks for.
struct Asked {
    user: String,
    database: String,
    params: Arc<Params>,
}

impl Asked {
    fn read(hello: &Startup) -> Result<Asked, Refusal> {
        let text = |name: &str| -> Result<Option<String>, Refusal> {
            let bytes = hello.get(name).filter(|v| !v.is_empty());
            let text = bytes.map(|v| String::from_utf8(v.to_vec())).transpose();
            text.map_err(|_| Refusal::Protocol(format!("{name} is not valid UTF-8")))
        };
        let user = text("user")?
            .ok_or_else(|| Refusal::Protocol("no PostgreSQL user name in startup packet".into()))?;
        let database = text("database")?.unwrap_or_else(|| user.clone());
        if text("replication")?.is_some_and(|v| !matches!(&*v, "false" | "off" | "no" | "0")) {
            return Err(Refusal::Unsupported("replication connections".into()));
        }
        let mut params = Params::default();
        for (name, value) in &hello.parameters {
            options::startup_parameter(&mut params, name, value)?;
        }
        Ok(Asked { user, database, params: Arc::new(params) })
    }
}

/// The parameters as a server reports them for this client.
async fn greet(
    cluster: &Arc<Cluster>,
    pools: &Arc<UserPools>,
    params: Arc<Params>,
) -> Result<(Arc<Params>, Greeting), Refusal> {
    if let Some(known) = cluster.welcomes.get(pools, &params) {
        return Ok(known);
    }
    let (avoid, turn) = (NodeSet::default(), cluster.turn());
    let errand = Errand {
        wants: Wants::Read,
        consistency: Some(Consistency::Bounded),
        known: Known::default(),
        avoid,
        turn,
    };
    let found = cluster.find(pools, errand).await?;
    let welcome = welcome::learn(found.lease, &params).await?;
    cluster.welcomes.put(pools, &params, welcome.clone());
    Ok(welcome)
}

/// Four bytes for protocol 3.0, as ever; 32 for 3.2.
fn fresh_secret(minor: u32) -> Result<Box<[u8]>, Refusal> {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut secret = vec![0; if minor >= 2 { 32 } else { 4 }];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| Refusal::Internal("the system gives no random bytes".into()))?;
    Ok(secret.into())
}
