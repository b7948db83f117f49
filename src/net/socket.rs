//! Socket options, set in one place.

use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long sent bytes may stay unacknowledged before the kernel gives the connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10))
        .with_retries(4)
}

/// A connection of a client: no delay, and a peer that vanished is noticed.
pub fn tune_client(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    SockRef::from(tcp).set_tcp_keepalive(&keepalive())
}

/// A connection to a server: the same, unacknowledged bytes do not wait for minutes, and none is
/// sent any more once it is closed. Otherwise the kernel would deliver a statement that nobody waits
/// for to a server that comes back.
pub fn tune_server(tcp: &TcpStream) -> io::Result<()> {
    tune_client(tcp)?;
    let socket = SockRef::from(tcp);
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Nothing is under way on this connection to a server: its end need not be a reset.
pub fn say_goodbye(tcp: &TcpStream) -> io::Result<()> {
    SockRef::from(tcp).set_linger(None)
}
