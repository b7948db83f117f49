//! A connection, plain or TLS, as one type.

use pin_project::pin_project;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

/// A byte stream to a client or a server.
#[pin_project(project = StreamProj)]
pub enum Stream {
    Plain(#[pin] TcpStream),
    /// TLS where the peer is the client.
    ToClient(#[pin] Box<server::TlsStream<TcpStream>>),
    /// TLS where the peer is the server.
    ToServer(#[pin] Box<client::TlsStream<TcpStream>>),
}

impl Stream {
    /// The TCP connection underneath.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::ToClient(tls) => tls.get_ref().0,
            Stream::ToServer(tls) => tls.get_ref().0,
        }
    }

    /// From now on the poller of the caller's runtime watches it. What has arrived is noticed only
    /// when that poller looks.
    pub fn move_here(&mut self) -> io::Result<()> {
        let tcp = match self {
            Stream::Plain(tcp) => tcp,
            Stream::ToClient(tls) => tls.get_mut().0,
            Stream::ToServer(tls) => tls.get_mut().0,
        };
        let same = SockRef::from(&*tcp).try_clone()?;
        *tcp = TcpStream::from_std(same.into())?;
        Ok(())
    }

    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp().peer_addr()
    }

    pub fn is_tls(&self) -> bool {
        !matches!(self, Stream::Plain(_))
    }

    /// Reads into `buffer`; `Ready(Ok(0))` is the end of the stream.
    pub fn poll_read_slice(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(buffer);
        match Pin::new(self).poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(read.filled().len())),
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Pushes out what TLS holds back; plain streams hold nothing.
    pub fn poll_flush_tls(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::ToClient(tls) => Pin::new(tls).poll_flush(cx),
            Stream::ToServer(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    /// Writes what the socket takes now of `bytes`.
    pub fn poll_write_slice(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(cx, bytes)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.project() {
            StreamProj::Plain(s) => s.poll_read(cx, buf),
            StreamProj::ToClient(s) => s.poll_read(cx, buf),
            StreamProj::ToServer(s) => s.poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.project() {
            StreamProj::Plain(s) => s.poll_write(cx, bytes),
            StreamProj::ToClient(s) => s.poll_write(cx, bytes),
            StreamProj::ToServer(s) => s.poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.project() {
            StreamProj::Plain(s) => s.poll_flush(cx),
            StreamProj::ToClient(s) => s.poll_flush(cx),
            StreamProj::ToServer(s) => s.poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.project() {
            StreamProj::Plain(s) => s.poll_shutdown(cx),
            StreamProj::ToClient(s) => s.poll_shutdown(cx),
            StreamProj::ToServer(s) => s.poll_shutdown(cx),
        }
    }
}
