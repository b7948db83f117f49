//! One console connection, from its first byte to its last.

use super::command::Command;
use super::failure::{ENDING, Failure, LATE, LOGIN, PROTOCOL, TOO_MANY};
use super::frames::Checker;
use super::guard::Guarded;
use super::handlers::Commands;
use super::login::Login;
use super::prelude::{PreludeError, prelude};
use super::{Control, Settings};
use crate::net::Stream;
use crate::net::tls::ClientMode;
use futures_util::{SinkExt, StreamExt};
use pgwire::api::{ClientInfo, DefaultClient, NoopHandler, PgWireConnectionState};
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use pgwire::tokio::server::{PgWireMessageServerCodec, process_error, process_message};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::codec::Framed;

/// What all connections have in common.
pub(super) struct Shared {
    login: Arc<Login>,
    commands: Arc<Commands>,
    settings: Settings,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        control: Arc<dyn Control>,
    ) -> Result<Shared, super::VerifierError> {
        Ok(Shared {
            login: Arc::new(Login::new(settings.users.clone())?),
            commands: Arc::new(Commands::new(control, settings.users.clone())),
            settings,
        })
    }
}

impl Shared {
    fn demands_tls(&self) -> bool {
        let mode = self.settings.tls.as_ref().map(|acceptor| acceptor.mode());
        matches!(mode, Some(ClientMode::Require | ClientMode::Verify))
    }
}

type Socket = Framed<Guarded, PgWireMessageServerCodec<Command>>;

/// Serves one connection; `place` is `None` when there are too many.
pub(super) async fn run(
    tcp: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    place: Option<OwnedSemaphorePermit>,
    mut stopped: watch::Receiver<bool>,
) {
    let deadline = Instant::now() + shared.settings.login_timeout;
    // Answers are written whole, so there is nothing to wait for.
    let _ = tcp.set_nodelay(true);
    let mut stream = Some(Stream::Plain(tcp));
    // Cancel-safe: when the process stops, a half-read startup packet is of no use.
    let opened = tokio::select! {
        opened = timeout_at(deadline, prelude(&mut stream, shared.settings.tls.as_deref())) => opened,
        _ = stopped.wait_for(|stop| *stop) => return,
    };
    let (seen, refused) = match opened {
        Ok(Ok(Some(seen))) => (seen, None),
        Ok(Ok(None)) | Ok(Err(PreludeError::Io(_) | PreludeError::Handshake)) => return,
        Ok(Err(PreludeError::Frame(bad))) => {
            (Default::default(), Some(Failure::fatal(PROTOCOL, bad.to_string())))
        }
        Err(_) => (Default::default(), Some(login_timeout(&shared))),
    };
    let Some(stream) = stream else { return };
    let is_secure = stream.is_tls();
    let checker = Checker::new(shared.login.asks_for_a_password());
    let codec = PgWireMessageServerCodec::new(DefaultClient::new(peer, is_secure));
    let mut socket = Framed::new(Guarded::new(stream, checker, seen), codec);
    socket.set_state(PgWireConnectionState::AwaitingStartup);
    let refused = refused.or_else(|| place.is_none().then(|| too_many(&shared)));
    let refused = refused.or_else(|| (!is_secure && shared.demands_tls()).then(needs_tls));
    let end = match refused {
        Some(refused) => Some(refused.into()),
        None => talk(&mut socket, &shared, deadline, stopped).await,
    };
    if let Some(last_word) = end {
        tracing::debug!(%peer, reason = %last_word.message, "console connection refused");
        close(socket, last_word).await;
    }
}

fn needs_tls() -> Failure {
    Failure::fatal(LOGIN, "the console needs TLS").hint("Connect with sslmode=require or stronger.")
}

fn too_many(shared: &Shared) -> Failure {
    let limit = shared.settings.max_connections;
    Failure::fatal(TOO_MANY, format!("the console's limit of {limit} connections is reached"))
}

fn login_timeout(shared: &Shared) -> Failure {
    let limit = shared.settings.login_timeout;
    Failure::fatal(LATE, format!("the login took longer than {limit:?}"))
}

/// Answers messages until the connection ends; `Some` is what the client is told then.
async fn talk(
    socket: &mut Socket,
    shared: &Shared,
    deadline: Instant,
    mut stopped: watch::Receiver<bool>,
) -> Option<ErrorInfo> {
    loop {
        let ready = !matches!(
            socket.state(),
            PgWireConnectionState::AwaitingStartup
                | PgWireConnectionState::AuthenticationInProgress
        );
        let late = async {
            if ready {
                std::future::pending().await
            } else {
                tokio::time::sleep_until(deadline).await
            }
        };
        // Every branch is cancel-safe: Framed keeps what it has read.
        let next = tokio::select! {
            next = socket.next() => next?,
            () = late => return Some(login_timeout(shared).into()),
            _ = stopped.wait_for(|stop| *stop) => {
                return Some(Failure::fatal(ENDING, "tidegate is shutting down").into());
            }
        };
        match answer(socket, shared, next).await {
            ControlFlow::Continue(()) => {}
            ControlFlow::Break(last_word) => return last_word,
        }
    }
}

async fn answer(
    socket: &mut Socket,
    shared: &Shared,
    next: Result<PgWireFrontendMessage, PgWireError>,
) -> ControlFlow<Option<ErrorInfo>> {
    let message = match next {
        Ok(PgWireFrontendMessage::Terminate(_)) => return ControlFlow::Break(None),
        Ok(message) => message,
        Err(PgWireError::IoError(e)) => {
            let bad = Guarded::reason(&e);
            let word = bad.map(|bad| Failure::fatal(PROTOCOL, bad.to_string()).into());
            return ControlFlow::Break(word);
        }
        Err(other) => return ControlFlow::Break(Some(named(other))),
    };
    let extended = message.is_extended_query();
    let nothing = Arc::new(NoopHandler);
    let (login, commands) = (shared.login.clone(), shared.commands.clone());
    let done = process_message(
        message,
        socket,
        login,
        commands.clone(),
        commands,
        nothing.clone(),
        nothing,
    );
    match done.await {
        Ok(()) => ControlFlow::Continue(()),
        Err(PgWireError::IoError(_)) => ControlFlow::Break(None),
        Err(fatal) if fatal.is_fatal() => ControlFlow::Break(Some(named(fatal))),
        Err(error) => {
            let error = PgWireError::UserError(Box::new(named(error)));
            match process_error(socket, error, extended).await {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(None),
            }
        }
    }
}

/// With the severity that clients read; pgwire gives its own errors only the one for people.
fn named(error: PgWireError) -> ErrorInfo {
    let mut info = ErrorInfo::from(error);
    info.severity_nonlocalized.get_or_insert_with(|| info.severity.clone());
    info
}

/// Sends the reason and closes. What the client still sends is read for a moment: closing a
/// socket with unread bytes resets it, and the reason would be lost on the way.
async fn close(mut socket: Socket, last_word: ErrorInfo) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let message = PgWireBackendMessage::ErrorResponse(last_word.into());
    let _ = timeout(PATIENCE, async {
        socket.send(message).await?;
        let stream = socket.get_mut().stream();
        stream.shutdown().await?;
        let mut ignored = [0; 4096];
        while stream.read(&mut ignored).await? > 0 {}
        std::io::Result::Ok(())
    })
    .await;
}
