//! One direction of a relay: a buffer of fixed size between two streams.

use super::frames::Frames;
use crate::net::Stream;
use crate::telemetry::Counter;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Nothing is read while anything is still to be written: who reads slowly is sent slowly.
pub(super) struct Pump {
    buffer: Box<[u8]>,
    /// What of the buffer is still to be written.
    from: usize,
    to: usize,
    /// TLS may hold back what was written.
    unflushed: bool,
    /// The reader's stream has ended.
    over: bool,
    /// As far as it was written.
    frames: Frames,
}

impl Pump {
    pub(super) fn new(size: usize) -> Pump {
        let buffer = vec![0; size].into();
        Pump { buffer, from: 0, to: 0, unflushed: false, over: false, frames: Frames::default() }
    }

    /// With these bytes to be written first.
    pub(super) fn with(size: usize, first: &[u8]) -> Pump {
        let mut pump = Pump::new(size.max(first.len()));
        pump.buffer[..first.len()].copy_from_slice(first);
        pump.to = first.len();
        pump
    }

    /// Moves what can be moved. Ready when the reader's stream has ended, which the writer's then
    /// has as well.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (reader, writer): (&mut Stream, &mut Stream),
        moved: &Counter,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write(cx, writer, moved))?;
            if self.over {
                return Pin::new(&mut *writer).poll_shutdown(cx);
            }
            match reader.poll_read_slice(cx, &mut self.buffer) {
                Poll::Ready(Ok(0)) => self.over = true,
                Poll::Ready(read) => (self.from, self.to) = (0, read?),
                Poll::Pending => {
                    if self.unflushed {
                        ready!(writer.poll_flush_tls(cx))?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut Stream,
        moved: &Counter,
    ) -> Poll<io::Result<()>> {
        while self.from < self.to {
            let n = ready!(writer.poll_write_slice(cx, &self.buffer[self.from..self.to]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.frames.advance(&self.buffer[self.from..self.from + n]);
            moved.add(n as u64);
            self.from += n;
            self.unflushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Up to the end of the frame that is under way, so that a message of ours can follow. Ready
    /// with false when the reader's stream ends before.
    pub(super) fn poll_finish_frame(
        &mut self,
        cx: &mut Context<'_>,
        (reader, writer): (&mut Stream, &mut Stream),
    ) -> Poll<io::Result<bool>> {
        while !self.frames.is_between() {
            if self.from == self.to {
                (self.from, self.to) = (0, ready!(reader.poll_read_slice(cx, &mut self.buffer))?);
                if self.to == 0 {
                    return Poll::Ready(Ok(false));
                }
            }
            // Found on a copy: the stream may take less than the whole rest.
            let rest = self.frames.clone().finish(&self.buffer[self.from..self.to]);
            let n = ready!(writer.poll_write_slice(cx, &self.buffer[self.from..self.from + rest]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.frames.advance(&self.buffer[self.from..self.from + n]);
            self.from += n;
        }
        Poll::Ready(Ok(true))
    }
}
