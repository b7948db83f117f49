//! The PROXY protocol, versions 1 and 2: whom a load balancer in front of us speaks for.
//!
//! Source: HAProxy's `doc/proxy-protocol.txt`. Exactly the header is read, not a byte more: what
//! follows belongs to the protocol behind it.

use ppp::{v1, v2};
use std::io;
use std::net::SocketAddr;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest header of version 1, its end included.
const LONGEST_TEXT: usize = 107;

/// Bytes that version 2 begins with.
const START: usize = 12;

/// The same with command, family and length.
const FIXED: usize = START + 4;

/// The longest header of version 2 that is taken: addresses, and room for what may be told besides.
const LONGEST: usize = 4096;

#[derive(Debug, Error)]
pub enum ProxiedError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the connection does not begin with a header of the PROXY protocol")]
    Missing,
    #[error("a header of the PROXY protocol is malformed: {0}")]
    Malformed(String),
}

/// Reads the header; `None`: the sender speaks for itself, or does not know for whom.
pub async fn read_header(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Option<SocketAddr>, ProxiedError> {
    let mut bytes = vec![0; START];
    from.read_exact(&mut bytes).await?;
    if bytes == v2::PROTOCOL_PREFIX {
        return binary(from, bytes).await;
    }
    if !bytes.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        return Err(ProxiedError::Missing);
    }
    while !bytes.ends_with(v1::PROTOCOL_SUFFIX.as_bytes()) {
        if bytes.len() == LONGEST_TEXT {
            return Err(ProxiedError::Malformed("it has no end".into()));
        }
        bytes.push(from.read_u8().await?);
    }
    let header = v1::Header::try_from(&bytes[..]);
    let header = header.map_err(|error| ProxiedError::Malformed(error.to_string()))?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Unknown => None,
    })
}

async fn binary(
    from: &mut (impl AsyncRead + Unpin),
    mut bytes: Vec<u8>,
) -> Result<Option<SocketAddr>, ProxiedError> {
    bytes.resize(FIXED, 0);
    from.read_exact(&mut bytes[START..]).await?;
    let rest = usize::from(u16::from_be_bytes([bytes[START + 2], bytes[START + 3]]));
    if rest > LONGEST {
        return Err(ProxiedError::Malformed(format!("it has {rest} bytes")));
    }
    bytes.resize(FIXED + rest, 0);
    from.read_exact(&mut bytes[FIXED..]).await?;
    let header = v2::Header::try_from(&bytes[..]);
    let header = header.map_err(|error| ProxiedError::Malformed(error.to_string()))?;
    Ok(match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => {
            Some((ip.source_address, ip.source_port).into())
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => {
            Some((ip.source_address, ip.source_port).into())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read, and what is left for the protocol behind it.
    async fn read(bytes: &[u8]) -> (Result<Option<String>, String>, usize) {
        let mut rest = bytes;
        let read = read_header(&mut rest).await;
        let read = read.map(|from| from.map(|from| from.to_string())).map_err(|e| e.to_string());
        (read, rest.len())
    }

    fn said(text: &str) -> Result<Option<String>, String> {
        Ok(Some(text.into()))
    }

    #[tokio::test]
    async fn both_versions_say_for_whom_and_no_byte_behind_them_is_taken() {
        let (from, rest) = read(b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 6432\r\n\0\0\0\x08").await;
        assert_eq!((from, rest), (said("192.0.2.7:40000"), 4));
        let (from, rest) = read(b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 6432\r\nmore").await;
        assert_eq!((from, rest), (said("[2001:db8::7]:40000"), 4));
        assert_eq!(read(b"PROXY UNKNOWN\r\nmore").await, (Ok(None), 4));
        let start = b"\r\n\r\n\0\r\nQUIT\n";
        let addresses = [192, 0, 2, 7, 192, 0, 2, 1, 0x9c, 0x40, 0x19, 0x20];
        let proxied = [&start[..], &[0x21, 0x11, 0, 12], &addresses, b"more"].concat();
        assert_eq!(read(&proxied).await, (said("192.0.2.7:40000"), 4));
        let local = [&start[..], &[0x20, 0, 0, 0], b"more"].concat();
        assert_eq!(read(&local).await, (Ok(None), 4));
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        assert!(read(b"\0\0\0\x08\x04\xd2\x16\x2f and more").await.0.is_err());
        let endless = [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat();
        let (told, _) = read(&endless).await;
        assert!(told.is_err_and(|told| told.contains("no end")));
        assert!(read(b"PROXY TCP4 here there 1 2\r\n").await.0.is_err());
        let long = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x11, 0xff, 0xff]].concat();
        assert!(read(&long).await.0.is_err_and(|told| told.contains("65535 bytes")));
        for cut in 0..15 {
            assert!(read(&b"PROXY UNKNOWN\r\n"[..cut]).await.0.is_err(), "cut at {cut}");
        }
    }
}
