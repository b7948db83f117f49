//! Packets: three bytes of length, one of sequence, then the payload.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

/// Bytes of length and sequence id.
pub const HEADER: usize = 4;

/// The longest payload of one packet. One of exactly this length goes on in the next packet.
pub const MAX_PAYLOAD: usize = 0xff_ffff;

/// The peer broke the wire format.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    #[error("{what} is cut short or malformed")]
    Malformed { what: &'static str },
    #[error("packets out of order: {got} instead of {expected}")]
    Sequence { expected: u8, got: u8 },
    #[error("unexpected packet 0x{first:02x} in {place}")]
    Unexpected { first: u8, place: &'static str },
}

/// How long a packet is, and its place in the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the payload.
    pub len: usize,
    pub sequence: u8,
}

impl Header {
    /// Bytes of the whole packet.
    pub fn whole(self) -> usize {
        HEADER + self.len
    }

    /// The next packet belongs to the same message.
    pub fn goes_on(self) -> bool {
        self.len == MAX_PAYLOAD
    }
}

/// Reads the header at the start of `bytes`; `None` when it is not there yet.
#[inline]
pub fn peek(bytes: &[u8]) -> Option<Header> {
    let &[a, b, c, sequence] = bytes.first_chunk::<HEADER>()?;
    Some(Header { len: u32::from_le_bytes([a, b, c, 0]) as usize, sequence })
}

pub fn put_header(out: &mut BytesMut, len: usize, sequence: u8) {
    debug_assert!(len <= MAX_PAYLOAD, "a packet of {len} bytes");
    out.put_uint_le(len as u64, 3);
    out.put_u8(sequence);
}

/// Appends `payload` as one packet, or as several if it is long. Answers with the sequence id of
/// the packet after it.
pub fn put_packet(out: &mut BytesMut, mut sequence: u8, payload: &[u8]) -> u8 {
    let mut rest = payload;
    loop {
        let (part, later) = rest.split_at(rest.len().min(MAX_PAYLOAD));
        put_header(out, part.len(), sequence);
        out.put_slice(part);
        sequence = sequence.wrapping_add(1);
        if part.len() < MAX_PAYLOAD {
            return sequence;
        }
        rest = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_seen_only_when_whole() {
        let packet = [2, 0, 0, 7, b'h', b'i'];
        for cut in 0..HEADER {
            assert_eq!(peek(&packet[..cut]), None);
        }
        for cut in HEADER..=packet.len() {
            assert_eq!(peek(&packet[..cut]), Some(Header { len: 2, sequence: 7 }));
        }
    }

    #[test]
    fn long_payloads_are_split_and_end_with_a_short_packet() {
        let mut out = BytesMut::new();
        assert_eq!(put_packet(&mut out, 255, &vec![1; MAX_PAYLOAD]), 1);
        let first = peek(&out).expect("a header");
        assert_eq!((first.len, first.sequence, first.goes_on()), (MAX_PAYLOAD, 255, true));
        assert_eq!(&out[first.whole()..], [0, 0, 0, 0]);
        let mut out = BytesMut::new();
        assert_eq!(put_packet(&mut out, 3, b""), 4);
        assert_eq!(&out[..], [0, 0, 0, 3]);
    }
}
