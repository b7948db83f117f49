//! From an accepted connection to a logged-in client: greeting, TLS, login.

mod dialogue;
mod enter;
mod prove;

pub(super) use dialogue::Dialogue;
pub(super) use enter::welcome;
pub(super) use prove::{Claim, prove};

use super::client::Client;
use super::connect::read_packet;
use super::engine::Engine;
use super::refuse;
use super::wire::handshake::{First, Greeting, Response};
use super::wire::{WireError, capability};
use crate::door::attendance::Place;
use crate::door::gate::{Arrival, Stopped, outcome};
use crate::net::tls::ClientMode;
use crate::net::{Stream, tune_client};
use crate::refusal::Refusal;
use bytes::BytesMut;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

impl From<WireError> for Stopped {
    fn from(error: WireError) -> Stopped {
        Stopped::Refused(Refusal::Protocol(error.to_string()))
    }
}

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
    if let Some((client, place)) = Box::pin(log_in(&engine, arrival, tcp, address)).await {
        client.run(place).await;
    }
}

/// How long a client that is refused may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

async fn log_in(
    engine: &Arc<Engine>,
    arrival: Arrival,
    tcp: TcpStream,
    address: SocketAddr,
) -> Option<(Box<Client>, Place)> {
    let mut arriving = Arriving { plain: Some(tcp), dialogue: None, address };
    let limit = engine.login_timeout;
    let login = tokio::time::timeout(limit, arriving.log_in(engine, arrival.late)).await;
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
    /// Until it is known whether TLS is spoken.
    plain: Option<TcpStream>,
    dialogue: Option<Dialogue<Stream>>,
    address: SocketAddr,
}

impl Arriving {
    async fn log_in(
        &mut self,
        engine: &Arc<Engine>,
        late: bool,
    ) -> Result<(Box<Client>, Place), Stopped> {
        if late {
            return Err(Refusal::ShuttingDown.into());
        }
        if let Some(tcp) = &mut self.plain {
            self.address = engine.gate.origin(tcp, self.address).await?;
        }
        let id = engine.clients.reserve();
        let greeting = self.greet(engine, id).await?;
        let response = self.hear(engine).await?;
        let mode = engine.acceptor.as_ref().map_or(ClientMode::Off, |a| a.mode());
        let must = matches!(mode, ClientMode::Require | ClientMode::Verify);
        if must && response.capabilities & capability::SSL == 0 {
            return Err(Refusal::TlsRequired.into());
        }
        self.enter(engine, id, &greeting, response).await
    }

    /// Tells who we are: what our servers are.
    async fn greet(&mut self, engine: &Engine, id: u64) -> Result<Greeting, Stopped> {
        let known = engine.greeting().ok_or(Stopped::Quietly)?;
        let mut offered = capability::TO_CLIENTS;
        if known.is_mariadb() {
            // That is how MariaDB says that it is.
            offered &= !capability::LONG_PASSWORD;
        }
        let tls = engine.acceptor.as_ref().is_some_and(|a| a.mode() != ClientMode::Off);
        let plugin = prove::preferred(&known);
        let greeting = Greeting {
            thread: u32::try_from(id).unwrap_or(u32::MAX),
            scramble: prove::scramble()?,
            capabilities: if tls { offered | capability::SSL } else { offered },
            plugin: plugin.name().to_owned(),
            ..known
        };
        let mut out = BytesMut::new();
        greeting.put(&mut out);
        let Some(tcp) = &mut self.plain else { return Err(Stopped::Quietly) };
        tcp.write_all(&out).await?;
        Ok(greeting)
    }

    /// The client's answer, after the TLS that it may want.
    async fn hear(&mut self, engine: &Engine) -> Result<Response, Stopped> {
        let Some(mut tcp) = self.plain.take() else { return Err(Stopped::Quietly) };
        let (sequence, payload) = match read_packet(&mut tcp).await {
            Ok(read) => read,
            Err(error) => {
                self.plain = Some(tcp);
                return Err(broken(error));
            }
        };
        match (First::parse(&payload), &engine.acceptor) {
            (Ok(First::Response(response)), _) => {
                self.dialogue = Some(Dialogue::new(Stream::Plain(tcp), sequence));
                // Without TLS nobody has it, whatever was said.
                let capabilities = response.capabilities & !capability::SSL;
                Ok(Response { capabilities, ..response })
            }
            (Ok(First::Tls), Some(acceptor)) => {
                let secured = acceptor.accept(tcp, false).await.map_err(|error| {
                    tracing::info!(%error, "a TLS handshake with a client failed");
                    Stopped::Quietly
                })?;
                let mut dialogue = Dialogue::new(secured.stream, sequence);
                let payload = dialogue.read().await?;
                self.dialogue = Some(dialogue);
                match First::parse(&payload)? {
                    First::Response(response) => Ok(response),
                    First::Tls => Err(Refusal::Protocol("TLS inside of TLS".into()).into()),
                }
            }
            (Ok(First::Tls), None) => Err(Stopped::Quietly),
            (Err(error), _) => {
                self.dialogue = Some(Dialogue::new(Stream::Plain(tcp), sequence));
                Err(error.into())
            }
        }
    }

    async fn refuse(&mut self, refusal: &Refusal) {
        let mut out = BytesMut::new();
        match (&mut self.dialogue, &mut self.plain) {
            (Some(dialogue), _) => dialogue.refuse(refusal).await,
            (None, Some(tcp)) => {
                refuse::put(&mut out, 0, refusal);
                let _ = tcp.write_all(&out).await;
                let _ = tcp.shutdown().await;
            }
            (None, None) => {}
        }
    }
}

fn broken(error: std::io::Error) -> Stopped {
    match error.kind() {
        std::io::ErrorKind::InvalidData => Refusal::Protocol(error.to_string()).into(),
        _ => Stopped::Quietly,
    }
}
