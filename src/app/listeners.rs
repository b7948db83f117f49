//! The ports, opened all or none.

use crate::config::{Door, Listen};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use thiserror::Error;
use tokio::net::TcpListener;

#[derive(Debug, Error)]
#[error("listen.{key}: cannot listen on {address}: {source}")]
pub struct ListenError {
    key: &'static str,
    address: SocketAddr,
    source: io::Error,
}

pub(super) struct Listeners {
    pub postgres: Option<TcpListener>,
    pub console: Option<TcpListener>,
    pub http: Option<TcpListener>,
}

impl Listeners {
    /// Name and address of each open port.
    pub(super) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        [("postgres", &self.postgres), ("console", &self.console), ("http", &self.http)]
            .into_iter()
            .filter_map(|(name, listener)| Some((name, listener.as_ref()?.local_addr().ok()?)))
            .collect()
    }
}

/// Opens what the settings ask for.
pub(super) fn open(settings: &Listen) -> Result<Listeners, ListenError> {
    let open = |key: &'static str, door: Door| -> Result<Option<TcpListener>, ListenError> {
        let Some(address) = door.address() else { return Ok(None) };
        let listener = bind(address, settings);
        listener.map(Some).map_err(|source| ListenError { key, address, source })
    };
    Ok(Listeners {
        postgres: open("postgres", settings.postgres)?,
        console: open("console", settings.console)?,
        http: open("http", settings.http)?,
    })
}

fn bind(address: SocketAddr, settings: &Listen) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if settings.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(settings.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}
