//! The ports, opened all or none, or inherited; and how they are left.

use crate::config::{Door, Listen};
use crate::net::leave;
use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{self, SocketAddr};
use thiserror::Error;
use tokio::net::TcpListener;

#[derive(Debug, Error)]
pub enum ListenError {
    #[error("listen.{key}: cannot listen on {address}: {source}{hint}")]
    Bind { key: &'static str, address: SocketAddr, source: io::Error, hint: &'static str },
    #[error("the sockets that were passed to this process (LISTEN_FDS): {0}")]
    Inherited(io::Error),
    #[error(
        "a socket for {address} was passed to this process (LISTEN_FDS), but no option of [listen] is {address}"
    )]
    Stranger { address: SocketAddr },
}

const TAKEN: &str =
    "\nhint: somebody listens there; listen.reuse_port lets two Tidegates share their ports";

/// Listening sockets that the parent process made, as systemd does: `sd_listen_fds(3)`.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<(SocketAddr, net::TcpListener)>);

impl Inherited {
    /// Those that the environment tells of.
    pub(super) fn from_env() -> Result<Inherited, ListenError> {
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let socket = passed.take_tcp_listener(index).map_err(ListenError::Inherited)?;
            if let Some(socket) = socket {
                sockets.push((socket.local_addr().map_err(ListenError::Inherited)?, socket));
            }
        }
        Ok(Inherited(sockets))
    }

    fn take(&mut self, address: SocketAddr) -> Option<net::TcpListener> {
        let at = self.0.iter().position(|(found, _)| *found == address)?;
        Some(self.0.swap_remove(at).1)
    }
}

/// Who serves a port once this process leaves it.
#[derive(Debug)]
enum Heir {
    /// Nobody: the port stays open during the drain, so that clients are told why.
    None,
    /// A process that listens there as well, by SO_REUSEPORT.
    Sharing(Socket),
    /// Whoever the parent process passes the same socket to; it keeps who is not accepted.
    SameSocket,
}

/// How this process leaves its ports.
#[derive(Debug)]
pub(super) struct Heirs(Vec<Heir>);

impl Heirs {
    /// Ends what can be ended before the listeners are closed. True: close them now, before the
    /// clients are sent away; false: nobody takes over.
    pub(super) async fn prepare(self) -> bool {
        let heir_is_known = self.0.iter().any(|heir| !matches!(heir, Heir::None));
        let mut sharing = false;
        for heir in self.0 {
            if let Heir::Sharing(socket) = heir {
                sharing = true;
                if let Err(error) = leave::take_no_more(&socket) {
                    tracing::warn!(%error, "connections may be reset while the ports are left");
                }
                // Our second handle on the socket ends here, before the listener is closed.
            }
        }
        if sharing {
            tokio::time::sleep(leave::HANDSHAKES).await;
        }
        heir_is_known
    }
}

pub(super) struct Listeners {
    pub postgres: Option<TcpListener>,
    pub mysql: Option<TcpListener>,
    pub console: Option<TcpListener>,
    pub http: Option<TcpListener>,
    pub heirs: Heirs,
}

impl Listeners {
    /// Name and address of each open port.
    pub(super) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let all = [
            ("postgres", &self.postgres),
            ("mysql", &self.mysql),
            ("console", &self.console),
            ("http", &self.http),
        ];
        all.into_iter()
            .filter_map(|(name, listener)| Some((name, listener.as_ref()?.local_addr().ok()?)))
            .collect()
    }
}

/// The engines that have clusters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Engines {
    pub postgres: bool,
    pub mysql: bool,
}

/// Opens what the settings ask for, with the inherited sockets where these are the same.
pub(super) fn open(
    settings: &Listen,
    engines: Engines,
    mut from: Inherited,
) -> Result<Listeners, ListenError> {
    let mut heirs = Vec::new();
    let mut open = |key: &'static str, door: Door| -> Result<Option<TcpListener>, ListenError> {
        let Some(address) = door.address() else { return Ok(None) };
        let opened = match from.take(address) {
            Some(socket) => adopt(socket).map(|listener| (listener, Heir::SameSocket)),
            None => bind(address, settings),
        };
        let (listener, heir) = opened.map_err(|source| {
            let hint = if source.kind() == io::ErrorKind::AddrInUse { TAKEN } else { "" };
            ListenError::Bind { key, address, source, hint }
        })?;
        heirs.push(heir);
        Ok(Some(listener))
    };
    let postgres = if engines.postgres { open("postgres", settings.postgres)? } else { None };
    let mysql = if engines.mysql { open("mysql", settings.mysql)? } else { None };
    let console = open("console", settings.console)?;
    let http = open("http", settings.http)?;
    // Nobody would ever answer on it.
    if let Some((address, _)) = from.0.first() {
        return Err(ListenError::Stranger { address: *address });
    }
    Ok(Listeners { postgres, mysql, console, http, heirs: Heirs(heirs) })
}

fn adopt(socket: net::TcpListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

fn bind(address: SocketAddr, settings: &Listen) -> io::Result<(TcpListener, Heir)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if settings.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(settings.backlog).unwrap_or(i32::MAX))?;
    let listener = adopt(socket.into())?;
    let heir = match settings.reuse_port {
        true => Heir::Sharing(SockRef::from(&listener).try_clone()?),
        false => Heir::None,
    };
    Ok((listener, heir))
}
