//! Bodies (without type and length) of `R` and `p` messages:
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use bytes::{BufMut, Bytes, BytesMut};

use super::scram::Mechanism;
use crate::secret::Secret;

const OK: i32 = 0;
const CLEARTEXT: i32 = 3;
const MD5: i32 = 5;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

/// Longest body of a `p` message taken from a client, in bytes: PostgreSQL 15 allows passwords
/// of 64 KiB, tokens some drivers misuse as passwords are a few KiB.
const MAX_CLIENT_BODY: usize = 64 * 1024;

/// What the body of an `R` message asks or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthRequest<'a> {
    Ok,
    Cleartext,
    Md5([u8; 4]),
    /// The mechanisms offered, unknown ones left out.
    Sasl(Vec<Mechanism>),
    SaslContinue(&'a [u8]),
    SaslFinal(&'a [u8]),
    /// A method this program does not speak, by name.
    Unsupported(&'static str),
}

/// A body that is not what its message must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct MalformedAuth(pub &'static str);

impl<'a> AuthRequest<'a> {
    pub fn parse(body: &'a [u8]) -> Result<Self, MalformedAuth> {
        let (code, rest) =
            body.split_first_chunk::<4>().ok_or(MalformedAuth("authentication request"))?;
        Ok(match i32::from_be_bytes(*code) {
            OK if rest.is_empty() => Self::Ok,
            CLEARTEXT if rest.is_empty() => Self::Cleartext,
            MD5 => Self::Md5(rest.try_into().map_err(|_| MalformedAuth("md5 salt"))?),
            SASL => Self::Sasl(mechanisms(rest)?),
            SASL_CONTINUE => Self::SaslContinue(rest),
            SASL_FINAL => Self::SaslFinal(rest),
            2 => Self::Unsupported("Kerberos V5"),
            6 => Self::Unsupported("SCM credentials"),
            7 | 8 => Self::Unsupported("GSSAPI"),
            9 => Self::Unsupported("SSPI"),
            OK | CLEARTEXT => return Err(MalformedAuth("authentication request")),
            _ => Self::Unsupported("an unknown method"),
        })
    }
}

fn mechanisms(list: &[u8]) -> Result<Vec<Mechanism>, MalformedAuth> {
    const WRONG: MalformedAuth = MalformedAuth("list of SASL mechanisms");
    // Names ended by a zero each, the list by an empty name.
    let names = list.strip_suffix(b"\0\0").ok_or(WRONG)?;
    let mut known = Vec::new();
    for name in names.split(|b| *b == 0) {
        let name = std::str::from_utf8(name).ok().filter(|n| !n.is_empty()).ok_or(WRONG)?;
        known.extend(Mechanism::parse(name));
    }
    Ok(known)
}

fn body(code: i32, rest: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(4 + rest.len());
    out.put_i32(code);
    out.put_slice(rest);
    out.freeze()
}

pub(super) fn ok() -> Bytes {
    body(OK, b"")
}

pub(super) fn cleartext() -> Bytes {
    body(CLEARTEXT, b"")
}

pub(super) fn sasl(offered: &[Mechanism]) -> Bytes {
    let mut list = Vec::new();
    for mechanism in offered {
        list.extend_from_slice(mechanism.name().as_bytes());
        list.push(0);
    }
    list.push(0);
    body(SASL, &list)
}

pub(super) fn sasl_continue(data: &[u8]) -> Bytes {
    body(SASL_CONTINUE, data)
}

pub(super) fn sasl_final(data: &[u8]) -> Bytes {
    body(SASL_FINAL, data)
}

/// PasswordMessage, from us: the text and a zero.
pub(super) fn password(text: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(text.len() + 1);
    out.put_slice(text);
    out.put_u8(0);
    out.freeze()
}

/// PasswordMessage, from a client: one string, its zero at the very end.
pub(super) fn parse_password(body: &[u8]) -> Result<Secret, MalformedAuth> {
    match body.split_last() {
        Some((0, text)) if body.len() <= MAX_CLIENT_BODY && !text.contains(&0) => {
            Ok(Secret::new(text))
        }
        _ => Err(MalformedAuth("password message")),
    }
}

/// SASLInitialResponse, from us.
pub(super) fn sasl_initial(mechanism: Mechanism, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(mechanism.name().len() + 5 + data.len());
    out.put_slice(mechanism.name().as_bytes());
    out.put_u8(0);
    // A client-first-message is far below 2 GiB.
    out.put_i32(i32::try_from(data.len()).unwrap_or(i32::MAX));
    out.put_slice(data);
    out.freeze()
}

/// SASLInitialResponse, from a client: mechanism, length, exactly as many bytes.
pub(super) fn parse_sasl_initial(body: &[u8]) -> Result<(Mechanism, &[u8]), MalformedAuth> {
    const WRONG: MalformedAuth = MalformedAuth("SASL initial response");
    let end = body.iter().position(|b| *b == 0).ok_or(WRONG)?;
    let name = std::str::from_utf8(&body[..end]).map_err(|_| WRONG)?;
    let mechanism = Mechanism::parse(name).ok_or(MalformedAuth("SASL mechanism: not offered"))?;
    let (length, data) = body[end + 1..].split_first_chunk::<4>().ok_or(WRONG)?;
    // A length of -1 says "no initial response", which SCRAM always has.
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) if length == data.len() => Ok((mechanism, data)),
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_write_we_read() {
        let both = [Mechanism::ScramPlus, Mechanism::Scram];
        assert_eq!(AuthRequest::parse(&ok()), Ok(AuthRequest::Ok));
        assert_eq!(AuthRequest::parse(&cleartext()), Ok(AuthRequest::Cleartext));
        assert_eq!(AuthRequest::parse(&sasl(&both)), Ok(AuthRequest::Sasl(both.to_vec())));
        assert_eq!(AuthRequest::parse(&sasl_continue(b"r=")), Ok(AuthRequest::SaslContinue(b"r=")));
        assert_eq!(AuthRequest::parse(&sasl_final(b"v=")), Ok(AuthRequest::SaslFinal(b"v=")));
        let first = sasl_initial(Mechanism::Scram, b"n,,n=,r=x");
        assert_eq!(parse_sasl_initial(&first), Ok((Mechanism::Scram, &b"n,,n=,r=x"[..])));
        assert!(parse_password(&password(b"pw")).expect("a password").same_as(b"pw"));
    }

    #[test]
    fn damaged_bodies_are_refused() {
        let requests: [&[u8]; 7] = [
            b"",
            b"\0\0\0",
            b"\0\0\0\0x",
            b"\0\0\0\x05abc",
            b"\0\0\0\x0aSCRAM-SHA-256\0",
            b"\0\0\0\x0aSCRAM-SHA-256\0\0\0\0",
            b"\0\0\0\x0a",
        ];
        for bad in requests {
            assert!(AuthRequest::parse(bad).is_err(), "{bad:?}");
        }
        for bad in [&b""[..], b"pw", b"pw\0x", b"p\0w\0"] {
            assert!(parse_password(bad).is_err(), "{bad:?}");
        }
        let initial: [&[u8]; 6] = [
            b"SCRAM-SHA-256",
            b"SCRAM-SHA-256\0\0\0\0",
            b"SCRAM-SHA-256\0\xff\xff\xff\xff",
            b"SCRAM-SHA-256\0\0\0\0\x02abc",
            b"SCRAM-SHA-256\0\0\0\0\x04abc",
            b"SCRAM-SHA-1\0\0\0\0\x03abc",
        ];
        for bad in initial {
            assert!(parse_sasl_initial(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_method_we_do_not_speak_is_named() {
        assert_eq!(AuthRequest::parse(b"\0\0\0\x07"), Ok(AuthRequest::Unsupported("GSSAPI")));
    }
}
