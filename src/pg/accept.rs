//! From an accepted connection to a logged-in client: TLS, startup packet, login, greeting.

mod asked;
mod enter;
mod prove;

use super::engine::Engine;
use super::refuse::{self, Severity};
use super::wire;
use super::wire::startup::{self, First, Startup};
use crate::door::gate::{Arrival, Stopped, outcome};
use crate::net::tls::{ALPN_POSTGRESQL, Channel, ClientMode};
use crate::net::{Stream, tune_client};
use crate::refusal::Refusal;
use asked::Asked;
use bytes::BytesMut;
use enter::{Entered, Proven};
use prove::Proof;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Serves one connection from its first byte to its last.
pub(super) async fn serve(
    engine: Arc<Engine>,
    arrival: Arrival,
    tcp: TcpStream,
    address: SocketAddr,
) {
    if tune_client(&tcp).is_err() {
        return;
    }
    // The login's buffers and state are gone before the client's long life begins.
    let login = Box::pin(log_in(&engine, arrival, tcp, address));
    match login.await {
        Some(Entered::Client(mut client, place)) => {
            client.run().await;
            drop((client, place));
        }
        Some(Entered::Relay(relay, place)) => {
            Box::pin(relay.run()).await;
            drop(place);
        }
        None => {}
    }
}

/// How long a client that is refused may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

async fn log_in(
    engine: &Arc<Engine>,
    arrival: Arrival,
    tcp: TcpStream,
    address: SocketAddr,
) -> Option<Entered> {
    let mut arriving = Arriving { stream: None, input: BytesMut::new(), channel: None };
    let limit = engine.settings.login_timeout;
    let login = arriving.log_in((engine, arrival.late), tcp, address);
    let login = tokio::time::timeout(limit, login).await;
    match outcome(login, limit, address) {
        Ok(arrived) => return Some(arrived),
        Err(Some(refusal)) => {
            let _ = tokio::time::timeout(FAREWELL, arriving.refuse(&refusal)).await;
        }
        Err(None) => {}
    }
    None
}

struct Arriving {
    stream: Option<Stream>,
    input: BytesMut,
    channel: Option<Channel>,
}

impl Arriving {
    async fn log_in(
        &mut self,
        (engine, late): (&Arc<Engine>, bool),
        mut tcp: TcpStream,
        address: SocketAddr,
    ) -> Result<Entered, Stopped> {
        let address = match engine.gate.origin(&mut tcp, address).await {
            Ok(address) => address,
            Err(stopped) => {
                self.stream = Some(Stream::Plain(tcp));
                return Err(stopped);
            }
        };
        let hello = self.negotiate(engine, tcp).await?;
        let asked = Asked::read(hello)?;
        if late {
            return Err(Refusal::ShuttingDown.into());
        }
        let must = engine
            .acceptor
            .as_ref()
            .is_some_and(|a| matches!(a.mode(), ClientMode::Require | ClientMode::Verify));
        if must && self.channel.is_none() {
            return Err(Refusal::TlsRequired.into());
        }
        let cluster = asked.cluster(engine)?;
        let caller = (address.ip(), self.channel.is_some());
        let proof = Proof::demanded(engine, &cluster, &asked, caller)?;
        let place = cluster.admit(address.ip())?;
        self.negotiate_version(&asked.hello).await?;
        let accepted = self.authenticate(&proof).await?;
        let cluster = cluster.clone();
        let known = Proven { engine: engine.clone(), cluster, asked, accepted, address, place };
        self.enter(known).await
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
}
