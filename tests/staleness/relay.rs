//! A piece of network that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Whole,
    /// Nothing arrives, and nobody is told.
    Silent,
    /// Every connection breaks, and none can be made.
    Broken,
}

/// Forwards to `target` as long as the network is whole.
pub struct Relay {
    pub address: SocketAddr,
    network: Arc<watch::Sender<Network>>,
}

impl Relay {
    pub async fn start(target: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let network = Arc::new(watch::channel(Network::Whole).0);
        let state = network.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target, state.subscribe()));
            }
        });
        Relay { address, network }
    }

    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

/// Both ways until an end closes or the network breaks.
async fn forward(client: TcpStream, target: SocketAddr, mut network: watch::Receiver<Network>) {
    let whole = network.wait_for(|state| *state != Network::Silent).await;
    if !whole.is_ok_and(|state| *state == Network::Whole) {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (up, down) = (network.clone(), network.clone());
    tokio::select! {
        () = carry(from_client, to_server, up) => {}
        () = carry(from_server, to_client, down) => {}
        _ = network.wait_for(|state| *state == Network::Broken) => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if network.wait_for(|state| *state != Network::Silent).await.is_err()
            || to.write_all(&buffer[..count]).await.is_err()
        {
            return;
        }
    }
}
