//! The arithmetic of SCRAM-SHA-256 (RFC 5802 section 3), and a cache that pays for PBKDF2 once.

use quick_cache::sync::Cache;
use ring::{digest, hmac, pbkdf2};
use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a SHA-256 digest and of every key here.
pub const KEY_LEN: usize = 32;

/// A ClientKey, ServerKey, StoredKey or signature; wiped when dropped.
pub type Key = Zeroizing<[u8; KEY_LEN]>;

/// The two keys that follow from a password, a salt and an iteration count.
#[derive(Clone)]
pub struct DerivedKeys {
    pub client: Key,
    pub server: Key,
}

/// What a client's own proof reveals: enough to log in to any server that keeps the same
/// verifier, without the password.
#[derive(Clone)]
pub struct ClientKeys {
    pub keys: DerivedKeys,
    /// Salt and iterations the keys belong to: another verifier needs other keys.
    pub salt: Vec<u8>,
    pub iterations: NonZeroU32,
}

impl fmt::Debug for DerivedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKeys(hidden)")
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKeys(hidden)")
    }
}

/// SHA-256 of the concatenated parts.
pub fn sha256(parts: &[&[u8]]) -> [u8; KEY_LEN] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    fixed(context.finish().as_ref())
}

/// HMAC-SHA-256 of the concatenated parts.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; KEY_LEN] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    fixed(context.sign().as_ref())
}

fn fixed(bytes: &[u8]) -> [u8; KEY_LEN] {
    let mut out = [0; KEY_LEN];
    out.copy_from_slice(bytes);
    out
}

pub fn xor(a: &[u8; KEY_LEN], b: &[u8; KEY_LEN]) -> Key {
    Zeroizing::new(std::array::from_fn(|i| a[i] ^ b[i]))
}

/// SASLprep (RFC 4013), or the raw bytes where it does not apply: not UTF-8, a forbidden
/// character, or nothing left. PostgreSQL does the same (`pg_saslprep`, scram-common.c).
pub fn prepare(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let prepared = std::str::from_utf8(password).ok().and_then(|p| stringprep::saslprep(p).ok());
    Zeroizing::new(match prepared {
        Some(Cow::Borrowed(text)) if !text.is_empty() => text.as_bytes().to_vec(),
        Some(Cow::Owned(text)) if !text.is_empty() => text.into_bytes(),
        _ => password.to_vec(),
    })
}

/// PBKDF2 and the two keys behind it. Costs about a millisecond for 4096 iterations.
pub fn derive(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> DerivedKeys {
    let mut salted: Key = Zeroizing::new([0; KEY_LEN]);
    let prepared = prepare(password);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, &prepared, salted.as_mut_slice());
    DerivedKeys {
        client: Zeroizing::new(hmac_sha256(salted.as_slice(), &[b"Client Key"])),
        server: Zeroizing::new(hmac_sha256(salted.as_slice(), &[b"Server Key"])),
    }
}

/// Keys already derived, so that repeated logins cost no PBKDF2. Bounded: the least used go.
pub struct KeyCache {
    known: Cache<[u8; KEY_LEN], Arc<DerivedKeys>>,
}

impl KeyCache {
    /// A cache of at most `capacity` key pairs (about 200 bytes each).
    pub fn new(capacity: usize) -> Self {
        Self { known: Cache::new(capacity) }
    }

    /// The keys if they were derived before.
    pub fn get(&self, password: &[u8], salt: &[u8], iters: NonZeroU32) -> Option<Arc<DerivedKeys>> {
        self.known.get(&Self::slot(password, salt, iters))
    }

    pub fn put(&self, password: &[u8], salt: &[u8], iters: NonZeroU32, keys: Arc<DerivedKeys>) {
        self.known.insert(Self::slot(password, salt, iters), keys);
    }

    /// The keys, derived now if they have to be.
    pub fn derive(&self, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Arc<DerivedKeys> {
        self.get(password, salt, iterations).unwrap_or_else(|| {
            let keys = Arc::new(derive(password, salt, iterations));
            self.put(password, salt, iterations, keys.clone());
            keys
        })
    }

    fn slot(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> [u8; KEY_LEN] {
        // Both lengths vary, so the password goes in as a digest of fixed length.
        sha256(&[&sha256(&[password]), &iterations.get().to_be_bytes(), salt])
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCache({} pairs)", self.known.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn few() -> NonZeroU32 {
        NonZeroU32::new(2).expect("not zero")
    }

    #[test]
    fn saslprep_applies_where_it_can_and_the_raw_bytes_where_not() {
        assert_eq!(prepare("I\u{ad}X".as_bytes()).as_slice(), b"IX");
        assert_eq!(prepare("\u{aa}".as_bytes()).as_slice(), b"a");
        assert_eq!(prepare(b"a\x07b").as_slice(), b"a\x07b");
        assert_eq!(prepare(b"\xff\xfe").as_slice(), b"\xff\xfe");
        assert_eq!(prepare("\u{ad}".as_bytes()).as_slice(), "\u{ad}".as_bytes());
    }

    #[test]
    fn a_second_login_finds_its_keys() {
        let cache = KeyCache::new(8);
        assert!(cache.get(b"pw", b"salt", few()).is_none());
        let first = cache.derive(b"pw", b"salt", few());
        assert!(Arc::ptr_eq(&first, &cache.derive(b"pw", b"salt", few())));
        assert!(cache.get(b"pw", b"other", few()).is_none());
        assert!(cache.get(b"pws", b"alt", few()).is_none());
    }

    #[test]
    fn the_cache_stays_bounded() {
        let cache = KeyCache::new(4);
        (0u8..50).for_each(|n| drop(cache.derive(&[n], b"salt", few())));
        assert!(cache.known.len() <= 4);
    }
}
