//! A socket that yields only frames that were checked; a bad one is an error with its reason.

use super::frames::{BadFrame, Checker};
use crate::net::Stream;
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct Guarded {
    stream: Stream,
    checker: Checker,
    /// What came from the socket and was not yet given on.
    seen: BytesMut,
    /// How much of `seen` was found to be good.
    good: usize,
}

impl Guarded {
    /// `seen`: the bytes that were already read from the socket.
    pub(super) fn new(stream: Stream, checker: Checker, seen: BytesMut) -> Guarded {
        Guarded { stream, checker, seen, good: 0 }
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The reason why a read failed, where it was a frame.
    pub(super) fn reason(error: &io::Error) -> Option<&BadFrame> {
        error.get_ref().and_then(|e| e.downcast_ref())
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.good == 0 {
            match this.checker.next(&this.seen) {
                Ok(Some(length)) => this.good = length,
                Ok(None) => {
                    let mut chunk = [0; 4096];
                    let mut read = ReadBuf::new(&mut chunk);
                    ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
                    if read.filled().is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    this.seen.extend_from_slice(read.filled());
                }
                Err(bad) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, bad)));
                }
            }
        }
        let now = this.good.min(buf.remaining());
        buf.put_slice(&this.seen[..now]);
        this.seen.advance(now);
        this.good -= now;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
