//! The forwarder with as few system calls as epoll allows: wait, receive, send.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{self, RecvFlags, SendFlags};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Bytes one receive can take at most.
const BUFFER: usize = 64 * 1024;
/// The key of the listener; connections count from 1.
const LISTENER: u64 = 0;

/// One side of a pair.
struct Side {
    stream: TcpStream,
    peer: u64,
    /// What its socket has not taken yet. The peer is not read meanwhile.
    unsent: Vec<u8>,
}

impl Side {
    fn is_held_up(&self) -> bool {
        !self.unsent.is_empty()
    }
}

struct Forwarder {
    poller: OwnedFd,
    target: SocketAddr,
    sides: HashMap<u64, Side>,
    next: u64,
}

/// Forwards every connection of `listener` to `target`.
pub(crate) fn forward(listener: &TcpListener, target: SocketAddr) -> io::Result<()> {
    let poller = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poller, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut forwarder = Forwarder { poller, target, sides: HashMap::new(), next: 1 };
    let mut buffer = vec![0; BUFFER];
    let mut events = Vec::<Event>::with_capacity(256);
    loop {
        events.clear();
        match epoll::wait(&forwarder.poller, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => forwarder.pair(listener.accept()?.0)?,
                key => forwarder.serve(key, event.flags, &mut buffer),
            }
        }
    }
}

impl Forwarder {
    fn pair(&mut self, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.target)?;
        let (front, back) = (self.next, self.next + 1);
        self.next += 2;
        for (key, peer, stream) in [(front, back, client), (back, front, server)] {
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&self.poller, &stream, EventData::new_u64(key), EventFlags::IN)?;
            self.sides.insert(key, Side { stream, peer, unsent: Vec::new() });
        }
        Ok(())
    }

    /// Moves what can be moved; a side that failed or ended takes its peer along.
    fn serve(&mut self, key: u64, flags: EventFlags, buffer: &mut [u8]) {
        let moved = match flags.contains(EventFlags::OUT) {
            true => self.send_rest(key),
            false => self.shovel(key, buffer),
        };
        if moved.is_err()
            && let Some(side) = self.sides.remove(&key)
        {
            self.sides.remove(&side.peer);
        }
    }

    fn shovel(&mut self, key: u64, buffer: &mut [u8]) -> io::Result<()> {
        // The peer of a pair that ended earlier in this round.
        let Some(from) = self.sides.get(&key) else { return Ok(()) };
        // One direction at a time is held up: the poller tells again when that is over.
        if from.is_held_up() || self.sides.get(&from.peer).is_some_and(Side::is_held_up) {
            return Ok(());
        }
        let (received, _) = net::recv(&from.stream, &mut *buffer, RecvFlags::empty())?;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let peer = from.peer;
        let Some(to) = self.sides.get_mut(&peer) else { return Ok(()) };
        let sent = send(&to.stream, &buffer[..received])?;
        if sent < received {
            to.unsent.extend_from_slice(&buffer[sent..received]);
            self.listen(peer, EventFlags::OUT)?;
            self.listen(key, EventFlags::empty())?;
        }
        Ok(())
    }

    fn send_rest(&mut self, key: u64) -> io::Result<()> {
        let Some(to) = self.sides.get_mut(&key) else { return Ok(()) };
        let sent = send(&to.stream, &to.unsent)?;
        to.unsent.drain(..sent);
        if to.unsent.is_empty() {
            let peer = to.peer;
            self.listen(key, EventFlags::IN)?;
            self.listen(peer, EventFlags::IN)?;
        }
        Ok(())
    }

    /// A side that has bytes to send is not read until they are gone.
    fn listen(&self, key: u64, to: EventFlags) -> io::Result<()> {
        let Some(side) = self.sides.get(&key) else { return Ok(()) };
        Ok(epoll::modify(&self.poller, &side.stream, EventData::new_u64(key), to)?)
    }
}

fn send(to: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    match net::send(to, bytes, SendFlags::NOSIGNAL) {
        Err(rustix::io::Errno::AGAIN) => Ok(0),
        sent => Ok(sent?),
    }
}
