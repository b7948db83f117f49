//! Moves bytes between a client and the server that works for it, until the batch is answered.
//!
//! It performs what the session decided and decides nothing itself. Reading stops on either side
//! when the other does not take what was read, so memory stays flat whatever flows through.

use super::client::Client;
use super::cluster::{Cluster, UserPools};
use super::server::{ExchangeError, Server};
use super::session::Session;
use super::session::batch::{Batch, End};
use super::session::delivery::Delivery;
use super::session::plan::Planner;
use super::session::receive::{Desync, Hope, Incoming, Outcome};
use super::session::send::Outgoing;
use super::wire::{self, Fault, HEADER, WireError};
use crate::net::with_scratch;
use bytes::{Buf, BytesMut};
use std::io;
use std::task::{Context, Poll, ready};

/// Pipelined bytes of a client that are read ahead while its statement runs.
pub(super) const READ_AHEAD: usize = 32 * 1024;

/// What understands the batches of a client.
pub(super) fn planner<'a>(cluster: &'a Cluster, pools: &'a UserPools) -> Planner<'a> {
    Planner {
        classifier: &cluster.classifier,
        catalog: pools.catalog.current(),
        statements: &cluster.statements,
        places: &cluster.places,
        user: &pools.user,
        database: &pools.database,
        strict: cluster.strict,
    }
}

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Everything owed was answered.
    Done,
    /// Nothing reached the client yet and another node may do better.
    Retry(Fault),
    /// The server ended the connection and said why.
    Fatal(Fault),
    /// The server connection broke.
    ServerLost(ExchangeError),
    /// A commit was done, and did not wait for its standbys.
    Unreplicated,
    /// The server's words do not fit what is owed.
    Desync(Desync),
    /// The client broke the protocol.
    ClientBroke(WireError),
    /// The client is gone.
    ClientLeft,
    /// The client was told to go.
    Killed,
}

impl Client {
    /// One round of moving bytes; `Pending` until the batch is answered or something breaks.
    pub(super) fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        // What a node says after it gave up its reign is no acknowledgement.
        if self.flow.writing && self.is_of_the_past() {
            return Poll::Ready(Ended::ServerLost(ExchangeError::Silent));
        }
        loop {
            let mut moved = false;
            match self.poll_to_server(cx) {
                Poll::Ready(Ok(sent)) => moved |= sent,
                Poll::Ready(Err(error)) => {
                    // What the server said before it hung up matters more than the failed write.
                    return match self.poll_from_server(cx) {
                        Poll::Ready(Err(ended @ (Ended::Fatal(_) | Ended::Retry(_)))) => {
                            Poll::Ready(ended)
                        }
                        _ => Poll::Ready(Ended::ServerLost(error.into())),
                    };
                }
                Poll::Pending => {}
            }
            match self.poll_to_client(cx) {
                Poll::Ready(Ok(sent)) => moved |= sent,
                Poll::Ready(Err(_)) => return Poll::Ready(Ended::ClientLeft),
                Poll::Pending => {}
            }
            self.say_what_is_left();
            if self.is_answered() {
                return Poll::Ready(Ended::Done);
            }
            if self.output.is_empty() {
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
                if self.waits_in_vain() {
                    return Poll::Ready(Ended::ServerLost(ExchangeError::Silent));
                }
                return Poll::Pending;
            }
        }
    }

    /// Answers of ours that no answer of the server comes after: in a transaction, say. Others
    /// go out with those of the server, so that until then another node may be asked.
    fn say_what_is_left(&mut self) {
        if self.owed.is_ours_alone() {
            while let Some(bytes) = self.owed.said() {
                self.output.extend_from_slice(&bytes);
            }
            self.flow.inbound.hope = Hope::None;
            self.flow.delivered = true;
        }
    }

    /// Nothing is owed, nothing more is to be sent. What the client still has to take may wait.
    fn is_answered(&self) -> bool {
        self.owed.is_empty()
            && !self.owed.is_skipping()
            && !self.flow.open
            && self.flow.tail == 0
            && self.link.as_ref().is_none_or(|link| link.out.is_empty())
    }

    fn poll_to_server(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(server) = &mut self.link else { return Poll::Ready(Ok(false)) };
        let pending = !server.out.is_empty();
        ready!(server.poll_send(cx))?;
        Poll::Ready(Ok(pending))
    }

    /// Ready(true): something went out; the output is empty then.
    pub(super) fn poll_to_client(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.output.is_empty() && !self.flow.flush {
            return Poll::Ready(Ok(false));
        }
        while !self.output.is_empty() {
            let n = ready!(self.stream.poll_write_slice(cx, &self.output))?;
            self.output.advance(n);
        }
        ready!(self.stream.poll_flush_tls(cx))?;
        self.flow.flush = false;
        Poll::Ready(Ok(true))
    }

    /// Reads once from the server and delivers. Call only with an empty output.
    pub(super) fn poll_from_server(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let Some(mut lease) = self.link.take() else { return Poll::Pending };
        let server: &mut Server = &mut lease;
        let polled = server.poll_receive(cx, |server, cx, chunk| {
            let mut from = Incoming {
                backend: &mut server.backend,
                owed: &mut self.owed,
                flow: &mut self.flow.inbound,
            };
            let mut delivery = Delivery::new(chunk, &mut self.output);
            match self.session.receive(chunk, &mut from, &mut delivery) {
                Ok((taken, Outcome::Going)) => {
                    let direct = delivery.finish();
                    (taken, self.deliver(cx, direct))
                }
                Ok((taken, Outcome::Retry(fault))) => {
                    // The other node says all of it again.
                    self.output.clear();
                    (taken, Err(Ended::Retry(fault)))
                }
                Ok((taken, Outcome::Fatal(fault))) => {
                    let direct = delivery.finish();
                    (taken, self.deliver(cx, direct).and(Err(Ended::Fatal(fault))))
                }
                Ok((taken, Outcome::Unreplicated)) => {
                    let direct = delivery.finish();
                    (taken, self.deliver(cx, direct).and(Err(Ended::Unreplicated)))
                }
                Err(desync) => (chunk.len(), Err(Ended::Desync(desync))),
            }
        });
        self.link = Some(lease);
        let delivered = ready!(polled).map_err(Ended::ServerLost)?;
        Poll::Ready(delivered)
    }

    /// Straight from the read buffer into the client's socket; only what it does not take now
    /// is copied.
    fn deliver(&mut self, cx: &mut Context<'_>, direct: &[u8]) -> Result<(), Ended> {
        if direct.is_empty() {
            if !self.output.is_empty() {
                self.flow.inbound.hope = Hope::None;
                self.flow.delivered = true;
            }
            return Ok(());
        }
        self.flow.inbound.hope = Hope::None;
        self.flow.delivered = true;
        self.cluster.counters.sent.add(direct.len() as u64);
        let written = match self.stream.poll_write_slice(cx, direct) {
            Poll::Ready(Ok(n)) => n,
            Poll::Ready(Err(_)) => return Err(Ended::ClientLeft),
            Poll::Pending => 0,
        };
        self.output.extend_from_slice(&direct[written..]);
        // TLS may hold back what its socket did not take.
        self.flow.flush = self.stream.poll_flush_tls(cx).is_pending();
        Ok(())
    }

    /// Reads from the client what belongs to the running batch, or what it sends ahead.
    fn poll_more_from_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if self.flow.inbound.reopened || self.owed.is_skipping() {
            self.flow.inbound.reopened = false;
            self.flow.open = true;
        }
        if self.flow.preparing && !self.owed.is_empty() {
            return Poll::Pending;
        }
        let feeding = self.flow.open || self.flow.tail > 0 || self.session.copying;
        if feeding {
            if self.link.as_ref().is_some_and(|link| !link.out.is_empty()) {
                return Poll::Pending;
            }
            if self.feed().map_err(Ended::ClientBroke)? {
                return match self.flow.left {
                    true => Poll::Ready(Err(Ended::ClientLeft)),
                    false => Poll::Ready(Ok(())),
                };
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

    /// Turns input that belongs to the running batch into output for the server.
    /// True when something moved.
    fn feed(&mut self) -> Result<bool, WireError> {
        if self.flow.tail > 0 {
            return Ok(self.feed_tail());
        }
        if self.session.copying {
            return self.feed_copy();
        }
        if std::mem::take(&mut self.flow.preparing) {
            self.feed_batch();
            return Ok(true);
        }
        self.batch.clear();
        let (cluster, pools) = (self.cluster.clone(), self.pools.clone());
        let planner = planner(&cluster, &pools);
        planner.advance(&mut self.session, &mut self.batch, &self.input)?;
        if self.batch.frames.is_empty() {
            return Ok(false);
        }
        if self.too_many_statements().is_some() {
            let what = "the client has more than pool.max_client_prepared statements";
            return Err(WireError::Malformed { tag: b'P', what });
        }
        if self.batch.weakens_commits() {
            let what = "synchronous_commit must be on or remote_apply in this cluster";
            return Err(WireError::Malformed { tag: b'P', what });
        }
        self.flow.preparing = self.send_ahead(Session::prepare_inside);
        if !self.flow.preparing {
            self.feed_batch();
        }
        Ok(true)
    }

    fn feed_batch(&mut self) {
        match self.batch.end {
            Some(End::Leave) => self.flow.left = true,
            Some(End::Ready) => self.flow.open = false,
            Some(End::Open) | None => {}
        }
        self.send_batch();
        self.drop_batch();
    }

    fn feed_tail(&mut self) -> bool {
        let n = self.flow.tail.min(self.input.len());
        if let Some(server) = &mut self.link {
            server.out.extend_from_slice(&self.input[..n]);
        }
        self.input.advance(n);
        self.flow.tail -= n;
        n > 0
    }

    /// CopyData as it came, up to CopyDone or CopyFail; Sync and Flush mean nothing here.
    fn feed_copy(&mut self) -> Result<bool, WireError> {
        let span = copy_span(&self.input)?;
        if let Some(server) = &mut self.link {
            server.out.extend_from_slice(&self.input[..span.forward]);
        }
        self.input.advance(span.forward + span.drop);
        self.flow.tail = span.tail;
        self.session.copying = !span.ends;
        Ok(span.forward + span.drop > 0)
    }

    /// Gives the planned frames to the server's output buffer.
    pub(super) fn send_batch(&mut self) {
        let input = std::mem::take(&mut self.input);
        self.send_ahead(|session, batch, to| session.send(batch, &input, to));
        self.input = input;
        if self.cluster.strict {
            // A commit that is cancelled is visible, and on no standby.
            self.entry.link.spare(self.owed.any_commit());
        }
        self.flow.tail = self.batch.frames.last().map_or(0, |frame| frame.later);
    }

    /// Puts what `write` has to say to the server, for the batch, into the server's output buffer.
    pub(super) fn send_ahead<T: Default>(
        &mut self,
        write: impl FnOnce(&mut Session, &Batch, &mut Outgoing<'_>) -> T,
    ) -> T {
        let Some(mut lease) = self.link.take() else { return T::default() };
        let server: &mut Server = &mut lease;
        let resolves =
            self.cluster.outcomes.is_some() && self.flow.writing && !self.reads_elsewhere();
        let mut to = Outgoing {
            backend: &mut server.backend,
            out: &mut server.out,
            owed: &mut self.owed,
            show: &|name| self.entry.show(name, &self.cluster),
            resolves,
        };
        let written = write(&mut self.session, &self.batch, &mut to);
        self.link = Some(lease);
        written
    }

    /// The batch was taken over: its bytes leave the input.
    pub(super) fn drop_batch(&mut self) {
        self.input.advance(self.batch.len);
        self.batch.clear();
    }
}

/// The front of a client's input while the server reads CopyData.
#[derive(Debug, Default, PartialEq, Eq)]
struct CopySpan {
    /// Bytes to forward, then bytes to drop.
    forward: usize,
    drop: usize,
    /// Bytes of the last frame that are still to come.
    tail: usize,
    /// CopyDone or CopyFail was among them.
    ends: bool,
}

fn copy_span(input: &[u8]) -> Result<CopySpan, WireError> {
    let mut span = CopySpan::default();
    while let Some(header) = wire::peek(&input[span.forward..])? {
        let rest = input.len() - span.forward;
        match header.tag {
            b'S' | b'H' if header.len == HEADER => {
                span.drop = header.len;
                return Ok(span);
            }
            b'd' => {
                span.forward += header.len.min(rest);
                span.tail = header.len - header.len.min(rest);
            }
            _ => {
                span.forward += header.len.min(rest);
                span.tail = header.len - header.len.min(rest);
                span.ends = true;
                return Ok(span);
            }
        }
    }
    Ok(span)
}

/// Frees a buffer that an idle client does not need.
pub(super) fn give_back(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > 0 {
        *buffer = BytesMut::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_data_is_forwarded_as_it_comes_and_ends_with_copy_done() {
        let mut input = Vec::new();
        input.extend_from_slice(b"d\0\0\0\x06ab");
        input.extend_from_slice(b"S\0\0\0\x04");
        assert_eq!(copy_span(&input), Ok(CopySpan { forward: 7, drop: 5, tail: 0, ends: false }));
        assert_eq!(
            copy_span(b"d\0\0\0\x0aab"),
            Ok(CopySpan { forward: 7, drop: 0, tail: 4, ends: false })
        );
        let done = b"c\0\0\0\x04S\0\0\0\x04";
        assert_eq!(copy_span(done), Ok(CopySpan { forward: 5, drop: 0, tail: 0, ends: true }));
    }
}
