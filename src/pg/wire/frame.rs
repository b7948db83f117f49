//! The header of a frame: one byte of tag, four of length. Bodies stay bytes.

use thiserror::Error;

/// Bytes of tag and length.
pub const HEADER: usize = 5;

/// The longest frame PostgreSQL itself takes (`PQ_LARGE_MESSAGE_LIMIT`), tag included.
pub const MAX_FRAME: usize = 0x3fff_ffff;

/// What a frame is and how long, its header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub tag: u8,
    /// Bytes of the whole frame: tag, length and body.
    pub len: usize,
}

/// The peer broke the wire format.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    #[error("message {:?} has length {len}, below the least possible 4", *tag as char)]
    TooShort { tag: u8, len: u32 },
    #[error("message {:?} has length {len}, above the greatest allowed {MAX_FRAME}", *tag as char)]
    TooLong { tag: u8, len: u32 },
    #[error("message {:?} is cut short or malformed: {what}", *tag as char)]
    Malformed { tag: u8, what: &'static str },
    #[error("unexpected message {:?} (0x{tag:02x})", *tag as char)]
    Unexpected { tag: u8 },
}

/// Reads the header at the start of `bytes`; `None` when it is not there yet.
#[inline]
pub fn peek(bytes: &[u8]) -> Result<Option<Header>, WireError> {
    let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes([a, b, c, d]);
    if len < 4 {
        return Err(WireError::TooShort { tag, len });
    }
    if len as usize >= MAX_FRAME {
        return Err(WireError::TooLong { tag, len });
    }
    Ok(Some(Header { tag, len: len as usize + 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_seen_only_when_whole() {
        let frame = [b'Q', 0, 0, 0, 6, b';', 0];
        for cut in 0..HEADER {
            assert_eq!(peek(&frame[..cut]), Ok(None));
        }
        for cut in HEADER..=frame.len() {
            assert_eq!(peek(&frame[..cut]), Ok(Some(Header { tag: b'Q', len: 7 })));
        }
    }

    #[test]
    fn impossible_lengths_are_refused() {
        assert_eq!(peek(&[b'Q', 0, 0, 0, 3]), Err(WireError::TooShort { tag: b'Q', len: 3 }));
        assert!(matches!(peek(&[b'Q', 0x40, 0, 0, 0]), Err(WireError::TooLong { .. })));
        assert!(matches!(peek(&[b'Q', 0xff, 0xff, 0xff, 0xff]), Err(WireError::TooLong { .. })));
    }
}
