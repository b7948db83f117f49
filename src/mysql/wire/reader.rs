//! Values inside a packet: fixed and length-encoded integers, strings of every kind.

use super::WireError;
use bytes::{BufMut, BytesMut};

/// Takes values off the front of a payload.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// `what`: the packet's name, for errors.
    pub fn new(payload: &'a [u8], what: &'static str) -> Reader<'a> {
        Reader { rest: payload, what }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) =
            self.rest.split_at_checked(n).ok_or(WireError::Malformed { what: self.what })?;
        self.rest = rest;
        Ok(taken)
    }

    /// `n` bytes, of which the end may be missing.
    pub fn at_most(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn little_endian(&mut self, n: usize) -> Result<u64, WireError> {
        let bytes = self.bytes(n)?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.bytes(1)?[0])
    }

    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(self.little_endian(2)? as u16)
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(self.little_endian(4)? as u32)
    }

    /// A length-encoded integer; `None` for 0xfb, which stands for NULL in a row.
    pub fn lenenc_or_null(&mut self) -> Result<Option<u64>, WireError> {
        match self.u8()? {
            0xfb => Ok(None),
            0xfc => self.little_endian(2).map(Some),
            0xfd => self.little_endian(3).map(Some),
            0xfe => self.little_endian(8).map(Some),
            0xff => Err(WireError::Malformed { what: self.what }),
            small => Ok(Some(small.into())),
        }
    }

    pub fn lenenc(&mut self) -> Result<u64, WireError> {
        self.lenenc_or_null()?.ok_or(WireError::Malformed { what: self.what })
    }

    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.lenenc()?;
        let len = usize::try_from(len).map_err(|_| WireError::Malformed { what: self.what })?;
        self.bytes(len)
    }

    /// A value of a text row: `None` is NULL.
    pub fn text_value(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        match self.lenenc_or_null()? {
            None => Ok(None),
            Some(len) => {
                let len = usize::try_from(len);
                let len = len.map_err(|_| WireError::Malformed { what: self.what })?;
                self.bytes(len).map(Some)
            }
        }
    }

    /// Up to a zero byte, which is taken too.
    pub fn until_zero(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.rest.iter().position(|byte| *byte == 0);
        let end = end.ok_or(WireError::Malformed { what: self.what })?;
        let taken = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(taken)
    }

    /// Up to a zero byte, or the end.
    pub fn until_zero_or_end(&mut self) -> &'a [u8] {
        match self.until_zero() {
            Ok(taken) => taken,
            Err(_) => std::mem::take(&mut self.rest),
        }
    }
}

pub fn put_lenenc(out: &mut BytesMut, value: u64) {
    match value {
        0..=250 => out.put_u8(value as u8),
        251..=0xffff => {
            out.put_u8(0xfc);
            out.put_u16_le(value as u16);
        }
        0x1_0000..=0xff_ffff => {
            out.put_u8(0xfd);
            out.put_uint_le(value, 3);
        }
        _ => {
            out.put_u8(0xfe);
            out.put_u64_le(value);
        }
    }
}

pub fn put_lenenc_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_lenenc(out, bytes.len() as u64);
    out.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_encoded_integers_read_back_at_their_borders() {
        for value in [0, 250, 251, 252, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, u64::MAX] {
            let mut out = BytesMut::new();
            put_lenenc(&mut out, value);
            let mut reader = Reader::new(&out, "a test");
            assert_eq!(reader.lenenc(), Ok(value));
            assert!(reader.is_empty());
            for cut in 0..out.len() {
                assert!(Reader::new(&out[..cut], "a test").lenenc().is_err());
            }
        }
    }

    #[test]
    fn null_is_no_length() {
        assert_eq!(Reader::new(&[0xfb], "a row").text_value(), Ok(None));
        assert!(Reader::new(&[0xfb], "a row").lenenc().is_err());
        assert!(Reader::new(&[0xff], "a row").text_value().is_err());
    }
}
