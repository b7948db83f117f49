//! OK, EOF and ERR packets.

use super::reader::{Reader, put_lenenc, put_lenenc_bytes};
use super::{WireError, capability, put_packet, status};
use bytes::{BufMut, BytesMut};

/// An OK packet, or the one that ends a result set in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ok<'a> {
    pub affected_rows: u64,
    pub last_insert_id: u64,
    pub status: u16,
    pub warnings: u16,
    pub info: &'a [u8],
    /// What session tracking tells, undecoded; empty: nothing.
    pub track: &'a [u8],
}

impl<'a> Ok<'a> {
    /// Of a payload that begins with 0x00 or 0xfe, of a connection with session tracking.
    pub fn parse(payload: &'a [u8]) -> Result<Ok<'a>, WireError> {
        let mut reader = Reader::new(payload, "an OK packet");
        reader.u8()?;
        let (affected_rows, last_insert_id) = (reader.lenenc()?, reader.lenenc()?);
        let (status, warnings) = (reader.u16()?, reader.u16()?);
        let info = if reader.is_empty() { b"" } else { reader.lenenc_bytes()? };
        let changed = status & status::SESSION_STATE_CHANGED != 0 && !reader.is_empty();
        let track = if changed { reader.lenenc_bytes()? } else { b"" };
        Result::Ok(Ok { affected_rows, last_insert_id, status, warnings, info, track })
    }

    /// Appends it as a client with these capabilities expects it, after a statement (`first`
    /// 0x00) or at the end of a result set (0xfe).
    pub fn put(&self, out: &mut BytesMut, sequence: u8, first: u8, client: u32) {
        let mut status = self.status;
        if self.track.is_empty() {
            status &= !status::SESSION_STATE_CHANGED;
        }
        let mut body = BytesMut::with_capacity(16 + self.info.len() + self.track.len());
        body.put_u8(first);
        if first == END && client & capability::DEPRECATE_EOF == 0 {
            body.put_u16_le(self.warnings);
            body.put_u16_le(status & !status::SESSION_STATE_CHANGED);
            put_packet(out, sequence, &body);
            return;
        }
        put_lenenc(&mut body, self.affected_rows);
        put_lenenc(&mut body, self.last_insert_id);
        let tracks = client & capability::SESSION_TRACK != 0;
        if !tracks {
            status &= !status::SESSION_STATE_CHANGED;
        }
        body.put_u16_le(status);
        body.put_u16_le(self.warnings);
        let changed = status & status::SESSION_STATE_CHANGED != 0;
        // With its length for everybody, whatever the documentation says of those without tracking.
        if changed || !self.info.is_empty() {
            put_lenenc_bytes(&mut body, self.info);
        }
        if changed {
            put_lenenc_bytes(&mut body, self.track);
        }
        put_packet(out, sequence, &body);
    }
}

/// The first byte of what ends a result set.
pub const END: u8 = 0xfe;

/// The first byte of an ERR packet.
pub const ERR: u8 = 0xff;

/// Appends the EOF packet between columns and rows, for clients that expect one.
pub fn put_eof(out: &mut BytesMut, sequence: u8, warnings: u16, status: u16) {
    let [w, x] = warnings.to_le_bytes();
    let [s, t] = (status & !status::SESSION_STATE_CHANGED).to_le_bytes();
    put_packet(out, sequence, &[END, w, x, s, t]);
}

/// An error as a server says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: u16,
    /// Five letters; `HY000` where the server says none.
    pub sqlstate: String,
    pub message: String,
}

impl Fault {
    /// Of the payload of an ERR packet. What is missing is left out: it is for logs and decisions.
    pub fn parse(payload: &[u8]) -> Fault {
        let mut reader = Reader::new(payload, "an ERR packet");
        let code = reader.u8().and_then(|_| reader.u16()).unwrap_or(0);
        let rest = reader.rest();
        let (sqlstate, message) = match rest.strip_prefix(b"#").and_then(|r| r.split_at_checked(5))
        {
            Some((state, message)) => (state, message),
            None => (&b"HY000"[..], rest),
        };
        Fault {
            code,
            sqlstate: String::from_utf8_lossy(sqlstate).into_owned(),
            message: String::from_utf8_lossy(message).into_owned(),
        }
    }
}

/// Appends an ERR packet.
pub fn put_error(out: &mut BytesMut, sequence: u8, code: u16, sqlstate: &str, message: &str) {
    // The limit of clients: MYSQL_ERRMSG_SIZE.
    const LONGEST: usize = 511;
    let mut end = message.len().min(LONGEST);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut body = BytesMut::with_capacity(16 + end);
    body.put_u8(ERR);
    body.put_u16_le(code);
    body.put_u8(b'#');
    body.put_slice(sqlstate.as_bytes());
    body.put_slice(&message.as_bytes()[..end]);
    put_packet(out, sequence, &body);
}

#[cfg(test)]
mod tests {
    use super::super::{HEADER, peek};
    use super::*;

    const ALL: u32 = capability::SESSION_TRACK | capability::DEPRECATE_EOF;

    fn ok(info: &'static [u8], track: &'static [u8]) -> Ok<'static> {
        let status = match track {
            b"" => status::AUTOCOMMIT,
            _ => status::AUTOCOMMIT | status::SESSION_STATE_CHANGED,
        };
        Ok { affected_rows: 300, last_insert_id: 7, status, warnings: 2, info, track }
    }

    fn put(ok: &Ok<'_>, first: u8, client: u32) -> Vec<u8> {
        let mut out = BytesMut::new();
        ok.put(&mut out, 3, first, client);
        let header = peek(&out).expect("a header");
        assert_eq!((header.sequence, header.whole()), (3, out.len()));
        out[HEADER..].to_vec()
    }

    #[test]
    fn an_ok_packet_reads_back() {
        for one in [ok(b"", b""), ok(b"Rows: 1", b""), ok(b"Rows: 1", b"\x01\x02\x01a")] {
            for first in [0, END] {
                let bytes = put(&one, first, ALL);
                assert_eq!(bytes[0], first);
                assert_eq!(Ok::parse(&bytes), Result::Ok(one));
            }
        }
    }

    #[test]
    fn clients_without_session_tracking_get_the_old_form() {
        let bytes = put(&ok(b"hi", b"\x01\x02\x01a"), 0, capability::DEPRECATE_EOF);
        assert_eq!(bytes, b"\0\xfc\x2c\x01\x07\x02\0\x02\0\x02hi");
    }

    #[test]
    fn clients_of_old_get_an_eof_packet_at_the_end() {
        let bytes = put(&ok(b"", b"\x01\x02\x01a"), END, capability::SESSION_TRACK);
        assert_eq!(bytes, b"\xfe\x02\0\x02\0");
    }

    #[test]
    fn errors_are_read_with_and_without_a_state() {
        let mut out = BytesMut::new();
        put_error(&mut out, 1, 1045, "28000", "Access denied");
        let fault = Fault::parse(&out[HEADER..]);
        assert_eq!(
            (fault.code, &*fault.sqlstate, &*fault.message),
            (1045, "28000", "Access denied")
        );
        let early = Fault::parse(b"\xff\x10\x04Too many connections");
        assert_eq!((early.code, &*early.sqlstate), (1040, "HY000"));
        assert_eq!(early.message, "Too many connections");
    }

    #[test]
    fn a_long_message_is_cut_between_letters() {
        let mut out = BytesMut::new();
        put_error(&mut out, 1, 1, "HY000", &"ä".repeat(600));
        assert_eq!(Fault::parse(&out[HEADER..]).message, "ä".repeat(255));
    }
}
