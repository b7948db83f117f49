//! A replication connection to a server: commands, rows, and the data that flows.

use crate::net::{Stream, say_goodbye};
use crate::pg::auth::ServerSecret;
use crate::pg::connect::{ConnectError, Entrance, LoggedIn, Node};
use crate::pg::wire::{self, Fault, HEADER, WireError};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What pg_stat_replication shows.
const APPLICATION: &str = "tidegate backup";

/// The longest frame that is taken: the server cuts its data into pieces of 32 to 128 KiB.
const LONGEST: usize = 4 << 20;

/// Why a replication connection is of no use.
#[derive(Debug, Error)]
pub(super) enum LineError {
    #[error("{0}")]
    Connect(#[from] ConnectError),
    #[error("{}: {}", .0.sqlstate(), .0.message)]
    Fault(Fault),
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("was not understood: {0}")]
    Nonsense(String),
}

impl From<WireError> for LineError {
    fn from(error: WireError) -> LineError {
        LineError::Nonsense(error.to_string())
    }
}

impl LineError {
    /// The server's SQLSTATE, where it said one.
    pub(super) fn code(&self) -> &str {
        match self {
            LineError::Fault(fault) => fault.sqlstate(),
            LineError::Connect(ConnectError::Refused { code, .. }) => code,
            _ => "",
        }
    }
}

/// One frame of a server: its tag and its body.
pub(super) type Frame = (u8, Bytes);

/// A row of texts.
pub(super) type Row = Vec<Option<String>>;

/// Logged in for physical replication.
pub(super) struct Line {
    stream: Stream,
    input: BytesMut,
    /// What the socket has not taken yet.
    out: BytesMut,
}

impl Line {
    pub(super) async fn open(
        node: &Arc<Node>,
        user: &str,
        secret: &ServerSecret,
        patience: Duration,
    ) -> Result<Line, LineError> {
        let parameters =
            [("user", user), ("replication", "true"), ("application_name", APPLICATION)];
        let entrance = Entrance { node, user, secret: secret.clone(), parameters: &parameters };
        let LoggedIn { stream, .. } = match tokio::time::timeout(patience, entrance.log_in()).await
        {
            Ok(logged_in) => logged_in?,
            Err(_) => return Err(ConnectError::Timeout(patience).into()),
        };
        Ok(Line { stream, input: BytesMut::new(), out: BytesMut::new() })
    }

    /// Cancel-safe: what was not sent goes ahead of what comes next.
    async fn flush(&mut self) -> Result<(), LineError> {
        let lost = |error: std::io::Error| LineError::Lost(error.to_string());
        while !self.out.is_empty() {
            self.stream.write_buf(&mut self.out).await.map_err(lost)?;
        }
        self.stream.flush().await.map_err(lost)
    }

    pub(super) async fn command(&mut self, text: &str) -> Result<(), LineError> {
        wire::put_query(&mut self.out, text.as_bytes());
        self.flush().await
    }

    /// CopyData
    pub(super) async fn send_data(&mut self, body: &[u8]) -> Result<(), LineError> {
        wire::put_frame(&mut self.out, b'd', |b| b.put_slice(body));
        self.flush().await
    }

    /// CopyDone
    pub(super) async fn send_done(&mut self) -> Result<(), LineError> {
        wire::put_empty(&mut self.out, b'c');
        self.flush().await
    }

    /// The next frame; notices and parameters are passed over, an error is an error. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Frame, LineError> {
        self.flush().await?;
        loop {
            if let Some((tag, body)) = self.take()? {
                match tag {
                    b'N' | b'S' => continue,
                    b'E' => return Err(LineError::Fault(Fault::parse(&body))),
                    _ => return Ok((tag, body)),
                }
            }
            self.input.reserve(256 * 1024);
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err(LineError::Lost("the server hung up".into())),
                Ok(_) => {}
                Err(error) => return Err(LineError::Lost(error.to_string())),
            }
        }
    }

    fn take(&mut self) -> Result<Option<Frame>, LineError> {
        let Some(header) = wire::peek(&self.input)? else { return Ok(None) };
        if header.len > LONGEST {
            let tag = header.tag as char;
            return Err(LineError::Nonsense(format!("message {tag:?} of {} bytes", header.len)));
        }
        if self.input.len() < header.len {
            return Ok(None);
        }
        let mut frame = self.input.split_to(header.len).freeze();
        frame.advance(HEADER);
        Ok(Some((header.tag, frame)))
    }

    /// A frame of this tag, or it is an error.
    pub(super) async fn expect(&mut self, wanted: u8) -> Result<Bytes, LineError> {
        let (tag, body) = self.next().await?;
        match tag == wanted {
            true => Ok(body),
            false => Err(unexpected(tag)),
        }
    }

    /// The rows of one result, up to its tag.
    pub(super) async fn rows(&mut self) -> Result<Vec<Row>, LineError> {
        let mut rows = Vec::new();
        loop {
            let (tag, body) = self.next().await?;
            match tag {
                b'T' => {}
                b'D' => rows.push(wire::parse_row(&body)),
                b'C' => return Ok(rows),
                other => return Err(unexpected(other)),
            }
        }
    }

    /// One command with one result; its first row.
    pub(super) async fn ask(&mut self, text: &str) -> Result<Row, LineError> {
        self.command(text).await?;
        let rows = self.rows().await?;
        self.expect(b'Z').await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A reset is as good; the server only logs it differently.
        let _ = say_goodbye(self.stream.tcp());
    }
}

pub(super) fn unexpected(tag: u8) -> LineError {
    LineError::Nonsense(format!("unexpected message {:?}", tag as char))
}

/// A column that must be there.
pub(super) fn column<'a>(row: &'a Row, at: usize, what: &str) -> Result<&'a str, LineError> {
    let value = row.get(at).and_then(Option::as_deref);
    value.ok_or_else(|| LineError::Nonsense(format!("no {what} in the answer")))
}

/// A column that must be there and mean something.
pub(super) fn parsed<T: std::str::FromStr>(
    row: &Row,
    at: usize,
    what: &str,
) -> Result<T, LineError> {
    let text = column(row, at, what)?;
    text.parse().map_err(|_| LineError::Nonsense(format!("{text:?} is no {what}")))
}
