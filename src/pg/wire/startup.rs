//! The first packet of a connection: it has a length but no tag.

use super::cstr;
use bytes::{Buf, BufMut, BytesMut};
use thiserror::Error;

const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSSENC: u32 = 80_877_104;
/// PostgreSQL's own bound (`MAX_STARTUP_PACKET_LENGTH`).
const MAX_PACKET: usize = 10_000;
/// The newest minor version of protocol 3 that we speak: 3.2, since PostgreSQL 18.
pub const NEWEST_MINOR: u32 = 2;
/// The longest cancel key of protocol 3.2.
pub const MAX_CANCEL_KEY: usize = 256;

/// What a client says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    Ssl,
    Gssenc,
    Cancel { pid: u32, secret: Vec<u8> },
    Startup(Startup),
}

/// A StartupMessage of protocol 3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    /// Minor protocol version: 0, or 2 since PostgreSQL 18.
    pub minor: u32,
    /// Parameters in their order, `user` and `database` among them.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Startup {
    /// The last value given for `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.parameters.iter().rev().find(|(n, _)| n == name.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StartupError {
    #[error("invalid length {0} of the startup packet")]
    Length(u32),
    #[error("unsupported frontend protocol {}.{}: this server supports 3.0 to 3.2", .0 >> 16, .0 & 0xffff)]
    Protocol(u32),
    #[error("the startup packet is malformed: {0}")]
    Malformed(&'static str),
}

/// Takes the first packet off `bytes`; `None` when it is not whole yet.
pub fn take(bytes: &mut BytesMut) -> Result<Option<First>, StartupError> {
    let Some(head) = bytes.first_chunk::<4>() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes(*head);
    if !(8..=MAX_PACKET as u32).contains(&len) {
        return Err(StartupError::Length(len));
    }
    if bytes.len() < len as usize {
        return Ok(None);
    }
    let mut packet = bytes.split_to(len as usize);
    packet.advance(4);
    let code = packet.get_u32();
    decode(code, &packet).map(Some)
}

fn decode(code: u32, body: &[u8]) -> Result<First, StartupError> {
    match code {
        SSL if body.is_empty() => Ok(First::Ssl),
        GSSENC if body.is_empty() => Ok(First::Gssenc),
        CANCEL => {
            let malformed = StartupError::Malformed("cancel key");
            let (pid, secret) = body.split_first_chunk::<4>().ok_or(malformed.clone())?;
            if secret.is_empty() || secret.len() > MAX_CANCEL_KEY {
                return Err(malformed);
            }
            Ok(First::Cancel { pid: u32::from_be_bytes(*pid), secret: secret.to_vec() })
        }
        _ if code >> 16 == 3 => Ok(First::Startup(parameters(code & 0xffff, body)?)),
        _ => Err(StartupError::Protocol(code)),
    }
}

fn parameters(minor: u32, mut body: &[u8]) -> Result<Startup, StartupError> {
    let mut startup = Startup { minor, parameters: Vec::new() };
    loop {
        let (name, rest) = cstr(body).ok_or(StartupError::Malformed("a name has no end"))?;
        if name.is_empty() {
            return match rest {
                [] => Ok(startup),
                _ => Err(StartupError::Malformed("bytes after the last parameter")),
            };
        }
        let (value, rest) = cstr(rest).ok_or(StartupError::Malformed("a value has no end"))?;
        startup.parameters.push((name.to_vec(), value.to_vec()));
        body = rest;
    }
}

/// Appends a StartupMessage for a server.
pub fn put_startup<T: AsRef<[u8]>>(out: &mut BytesMut, minor: u32, parameters: &[(T, T)]) {
    put_packet(out, 3 << 16 | minor, |b| {
        for (name, value) in parameters {
            super::put_cstr(b, name.as_ref());
            super::put_cstr(b, value.as_ref());
        }
        b.put_u8(0);
    });
}

/// Appends a CancelRequest for a server.
pub fn put_cancel(out: &mut BytesMut, pid: u32, secret: &[u8]) {
    put_packet(out, CANCEL, |b| {
        b.put_u32(pid);
        b.put_slice(secret);
    });
}

/// Appends an SSLRequest for a server.
pub fn put_ssl_request(out: &mut BytesMut) {
    put_packet(out, SSL, |_| {});
}

fn put_packet(out: &mut BytesMut, code: u32, body: impl FnOnce(&mut BytesMut)) {
    let at = out.len();
    out.put_u32(0);
    out.put_u32(code);
    body(out);
    let len = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup() -> BytesMut {
        let mut packet = BytesMut::new();
        put_startup(&mut packet, 2, &[("user", "app"), ("database", "orders")]);
        packet
    }

    #[test]
    fn a_startup_packet_is_read_at_every_split_point() {
        let whole = startup();
        for cut in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..cut]);
            assert_eq!(take(&mut part), Ok(None), "cut at {cut}");
            part.extend_from_slice(&whole[cut..]);
            let Ok(Some(First::Startup(read))) = take(&mut part) else { panic!("cut at {cut}") };
            assert_eq!(read.minor, 2);
            assert_eq!(read.get("database"), Some(&b"orders"[..]));
            assert!(part.is_empty());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (bytes, expected) in [
            (&b"\0\0\0\x07\0\0\0\0"[..], StartupError::Length(7)),
            (b"\xff\xff\xff\xff\0\0\0\0", StartupError::Length(u32::MAX)),
            (b"\0\0\0\x08\0\x02\0\0", StartupError::Protocol(2 << 16)),
            (b"\0\0\0\x09\0\x03\0\0x", StartupError::Malformed("a name has no end")),
            (b"\0\0\0\x0a\0\x03\0\0\0x", StartupError::Malformed("bytes after the last parameter")),
        ] {
            assert_eq!(take(&mut BytesMut::from(bytes)), Err(expected));
        }
    }

    #[test]
    fn a_cancel_carries_a_long_key() {
        let mut packet = BytesMut::new();
        put_cancel(&mut packet, 7, &[1; 32]);
        let first = take(&mut packet);
        assert_eq!(first, Ok(Some(First::Cancel { pid: 7, secret: vec![1; 32] })));
    }
}
