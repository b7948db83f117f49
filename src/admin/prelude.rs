//! What a client may ask before its startup packet: encryption, or to cancel something.

use super::frames::BadFrame;
use crate::net::Stream;
use crate::net::tls::{Acceptor, ClientMode};
use bytes::BytesMut;
use std::io;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CANCEL: [u8; 8] = request(16, 5678);
const SSL: [u8; 8] = request(8, 5679);
const GSSENC: [u8; 8] = request(8, 5680);

const fn request(length: u8, code: u16) -> [u8; 8] {
    let [high, low] = code.to_be_bytes();
    let [top, bottom] = 1234u16.to_be_bytes();
    [0, 0, 0, length, top, bottom, high, low]
}

#[derive(Debug, Error)]
pub(super) enum PreludeError {
    #[error(transparent)]
    Frame(#[from] BadFrame),
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Nobody is left to be told.
    #[error("the TLS handshake failed")]
    Handshake,
}

/// Agrees on encryption, or declines it, and returns the first bytes of the startup packet; `None` when
/// the client only came to cancel: no command here runs long enough for that. `stream` is gone when
/// nothing can be said to the client any more.
pub(super) async fn prelude(
    stream: &mut Option<Stream>,
    tls: Option<&Acceptor>,
) -> Result<Option<BytesMut>, PreludeError> {
    let tls = tls.filter(|acceptor| acceptor.mode() != ClientMode::Off);
    let (mut ssl, mut gss) = (false, false);
    loop {
        let Some(open) = stream else { return Err(PreludeError::Handshake) };
        let mut head = [0; 8];
        open.read_exact(&mut head[..1]).await?;
        if head[0] == 0x16 {
            return Err(BadFrame::Tls.into());
        }
        // Exactly what is looked at is read: nothing that came in the clear is taken for protected.
        open.read_exact(&mut head[1..4]).await?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        if !(8..=10_000).contains(&length) {
            return Err(BadFrame::StartupLength(length).into());
        }
        open.read_exact(&mut head[4..]).await?;
        let asked = match head {
            CANCEL => return Ok(None),
            SSL => &mut ssl,
            GSSENC => &mut gss,
            _ => return Ok(Some(BytesMut::from(&head[..]))),
        };
        if std::mem::replace(asked, true) {
            return Err(BadFrame::AskedAgain.into());
        }
        match tls.filter(|_| head == SSL && !open.is_tls()) {
            Some(acceptor) => secure(stream, acceptor).await?,
            None => {
                open.write_all(b"N").await?;
                open.flush().await?;
            }
        }
    }
}

async fn secure(stream: &mut Option<Stream>, acceptor: &Acceptor) -> Result<(), PreludeError> {
    let Some(Stream::Plain(mut tcp)) = stream.take() else { return Err(PreludeError::Handshake) };
    tcp.write_all(b"S").await?;
    let secured = acceptor.accept(tcp, false).await.map_err(|error| {
        tracing::info!(%error, "a TLS handshake on the console failed");
        PreludeError::Handshake
    })?;
    *stream = Some(secured.stream);
    Ok(())
}
