//! The log as a server sends it: bytes at positions, and the changes of the timeline.
//!
//! Source: PostgreSQL documentation, "Streaming Replication Protocol" (START_REPLICATION).

use super::line::{Line, LineError, Row, column, parsed, unexpected};
use crate::backup::Segment;
use crate::topology::{Lsn, Timeline};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::time::Duration;
use tokio::time::Instant;

/// How often the server is told how far we are: less than a third of its `wal_sender_timeout`.
const STATUS: Duration = Duration::from_secs(5);

/// What comes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Data {
        start: Lsn,
        bytes: Bytes,
    },
    /// Nothing came, but the server was told that we are there.
    Quiet,
    /// This timeline ends; the log goes on on another one, from this position.
    Switch {
        timeline: Timeline,
        at: Lsn,
    },
}

/// A running START_REPLICATION.
pub(super) struct WalStream {
    line: Line,
    /// Behind the last byte that came.
    received: Lsn,
    /// All before this is stored: the server may forget it.
    stored: Lsn,
    status_due: Instant,
}

impl WalStream {
    pub(super) async fn start(
        mut line: Line,
        slot: Option<&str>,
        from: Lsn,
        timeline: Timeline,
    ) -> Result<WalStream, LineError> {
        // Before 15, PostgreSQL insists on it.
        identify(&mut line).await?;
        let slot = slot.map(|slot| format!("SLOT {slot} ")).unwrap_or_default();
        let text = format!("START_REPLICATION {slot}PHYSICAL {from} TIMELINE {}", timeline.0);
        line.command(&text).await?;
        match line.next().await? {
            (b'W', _) => {}
            (tag, _) => return Err(unexpected(tag)),
        }
        let status_due = Instant::now() + STATUS;
        Ok(WalStream { line, received: from, stored: from, status_due })
    }

    /// All before this is stored.
    pub(super) fn stored(&mut self, lsn: Lsn) {
        self.stored = self.stored.max(lsn);
    }

    /// Behind the last byte that came.
    pub(super) fn received(&self) -> Lsn {
        self.received
    }

    /// Waits for whatever comes next. Cancel-safe, but at a change of the timeline, behind which the
    /// stream is of no use.
    pub(super) async fn next(&mut self) -> Result<Event, LineError> {
        loop {
            if Instant::now() >= self.status_due {
                self.status().await?;
            }
            let frame = match tokio::time::timeout_at(self.status_due, self.line.next()).await {
                Ok(frame) => frame?,
                Err(_) => {
                    self.status().await?;
                    return Ok(Event::Quiet);
                }
            };
            match frame {
                (b'd', body) => match decode(body)? {
                    Data::Log { start, bytes } => {
                        self.received = Lsn(start.0 + bytes.len() as u64);
                        return Ok(Event::Data { start, bytes });
                    }
                    Data::Keepalive { reply: true } => self.status().await?,
                    Data::Keepalive { reply: false } => return Ok(Event::Quiet),
                },
                (b'c', _) => return self.switch().await,
                (tag, _) => return Err(unexpected(tag)),
            }
        }
    }

    /// The server has ended this timeline's stream: where the log goes on.
    async fn switch(&mut self) -> Result<Event, LineError> {
        self.line.send_done().await?;
        let rows = self.line.rows().await?;
        let row = rows.first().ok_or_else(|| LineError::Lost("the server ended it".into()))?;
        let timeline = Timeline(parsed(row, 0, "timeline")?);
        let at = parsed(row, 1, "position")?;
        // START_REPLICATION has a tag of its own behind that of its rows.
        loop {
            match self.line.next().await? {
                (b'C', _) => {}
                (b'Z', _) => return Ok(Event::Switch { timeline, at }),
                (tag, _) => return Err(unexpected(tag)),
            }
        }
    }

    /// The connection, behind a [`Event::Switch`].
    pub(super) fn into_line(self) -> Line {
        self.line
    }

    async fn status(&mut self) -> Result<(), LineError> {
        let mut body = BytesMut::with_capacity(34);
        body.put_u8(b'r');
        body.put_u64(self.received.0);
        body.put_u64(self.stored.0);
        // Nothing is replayed here.
        body.put_u64(0);
        // The time is for the server's statistics only.
        body.put_u64(0);
        body.put_u8(0);
        self.status_due = Instant::now() + STATUS;
        self.line.send_data(&body).await
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Data {
    Log { start: Lsn, bytes: Bytes },
    Keepalive { reply: bool },
}

fn decode(mut body: Bytes) -> Result<Data, LineError> {
    // Behind the tag: start, end and time of the data, or end and time of a keepalive.
    match body.first() {
        Some(b'w') if body.len() >= 25 => {
            body.advance(1);
            let start = Lsn(body.get_u64());
            body.advance(16);
            Ok(Data::Log { start, bytes: body })
        }
        Some(b'k') if body.len() >= 18 => Ok(Data::Keepalive { reply: body[17] != 0 }),
        _ => Err(LineError::Nonsense("neither log nor a keepalive".into())),
    }
}

/// What a server says of its place: system, timeline, and how far its log goes.
pub(super) async fn identify(line: &mut Line) -> Result<(u64, Timeline, Lsn), LineError> {
    let row: Row = line.ask("IDENTIFY_SYSTEM").await?;
    let system = parsed(&row, 0, "system identifier")?;
    Ok((system, Timeline(parsed(&row, 1, "timeline")?), parsed(&row, 2, "position")?))
}

/// `wal_segment_size` in bytes.
pub(super) async fn segment_size(line: &mut Line) -> Result<u64, LineError> {
    let row = line.ask("SHOW wal_segment_size").await?;
    let text = column(&row, 0, "wal_segment_size")?;
    let size = text
        .strip_suffix("MB")
        .map(|n| (n, 20))
        .or_else(|| text.strip_suffix("GB").map(|n| (n, 30)))
        .and_then(|(n, shift)| Some(n.parse::<u64>().ok()? << shift));
    let fits = size.filter(|size| size.is_power_of_two() && (1 << 20..=1 << 30).contains(size));
    fits.ok_or_else(|| LineError::Nonsense(format!("{text:?} is no wal_segment_size")))
}

/// The file that tells where this timeline began.
pub(super) async fn history(
    line: &mut Line,
    timeline: Timeline,
) -> Result<(String, Bytes), LineError> {
    let row = line.ask(&format!("TIMELINE_HISTORY {}", timeline.0)).await?;
    let (name, text) = (column(&row, 0, "file name")?, column(&row, 1, "history")?);
    Ok((name.to_owned(), Bytes::copy_from_slice(text.as_bytes())))
}

/// Puts the bytes together to segments.
#[derive(Debug)]
pub(super) struct Assembly {
    segment: Segment,
    buffer: BytesMut,
}

impl Assembly {
    /// From the start of this segment on.
    pub(super) fn new(segment: Segment) -> Assembly {
        Assembly { segment, buffer: BytesMut::new() }
    }

    /// Takes what comes next; answers with the segments that are whole now.
    pub(super) fn take(
        &mut self,
        start: Lsn,
        mut bytes: Bytes,
    ) -> Result<Vec<(Segment, Bytes)>, LineError> {
        let due = Lsn(self.segment.start().0 + self.buffer.len() as u64);
        if start != due {
            return Err(LineError::Nonsense(format!("log of {start} came instead of {due}")));
        }
        let size = usize::try_from(self.segment.size).unwrap_or(usize::MAX);
        let mut whole = Vec::new();
        while !bytes.is_empty() {
            let room = size - self.buffer.len();
            self.buffer.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.buffer.len() == size {
                whole.push((self.segment, self.buffer.split().freeze()));
                self.segment = self.segment.next();
            }
        }
        Ok(whole)
    }

    /// The segment that is not whole, filled up with zeros; `None`: nothing of it came.
    pub(super) fn rest(mut self) -> Option<(Segment, Bytes)> {
        let size = usize::try_from(self.segment.size).unwrap_or(usize::MAX);
        if self.buffer.is_empty() {
            return None;
        }
        self.buffer.resize(size, 0);
        Some((self.segment, self.buffer.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1 << 20;

    fn log(start: u64, len: usize) -> (Lsn, Bytes) {
        (Lsn(start), (start..start + len as u64).map(|at| at as u8).collect())
    }

    #[test]
    fn segments_are_whole_wherever_the_bytes_were_cut() {
        for cut in [1, 8_192, 131_072, 1_000_003, 3 << 20] {
            let first = Segment { timeline: Timeline(1), number: 7, size: SIZE };
            let mut assembly = Assembly::new(first);
            let (start, all) = log(first.start().0, 2 * SIZE as usize + 5_000);
            let mut whole = Vec::new();
            for at in (0..all.len()).step_by(cut.max(8_192)) {
                let part = all.slice(at..all.len().min(at + cut.max(8_192)));
                whole.extend(assembly.take(Lsn(start.0 + at as u64), part).unwrap());
            }
            assert_eq!(whole.len(), 2);
            assert_eq!(whole[1].0, first.next());
            assert_eq!(whole[1].1, all.slice(SIZE as usize..2 * SIZE as usize));
            let (last, bytes) = assembly.rest().unwrap();
            assert_eq!((last.number, bytes.len() as u64), (9, SIZE));
            assert_eq!(bytes[..5_000], all[2 * SIZE as usize..]);
            assert!(bytes[5_000..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_hole_in_the_log_is_an_error() {
        let first = Segment { timeline: Timeline(1), number: 7, size: SIZE };
        let mut assembly = Assembly::new(first);
        let (start, bytes) = log(first.start().0, 100);
        assembly.take(start, bytes.clone()).unwrap();
        assert!(assembly.take(Lsn(start.0 + 101), bytes.clone()).is_err());
        assert!(assembly.take(start, bytes).is_err());
        assert!(Assembly::new(first).rest().is_none());
    }

    #[test]
    fn data_and_keepalives_are_told_apart_and_short_ones_refused() {
        let mut log = vec![b'w'];
        log.extend_from_slice(&7_u64.to_be_bytes());
        log.extend_from_slice(&[0; 16]);
        log.extend_from_slice(b"abc");
        let data = Data::Log { start: Lsn(7), bytes: "abc".into() };
        assert_eq!(decode(log.clone().into()).unwrap(), data);
        assert!(decode(Bytes::copy_from_slice(&log[..24])).is_err());
        let mut keepalive = vec![b'k'];
        keepalive.extend_from_slice(&[0; 16]);
        keepalive.push(1);
        assert_eq!(decode(keepalive.into()).unwrap(), Data::Keepalive { reply: true });
        assert!(decode(Bytes::new()).is_err());
    }
}
