//! The forwarder as one writes it with tokio: a task for each client.

use std::io;
use std::net::{SocketAddr, TcpListener};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// Forwards every connection of `listener` to `target`, on `threads` threads.
pub(crate) fn forward(listener: TcpListener, target: SocketAddr, threads: usize) -> io::Result<()> {
    runtime(threads)?.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (client, _) = listener.accept().await?;
            // A client or server that hangs up ends this pair and nothing else.
            tokio::spawn(async move { pair(client, target).await.ok() });
        }
    })
}

fn runtime(threads: usize) -> io::Result<Runtime> {
    match threads {
        1 => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    }
}

async fn pair(mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
