//! How a listening socket leaves its port to another process without refusing anybody.
//!
//! Of two sockets that share a port by SO_REUSEPORT, the kernel gives each new connection to one,
//! and when that one is closed it resets what was not accepted yet: connections in the queue, and
//! handshakes under way. Emptying the queue first leaves a gap between the last accept and the
//! close. So the one that leaves first stops taking *new* handshakes, by a filter that drops SYN
//! packets only: those under way still end, and are accepted; who sent the SYN sends it again
//! after a second (RFC 6298, 2.1) and finds the other socket. The other ways: handing the socket
//! over (systemd's socket activation does), or `net.ipv4.tcp_migrate_req` (Linux 5.14), by which
//! the kernel moves the queue, but which only root may set.

use socket2::{SockFilter, Socket};
use std::io;
use std::time::Duration;

/// How long handshakes under way may take: more than a round trip to far away, less than the
/// second after which those who were not heard try again.
pub const HANDSHAKES: Duration = Duration::from_millis(400);

/// Offset of the flags in the TCP header (RFC 9293, 3.1), which is where a filter's packet begins.
const FLAGS: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/// From now on no new handshake begins on this listening socket. Connections that it accepts
/// inherit the filter, which has no packet to drop there.
pub fn take_no_more(listening: &Socket) -> io::Result<()> {
    // Classic BPF, linux/bpf_common.h: load a byte, and it, compare it, return how much to keep.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    listening.attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};
    use std::net::{SocketAddr, TcpListener, TcpStream};

    fn listen(address: SocketAddr) -> TcpListener {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(64).unwrap();
        socket.into()
    }

    #[test]
    fn whoever_comes_after_that_reaches_the_other_socket() {
        let leaving = listen("127.0.0.1:0".parse().unwrap());
        let address = leaving.local_addr().unwrap();
        let waiting = TcpStream::connect(address).unwrap();
        let staying = listen(address);
        take_no_more(&Socket::from(leaving.try_clone().unwrap())).unwrap();
        let closing = std::thread::spawn(move || {
            std::thread::sleep(HANDSHAKES);
            let (_, peer) = leaving.accept().unwrap();
            assert_eq!(peer, waiting.local_addr().unwrap(), "one who came before");
            leaving.set_nonblocking(true).unwrap();
            assert!(leaving.accept().is_err(), "one who came after");
        });
        for _ in 0..16 {
            let client = TcpStream::connect(address).unwrap();
            let (_, peer) = staying.accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        closing.join().unwrap();
    }
}
