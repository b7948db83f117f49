//! Moves bytes between a client and the server that works for it, until the command is answered.
//!
//! Reading stops on either side when the other does not take what was read, so memory stays flat
//! whatever flows through.

use super::client::Client;
use super::link::LinkError;
use super::wire::{self, HEADER, WireError, put_header};
use crate::net::with_scratch;
use bytes::{Buf, BytesMut};
use std::io;
use std::task::{Context, Poll, ready};

/// Bytes of a client that are read ahead while its statement runs.
pub(super) const READ_AHEAD: usize = 32 * 1024;

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// All that was owed was answered.
    Done,
    /// The server connection broke.
    ServerLost(LinkError),
    /// The server's words do not fit what is owed.
    Desync(WireError),
    /// The client is gone.
    ClientLeft,
    /// The client was told to go.
    Killed,
}

impl Client {
    /// One round of moving bytes; `Pending` until the command is answered or something breaks.
    pub(super) fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let mut moved = false;
            match self.poll_to_server(cx) {
                Poll::Ready(Ok(sent)) => moved |= sent,
                Poll::Ready(Err(error)) => {
                    // What the server said before it hung up matters more than the failed write.
                    let _ = self.poll_from_server(cx);
                    return Poll::Ready(Ended::ServerLost(error.into()));
                }
                Poll::Pending => {}
            }
            match self.poll_to_client(cx) {
                Poll::Ready(Ok(sent)) => moved |= sent,
                Poll::Ready(Err(_)) => return Poll::Ready(Ended::ClientLeft),
                Poll::Pending => {}
            }
            if self.is_answered() {
                return Poll::Ready(Ended::Done);
            }
            if self.output.is_empty() && !self.relay.is_answered() {
                match self.poll_from_server(cx) {
                    Poll::Ready(Ok(())) => moved = true,
                    Poll::Ready(Err(ended)) => return Poll::Ready(ended),
                    Poll::Pending => {}
                }
                if self.is_answered() {
                    return Poll::Ready(Ended::Done);
                }
            }
            match self.poll_more_from_client(cx) {
                Poll::Ready(Ok(())) => moved = true,
                Poll::Ready(Err(ended)) => return Poll::Ready(ended),
                Poll::Pending => {}
            }
            if !moved {
                // Registered first: who is told to go after this look is woken.
                self.entry.listen(cx);
                if self.must_go() {
                    return Poll::Ready(Ended::Killed);
                }
                return Poll::Pending;
            }
        }
    }

    /// Nothing is owed, nothing more is to be sent. What the client still has to take may wait.
    fn is_answered(&self) -> bool {
        self.relay.is_answered()
            && self.feed.is_over()
            && self.link.as_ref().is_none_or(|lease| lease.link.out.is_empty())
    }

    fn poll_to_server(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(lease) = &mut self.link else { return Poll::Ready(Ok(false)) };
        let pending = !lease.link.out.is_empty();
        ready!(lease.link.poll_send(cx))?;
        Poll::Ready(Ok(pending))
    }

    /// Ready(true): something went out; the output is empty then.
    pub(super) fn poll_to_client(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.output.is_empty() && !self.flush {
            return Poll::Ready(Ok(false));
        }
        while !self.output.is_empty() {
            let n = ready!(self.stream.poll_write_slice(cx, &self.output))?;
            self.output.advance(n);
            self.cluster.counters.sent.add(n as u64);
            self.flush = true;
        }
        ready!(self.stream.poll_flush_tls(cx))?;
        self.flush = false;
        Poll::Ready(Ok(true))
    }

    /// Reads once from the server; what the client gets of it is in the output then.
    fn poll_from_server(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let Some(lease) = &mut self.link else { return Poll::Pending };
        let (relay, session, output) = (&mut self.relay, &mut self.session, &mut self.output);
        let polled =
            lease.link.poll_receive(cx, |chunk| match relay.take(chunk, session, output) {
                Ok(taken) => (taken, Ok(())),
                Err(error) => (chunk.len(), Err(Ended::Desync(error))),
            });
        let took = ready!(polled).map_err(Ended::ServerLost)?;
        if std::mem::take(&mut self.relay.wants_file) {
            self.feed.is_file = true;
        }
        Poll::Ready(took)
    }

    /// While the client is idle: what the server says before it hangs up goes to the client as it
    /// is. Ready(false): it hung up.
    pub(super) fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(lease) = &mut self.link else { return Poll::Pending };
        let output = &mut self.output;
        let look = |chunk: &[u8]| {
            output.extend_from_slice(chunk);
            (chunk.len(), ())
        };
        let heard = ready!(lease.link.poll_receive(cx, look)).is_ok();
        self.relay.delivered = heard || self.relay.delivered && !self.relay.is_answered();
        Poll::Ready(heard)
    }

    /// Reads from the client what belongs to its command, or what it sends ahead.
    fn poll_more_from_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if !self.feed.is_over() {
            if self.link.as_ref().is_some_and(|lease| !lease.link.out.is_empty()) {
                return Poll::Pending;
            }
            if self.feed_server() {
                return Poll::Ready(Ok(()));
            }
        } else if self.input.len() >= READ_AHEAD {
            return Poll::Pending;
        }
        match ready!(self.poll_client_input(cx)) {
            Ok(0) | Err(_) => Poll::Ready(Err(Ended::ClientLeft)),
            Ok(_) => Poll::Ready(Ok(())),
        }
    }

    /// Appends what the client sent to the input; `Ok(0)` at the end of the stream.
    pub(super) fn poll_client_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        with_scratch(|scratch| {
            let n = ready!(self.stream.poll_read_slice(cx, scratch))?;
            self.input.extend_from_slice(&scratch[..n]);
            self.cluster.counters.received.add(n as u64);
            Poll::Ready(Ok(n))
        })
    }

    /// Turns input that belongs to the running command into output for the server. True when
    /// something moved.
    fn feed_server(&mut self) -> bool {
        let Some(lease) = &mut self.link else { return false };
        let (out, feed) = (&mut lease.link.out, &mut self.feed);
        if feed.tail > 0 {
            let n = feed.tail.min(self.input.len());
            out.extend_from_slice(&self.input[..n]);
            self.input.advance(n);
            feed.tail -= n;
            return n > 0;
        }
        let Some(header) = wire::peek(&self.input) else { return false };
        self.input.advance(HEADER);
        feed.tail = header.len;
        feed.goes_on = header.goes_on();
        if feed.is_file {
            put_header(out, header.len, self.relay.file_sequence(header.sequence));
            // An empty packet is the end of the file.
            feed.is_file = header.len > 0;
            feed.goes_on = false;
        } else {
            put_header(out, header.len, header.sequence);
            self.relay.goes_on(header.sequence);
        }
        true
    }
}

/// Frees a buffer that an idle client does not need.
pub(super) fn give_back(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > 0 {
        *buffer = BytesMut::new();
    }
}
