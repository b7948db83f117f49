//! A connection to a MySQL or MariaDB server: bytes out, packets in, and simple questions.

use super::wire::column::{column_name, text_row};
use super::wire::command::{Command, put_command};
use super::wire::ok::Fault;
use super::wire::reply::{Kind, Part, Prepared, Reply};
use super::wire::{self, HEADER, WireError};
use crate::net::{Stream, with_scratch};
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use thiserror::Error;

/// A connection whose login is over.
pub struct Link {
    pub stream: Stream,
    /// Bytes for the server that the socket has not taken yet.
    pub out: BytesMut,
    /// Bytes of the server that wait for more of them.
    carry: Vec<u8>,
    /// The server's number of this connection: its `CONNECTION_ID()`.
    pub thread: u32,
    pub version: Arc<str>,
    pub is_mariadb: bool,
    /// The status flags that the server told last.
    pub status: u16,
    /// What session tracking told with the answers to the last questions of our own.
    pub told: Vec<u8>,
    /// What was prepared by them.
    pub prepared: Option<Prepared>,
}

#[derive(Clone, Debug, Error)]
pub enum LinkError {
    #[error("the connection was closed")]
    Closed,
    #[error("the node does not answer any more")]
    Silent,
    #[error("{0}")]
    Io(Arc<io::Error>),
    #[error("{0}")]
    Wire(#[from] WireError),
    /// The server's own words.
    #[error("{} ({}): {}", .0.code, .0.sqlstate, .0.message)]
    Fault(Fault),
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> LinkError {
        LinkError::Io(Arc::new(error))
    }
}

/// A row of text; `None` is NULL.
pub type Row = Vec<Option<Vec<u8>>>;

/// A result set of text with its columns' names.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

impl Link {
    pub(super) fn new(stream: Stream, greeting: &wire::handshake::Greeting) -> Link {
        Link {
            stream,
            out: BytesMut::new(),
            carry: Vec::new(),
            thread: greeting.thread,
            version: greeting.version.as_str().into(),
            is_mariadb: greeting.is_mariadb(),
            status: greeting.status,
            told: Vec::new(),
            prepared: None,
        }
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
        look: impl FnOnce(&[u8]) -> (usize, T),
    ) -> Poll<Result<T, LinkError>> {
        with_scratch(|scratch| {
            let n = ready!(self.stream.poll_read_slice(cx, scratch))?;
            if n == 0 {
                return Poll::Ready(Err(LinkError::Closed));
            }
            if self.carry.is_empty() {
                let (taken, answer) = look(&scratch[..n]);
                self.carry.extend_from_slice(&scratch[taken..n]);
                return Poll::Ready(Ok(answer));
            }
            self.carry.extend_from_slice(&scratch[..n]);
            let (taken, answer) = look(&self.carry);
            self.carry.drain(..taken);
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

    /// Resolves when the connection is found to be dead, or says what nobody asked for.
    /// Cancel-safe.
    pub async fn lost(&mut self) {
        let _ = poll_fn(|cx| self.poll_receive(cx, |chunk| (chunk.len(), ()))).await;
    }

    /// Runs one statement and answers with the rows of its last result set.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>, LinkError> {
        put_command(&mut self.out, Command::Query, sql.as_bytes());
        self.converse(&[Kind::Results]).await
    }

    /// Runs a command that is answered with OK.
    pub async fn command(&mut self, command: Command, argument: &[u8]) -> Result<(), LinkError> {
        put_command(&mut self.out, command, argument);
        self.converse(&[Kind::Ok]).await.map(drop)
    }

    /// Runs statements in one round trip, and answers with the last result set of each. After an
    /// error the connection is out of step.
    pub async fn tables(&mut self, statements: &[&str]) -> Result<Vec<Table>, LinkError> {
        for sql in statements {
            put_command(&mut self.out, Command::Query, sql.as_bytes());
        }
        let mut tables = Vec::new();
        for _ in statements {
            let answer = self.take_in(&[Kind::Results]).await?;
            tables.push(Table { columns: answer.columns, rows: answer.rows });
        }
        Ok(tables)
    }

    /// Sends what is in `out` and takes in the answers to it, one for each of `owed`. The rows are
    /// those of the last result set; the first error counts, after all answers came.
    pub async fn converse(&mut self, owed: &[Kind]) -> Result<Vec<Row>, LinkError> {
        self.take_in(owed).await.map(|answer| answer.rows)
    }

    async fn take_in(&mut self, owed: &[Kind]) -> Result<Answer, LinkError> {
        let mut answer = Answer::default();
        for kind in owed {
            let mut reply = Reply::new(*kind);
            while !reply.is_done() {
                poll_fn(|cx| self.poll_send(cx)).await?;
                // What came behind the answer before this one is looked at first.
                let kept = std::mem::take(&mut self.carry);
                let (taken, took) = answer.take(&mut reply, &kept);
                self.carry = kept;
                self.carry.drain(..taken);
                took?;
                if !reply.is_done() {
                    poll_fn(|cx| self.poll_receive(cx, |chunk| answer.take(&mut reply, chunk)))
                        .await??;
                }
            }
        }
        self.status = answer.status.unwrap_or(self.status);
        self.told = std::mem::take(&mut answer.told);
        self.prepared = answer.prepared.take();
        match answer.fault.take() {
            Some(fault) => Err(LinkError::Fault(fault)),
            None => Ok(answer),
        }
    }
}

/// What was learnt from answers so far.
#[derive(Default)]
struct Answer {
    columns: Vec<String>,
    rows: Vec<Row>,
    fault: Option<Fault>,
    status: Option<u16>,
    told: Vec<u8>,
    prepared: Option<Prepared>,
}

impl Answer {
    /// Takes whole packets of `chunk` up to the end of the answer.
    fn take(&mut self, reply: &mut Reply, chunk: &[u8]) -> (usize, Result<(), WireError>) {
        let mut at = 0;
        while !reply.is_done() {
            let Some(header) = wire::peek(&chunk[at..]) else { break };
            let Some(packet) = chunk.get(at..at + header.whole()) else { break };
            at += header.whole();
            let payload = &packet[HEADER..];
            if let Err(error) = self.part(reply, payload) {
                return (at, Err(error));
            }
        }
        (at, Ok(()))
    }

    fn part(&mut self, reply: &mut Reply, payload: &[u8]) -> Result<(), WireError> {
        match reply.take(payload, payload.len())? {
            Part::Ok(ok) | Part::End(ok) => {
                self.status = Some(ok.status);
                self.told.extend_from_slice(ok.track);
            }
            Part::Error => {
                self.fault.get_or_insert_with(|| Fault::parse(payload));
            }
            Part::Count => {
                self.rows.clear();
                self.columns.clear();
            }
            Part::Definition { of_rows: true, .. } => self.columns.push(column_name(payload)?),
            Part::Row => self.rows.push(text_row(payload)?),
            Part::File => {
                return Err(WireError::Unexpected { first: payload[0], place: "our own question" });
            }
            Part::Prepared(prepared) => self.prepared = Some(prepared),
            Part::Definition { .. } | Part::Text => {}
        }
        Ok(())
    }
}
