//! A password, or anything as dangerous: never printed, wiped when dropped.

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes that must not reach a log, a metric or an error.
///
/// Wiping is best effort: a growing `Vec` or the allocator may have left copies behind.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes themselves. Whoever calls this answers for where they go.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares digests, so that the time taken tells neither content nor length.
    pub fn same_as(&self, other: &[u8]) -> bool {
        let hash = |bytes: &[u8]| digest(&SHA256, bytes);
        hash(&self.0).as_ref().ct_eq(hash(other).as_ref()).into()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("hunter").count(), 0);
    }

    #[test]
    fn secrets_are_the_same_only_byte_for_byte() {
        let secret = Secret::new("hunter2");
        assert!(secret.same_as(b"hunter2"));
        assert!(!secret.same_as(b"hunter"));
        assert!(!secret.same_as(b""));
    }
}
