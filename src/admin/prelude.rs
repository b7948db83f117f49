//! What a client may ask before its startup packet: encryption, or to cancel something.

use super::frames::BadFrame;
use bytes::BytesMut;
use std::io;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
}

/// Declines encryption and returns the first bytes of the startup packet; `None` when the client
/// only came to cancel: no command here runs long enough for that.
pub(super) async fn prelude(tcp: &mut TcpStream) -> Result<Option<BytesMut>, PreludeError> {
    let (mut ssl, mut gss) = (false, false);
    loop {
        let mut head = [0; 8];
        tcp.read_exact(&mut head[..1]).await?;
        if head[0] == 0x16 {
            return Err(BadFrame::Tls.into());
        }
        tcp.read_exact(&mut head[1..4]).await?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        if !(8..=10_000).contains(&length) {
            return Err(BadFrame::StartupLength(length).into());
        }
        tcp.read_exact(&mut head[4..]).await?;
        let asked = match head {
            CANCEL => return Ok(None),
            SSL => &mut ssl,
            GSSENC => &mut gss,
            _ => return Ok(Some(BytesMut::from(&head[..]))),
        };
        if std::mem::replace(asked, true) {
            return Err(BadFrame::AskedAgain.into());
        }
        tcp.write_all(b"N").await?;
    }
}
