//! The gate of one engine: who comes in, and how all leave when the process ends.

use super::rules::Networks;
use crate::net::proxied::{ProxiedError, read_header};
use crate::refusal::Refusal;
use crate::registry::Presence;
use crate::task::{Crew, Stop};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::error::Elapsed;

/// How long a drain waits for those who have connected but not finished their login.
const LOGIN: Duration = Duration::from_secs(2);

/// A client that is connected for so long only is not sent away for being idle.
const NEWCOMER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Gate {
    /// Who speaks for others, and says so by the PROXY protocol.
    speakers: Option<Networks>,
    /// Connections that are not clients yet.
    arriving: AtomicUsize,
    /// No new transactions; running ones may finish.
    draining: AtomicBool,
    /// Nothing may finish any more.
    cutting: AtomicBool,
}

/// A connection that is not a client yet: a drain waits for it.
#[derive(Debug)]
pub struct Arrival {
    gate: Arc<Gate>,
    /// It was accepted to be told that we are going.
    pub late: bool,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.gate.arriving.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Why a connection ends before it is a client.
#[derive(Debug)]
pub enum Stopped {
    /// It hung up, or was a request to cancel: nothing is said.
    Quietly,
    /// Told to the client.
    Refused(Refusal),
    /// The same, and logged already as much as it shall be.
    Failed(Refusal),
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

/// What a login within `limit` led to; else what its client is told, if anything.
pub fn outcome<T>(
    login: Result<Result<T, Stopped>, Elapsed>,
    limit: Duration,
    address: SocketAddr,
) -> Result<T, Option<Refusal>> {
    let refusal = match login {
        Ok(Ok(arrived)) => return Ok(arrived),
        Ok(Err(Stopped::Quietly)) => return Err(None),
        Ok(Err(Stopped::Failed(refusal))) => return Err(Some(refusal)),
        Ok(Err(Stopped::Refused(refusal))) => refusal,
        Err(_) => Refusal::LoginTimeout(limit),
    };
    tracing::info!(%address, %refusal, "a client was refused");
    Err(Some(refusal))
}

impl Gate {
    pub fn new(speakers: Option<Networks>) -> Gate {
        Gate { speakers, ..Gate::default() }
    }

    /// Where the connection from `address` comes from: who speaks for others says for whom.
    pub async fn origin(
        &self,
        tcp: &mut TcpStream,
        address: SocketAddr,
    ) -> Result<SocketAddr, Stopped> {
        let known = |networks: &Networks| networks.has(address.ip().to_canonical());
        if !self.speakers.as_ref().is_some_and(known) {
            return Ok(address);
        }
        match read_header(tcp).await {
            Ok(from) => Ok(from.unwrap_or(address)),
            // Such as a look whether the port is open.
            Err(ProxiedError::Io(_)) => Err(Stopped::Quietly),
            Err(error) => Err(Refusal::Protocol(error.to_string()).into()),
        }
    }

    /// Accepts connections until told to stop; each is served by one of the crew.
    pub async fn listen<F: Future<Output = ()> + Send>(
        self: Arc<Gate>,
        listener: TcpListener,
        mut stop: Stop,
        crew: &Crew,
        serve: impl Fn(Arrival, TcpStream, SocketAddr) -> F + Clone + Send + 'static,
    ) {
        loop {
            // Both branches are cancel-safe.
            let accepted = tokio::select! {
                () = stop.stopped() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((tcp, address)) => {
                    let (arrival, serve) = (self.arrive(), serve.clone());
                    crew.spawn(async move {
                        // It is watched where it is served.
                        if let Ok(tcp) = tcp.into_std().and_then(TcpStream::from_std) {
                            serve(arrival, tcp, address).await;
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn arrive(self: &Arc<Gate>) -> Arrival {
        self.arriving.fetch_add(1, Ordering::AcqRel);
        Arrival { late: self.is_draining(), gate: self.clone() }
    }

    /// What a client is told that must go.
    pub fn farewell(&self) -> Refusal {
        match self.is_draining() {
            true => Refusal::ShuttingDown,
            false => Refusal::Killed,
        }
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A client that was told to go must do so although it is in a transaction.
    pub fn spares_nobody(&self) -> bool {
        !self.is_draining() || self.cutting.load(Ordering::Acquire)
    }

    /// Idle clients leave now, the others when their transaction ends. Resolves when all are
    /// gone; who is not gone when `within` is over is cut off. Answers with how many were.
    /// `clients`: all that are there.
    pub async fn drain<C: Deref<Target = Presence>>(
        &self,
        within: Duration,
        clients: impl Fn() -> Vec<Arc<C>>,
    ) -> usize {
        /// To tell those who are cut off why.
        const LAST_WORDS: Duration = Duration::from_secs(1);
        self.draining.store(true, Ordering::Release);
        let left = self.dismiss(within, &clients).await;
        if left > 0 {
            self.cutting.store(true, Ordering::Release);
            self.dismiss(LAST_WORDS, &clients).await;
        }
        left
    }

    /// Tells every client to go until none is left or `within` is over.
    async fn dismiss<C: Deref<Target = Presence>>(
        &self,
        within: Duration,
        clients: &impl Fn() -> Vec<Arc<C>>,
    ) -> usize {
        let began = Instant::now();
        loop {
            let left = clients();
            left.iter().filter(|c| self.may_go(c)).for_each(|client| client.kill());
            let arriving = self.arriving.load(Ordering::Acquire) > 0 && began.elapsed() < LOGIN;
            let over = began.elapsed() >= within;
            if over || (left.is_empty() && !arriving) {
                return left.len();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Who was let in a moment ago may say what it came for.
    fn may_go(&self, client: &Presence) -> bool {
        self.cutting.load(Ordering::Acquire) || client.since.elapsed() > NEWCOMER
    }
}
