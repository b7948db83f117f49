//! A connection to a PostgreSQL server, logged in and known.

use super::registry::{Registration, ServerEntry};
use super::session::{Backend, Reported};
use super::wire::{self, Fault, HEADER};
use crate::net::{Stream, say_goodbye, with_scratch};
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use thiserror::Error;

/// What a cancel request needs: it travels over a connection of its own.
#[derive(Debug)]
pub struct CancelKey {
    /// Process id of the backend.
    pub pid: u32,
    pub secret: Vec<u8>,
}

/// A server connection.
pub struct Server {
    pub stream: Stream,
    pub backend: Backend,
    /// Bytes for the server that the socket has not taken yet.
    pub out: BytesMut,
    /// The start of a frame whose rest has not come yet.
    carry: Vec<u8>,
    pub cancel: Arc<CancelKey>,
    pub entry: Registration<ServerEntry>,
}

#[derive(Clone, Debug, Error)]
pub enum ExchangeError {
    #[error("the connection was closed")]
    Closed,
    #[error("the node does not answer any more")]
    Silent,
    #[error("{0}")]
    Io(Arc<io::Error>),
    #[error("{0}")]
    Wire(#[from] wire::WireError),
    #[error("{}: {}", .0.sqlstate(), .0.message)]
    Fault(Fault),
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> ExchangeError {
        ExchangeError::Io(Arc::new(error))
    }
}

impl Server {
    pub fn new(
        stream: Stream,
        cancel: CancelKey,
        reported: Reported,
        max_prepared: usize,
        entry: Registration<ServerEntry>,
    ) -> Server {
        let backend = Backend { max_prepared, reported, ..Backend::default() };
        let (out, carry) = (BytesMut::new(), Vec::new());
        Server { stream, backend, out, carry, cancel: Arc::new(cancel), entry }
    }

    /// Writes what is in `out`, as far as the socket takes it. Ready when it is empty.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.out.is_empty() {
            let n = ready!(self.stream.poll_write_slice(cx, &self.out))?;
            self.out.advance(n);
        }
        self.stream.poll_flush_tls(cx)
    }

    /// Reads once and shows `look` all bytes that were not taken yet; `look` answers with the
    /// number of bytes it took. The end of the stream is an error.
    pub fn poll_receive<T>(
        &mut self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&mut Server, &mut Context<'_>, &[u8]) -> (usize, T),
    ) -> Poll<Result<T, ExchangeError>> {
        with_scratch(|scratch| {
            let had = self.carry.len();
            scratch[..had].copy_from_slice(&self.carry);
            let n = ready!(self.stream.poll_read_slice(cx, &mut scratch[had..]))?;
            if n == 0 {
                return Poll::Ready(Err(ExchangeError::Closed));
            }
            let chunk = &scratch[..had + n];
            let (taken, answer) = look(self, cx, chunk);
            self.carry.clear();
            self.carry.extend_from_slice(&chunk[taken..]);
            Poll::Ready(Ok(answer))
        })
    }

    /// True when no byte arrived that nobody asked for, and the server did not hang up.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0];
        self.carry.is_empty()
            && match &self.stream {
                Stream::Plain(tcp) => {
                    matches!(tcp.try_read(&mut byte), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
                }
                // Bytes of a TLS record cannot be taken back: the check is the next use.
                Stream::ToServer(_) | Stream::ToClient(_) => true,
            }
    }

    /// Runs `sql` (a simple query without parameters) and drops its rows.
    pub async fn run(&mut self, sql: &str) -> Result<(), ExchangeError> {
        self.converse(sql, |_, _| {}).await
    }

    /// The last row of the answer to `sql`; what the server says by itself meanwhile goes `aside`
    /// as it is.
    pub async fn ask(
        &mut self,
        sql: &str,
        aside: &mut BytesMut,
    ) -> Result<Vec<Option<String>>, ExchangeError> {
        let mut row = Vec::new();
        let look = |tag, frame: &[u8]| match tag {
            b'A' | b'N' | b'S' => aside.extend_from_slice(frame),
            b'D' => row = wire::parse_row(&frame[HEADER..]),
            _ => {}
        };
        self.converse(sql, look).await?;
        Ok(row)
    }

    /// Runs `sql` and shows `look` each frame of the answer with its tag.
    async fn converse(
        &mut self,
        sql: &str,
        mut look: impl FnMut(u8, &[u8]),
    ) -> Result<(), ExchangeError> {
        wire::put_query(&mut self.out, sql.as_bytes());
        self.backend.prepared.unnamed = None;
        let mut fault = None;
        loop {
            poll_fn(|cx| self.poll_send(cx)).await?;
            let done = poll_fn(|cx| {
                self.poll_receive(cx, |server, _, chunk| {
                    skim(chunk, &mut fault, |tag, frame| {
                        if tag == b'S' {
                            server.backend.reported.take(&frame[HEADER..]);
                        }
                        look(tag, frame);
                    })
                })
            });
            if done.await? {
                break;
            }
        }
        fault.map_or(Ok(()), |fault| Err(ExchangeError::Fault(fault)))
    }
}

impl Drop for Server {
    /// Whoever has nothing under way says goodbye; anything else is cut off, with what the kernel
    /// still holds of it.
    fn drop(&mut self) {
        if self.entry.client.load(Ordering::Relaxed) == 0 && self.out.is_empty() {
            // Nothing is lost if this fails.
            let _ = say_goodbye(self.stream.tcp());
        }
    }
}

/// Goes through whole frames of an answer; true at ReadyForQuery in idle state.
fn skim(chunk: &[u8], fault: &mut Option<Fault>, mut look: impl FnMut(u8, &[u8])) -> (usize, bool) {
    let (mut at, mut ready) = (0, false);
    while let Ok(Some(header)) = wire::peek(&chunk[at..]) {
        let Some(frame) = chunk.get(at..at + header.len) else { break };
        at += header.len;
        match header.tag {
            b'E' => *fault = Some(Fault::parse(&frame[HEADER..])),
            // What the server says by itself right behind it must not wait for more to come.
            b'Z' => ready = true,
            tag => look(tag, frame),
        }
    }
    (at, ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_in_the_same_read_behind_the_answer_is_shown_at_once() {
        let mut answer = BytesMut::new();
        wire::put_command_complete(&mut answer, "SELECT 1");
        wire::put_ready(&mut answer, b'I');
        answer.extend_from_slice(b"A\0\0\0\x0c\0\0\0\x07c\0p\0");
        for cut in 0..=answer.len() {
            let (mut seen, mut fault) = (Vec::new(), None);
            let mut look = |tag, _: &[u8]| seen.push(tag);
            let (taken, ready) = skim(&answer[..cut], &mut fault, &mut look);
            // Whoever is told of the end reads no further: nothing that came whole is left.
            assert!(cut < answer.len() || (taken, ready) == (cut, true));
            let (rest, later) = skim(&answer[taken..], &mut fault, &mut look);
            assert_eq!((seen, ready || later), (vec![b'C', b'A'], true), "cut at {cut}");
            assert_eq!(taken + rest, answer.len());
        }
    }
}
