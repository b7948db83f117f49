//! The names that statements have on the servers: made for every message that names one, so
//! without an allocation.

use std::ops::Deref;

/// What they all begin with: clients do not guess it by accident.
pub(super) const PREFIX: &str = "tidegate_";

/// A statement of ours that may be closed or replaced at any time; it deallocates itself.
pub(super) const STAND_IN: &str = "tidegate_0";
pub(super) const DEALLOCATE_STAND_IN: &str = "DEALLOCATE tidegate_0";

/// A name that no server has a statement of: a Bind of it fails.
pub(super) const NOWHERE: &[u8] = b"tidegate_nowhere";

/// Sixteen hexadecimal digits behind the prefix.
const MOST: usize = PREFIX.len() + 16;

/// The name of a statement on the servers.
#[derive(Clone, Copy, Debug)]
pub struct ServerName {
    text: [u8; MOST],
    len: u8,
}

impl ServerName {
    /// The name of the shared statement with this number; 0 is that of the stand-in.
    pub fn of(id: u64) -> ServerName {
        let mut text = [0; MOST];
        text[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
        let digits = (u64::BITS - id.leading_zeros()).div_ceil(4).max(1) as usize;
        for (place, digit) in text[PREFIX.len()..][..digits].iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(id >> (4 * place)) as usize & 0xf];
        }
        ServerName { text, len: (PREFIX.len() + digits) as u8 }
    }

    /// That of the unnamed statement.
    pub fn unnamed() -> ServerName {
        ServerName { text: [0; MOST], len: 0 }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }
}

impl Deref for ServerName {
    type Target = str;
    fn deref(&self) -> &str {
        // Only ASCII was ever put in.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hexadecimal_numbers() {
        for id in [0, 1, 0xf, 0x10, 0xabc, 0x1234_5678_9abc_def0, u64::MAX] {
            assert_eq!(&*ServerName::of(id), format!("tidegate_{id:x}"));
        }
        assert_eq!(&*ServerName::of(0), STAND_IN);
        assert_eq!(&*ServerName::unnamed(), "");
    }
}
