//! A listener whose connections have their TLS handshake behind them.

use crate::net::Stream;
use crate::net::tls::Acceptor;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Connections that may wait until they are served.
const QUEUE: usize = 16;

type Arrived = (Stream, SocketAddr);

pub(super) struct Secured {
    tcp: TcpListener,
    acceptor: Arc<Acceptor>,
    ready: mpsc::Receiver<Arrived>,
    done: mpsc::Sender<Arrived>,
}

impl Secured {
    pub(super) fn new(tcp: TcpListener, acceptor: Arc<Acceptor>) -> Secured {
        let (done, ready) = mpsc::channel(QUEUE);
        Secured { tcp, acceptor, ready, done }
    }

    fn shake_hands(&self, tcp: TcpStream, from: SocketAddr) {
        let (acceptor, done) = (self.acceptor.clone(), self.done.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE, acceptor.accept(tcp, false)).await {
                // The other end is gone only when the agent stops.
                Ok(Ok(secured)) => drop(done.send((secured.stream, from)).await),
                Ok(Err(error)) => tracing::warn!(%from, %error, "no TLS with a caller"),
                Err(_) => tracing::warn!(%from, "a handshake takes too long"),
            }
        });
    }
}

impl axum::serve::Listener for Secured {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Arrived {
        loop {
            // Both are cancel-safe.
            tokio::select! {
                Some(arrived) = self.ready.recv() => return arrived,
                accepted = self.tcp.accept() => match accepted {
                    Ok((tcp, from)) => self.shake_hands(tcp, from),
                    Err(error) => {
                        tracing::error!(%error, "cannot accept connections for a moment");
                        sleep(Duration::from_secs(1)).await;
                    }
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
