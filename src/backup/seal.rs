//! Encryption of what is stored: nobody but who has the key reads it, or changes it unseen.
//!
//! ```text
//! "TGSEAL1\n"  key's id (8)  nonce (12)  data key, wrapped by that key (32 + 16)
//! then the object in chunks of 64 KiB, each with its tag (16)
//! ```
//!
//! All objects of a backup share one data key, wrapped for that backup alone; a file of the archived log
//! has its own. From it each object's key is derived by the object's name, so that none can stand in for
//! another. A chunk's nonce is its number and whether it is the last, so that none can be left out,
//! exchanged or cut off.
//!
//! Source: the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, "Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance"; RFC 5869 (HKDF).

use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"TGSEAL1\n";
const ID: usize = 8;
const SECRET: usize = 32;
const TAG: usize = 16;
const WRAPPED: usize = NONCE_LEN + SECRET + TAG;
const HEADER: usize = MAGIC.len() + ID + WRAPPED;
const CHUNK: usize = 64 * 1024;

/// Why an object is not sealed or opened.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum SealError {
    #[error(
        "it is encrypted with key {0}, which is not among the keys here\nhint: \
         clusters.NAME.backup.keys must have every key whose backups are still kept"
    )]
    NoKey(String),
    #[error("its data key was changed, or is that of another object")]
    DataKey,
    #[error("it was changed, cut off, or is another object: its part {0} does not open")]
    Part(usize),
    #[error("this machine gives no random numbers")]
    Random,
}

/// The keys of an operator. The first one encrypts; each opens what it encrypted.
#[derive(Default)]
pub struct Keyring(Vec<MasterKey>);

struct MasterKey {
    id: [u8; ID],
    key: LessSafeKey,
}

/// Nothing of the keys is shown.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| hex(&key.id))).finish()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 64 hexadecimal digits; `None`: it is none.
pub fn read_key(text: &str) -> Option<Zeroizing<[u8; SECRET]>> {
    let text = text.trim().as_bytes();
    if text.len() != 2 * SECRET || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut key = Zeroizing::new([0; SECRET]);
    for (byte, pair) in key.iter_mut().zip(text.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

impl Keyring {
    pub fn new(keys: &[Zeroizing<[u8; SECRET]>]) -> Keyring {
        let master = |secret: &Zeroizing<[u8; SECRET]>| {
            let mut hash = Context::new(&SHA256);
            hash.update(b"tidegate backup key");
            hash.update(&secret[..]);
            let id = *hash.finish().as_ref().first_chunk()?;
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &secret[..]).ok()?);
            Some(MasterKey { id, key })
        };
        Keyring(keys.iter().filter_map(master).collect())
    }

    /// A new data key for the objects of `scope`; `None`: there are no keys, and nothing is encrypted.
    pub(super) fn data_key(&self, scope: &str) -> Result<Option<DataKey>, SealError> {
        let Some(master) = self.0.first() else { return Ok(None) };
        let (mut secret, mut nonce) = (Zeroizing::new([0; SECRET]), [0; NONCE_LEN]);
        let random = SystemRandom::new();
        random.fill(&mut secret[..]).map_err(|_| SealError::Random)?;
        random.fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut wrapped = secret.to_vec();
        let number = Nonce::assume_unique_for_key(nonce);
        let sealed =
            master.key.seal_in_place_append_tag(number, Aad::from(scope.as_bytes()), &mut wrapped);
        sealed.map_err(|_| SealError::DataKey)?;
        let header = [MAGIC, &master.id, &nonce, &wrapped].concat();
        Ok(Some(DataKey { id: hex(&master.id), header, prk: derive(&secret[..]) }))
    }

    /// What was sealed as `name`; bytes that are not sealed are as they are.
    pub(super) fn open(&self, scope: &str, name: &str, bytes: Bytes) -> Result<Bytes, SealError> {
        if !bytes.starts_with(MAGIC) {
            return Ok(bytes);
        }
        let (header, body) = bytes.split_at_checked(HEADER).ok_or(SealError::DataKey)?;
        let (id, wrapped) = header[MAGIC.len()..].split_at(ID);
        let master = self.0.iter().find(|key| key.id == id);
        let master = master.ok_or_else(|| SealError::NoKey(hex(id)))?;
        let (nonce, wrapped) = wrapped.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::DataKey)?;
        let mut wrapped = Zeroizing::new(wrapped.to_vec());
        let opened = master.key.open_in_place(nonce, Aad::from(scope.as_bytes()), &mut wrapped);
        let secret: &[u8] = opened.map_err(|_| SealError::DataKey)?;
        open_parts(&object_key(&derive(secret), name), name, body)
    }
}

fn derive(secret: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, b"tidegate data key").extract(secret)
}

fn object_key(prk: &Prk, name: &str) -> Option<LessSafeKey> {
    let info = [name.as_bytes()];
    prk.expand(&info, &AES_256_GCM).ok().map(|okm| LessSafeKey::new(UnboundKey::from(okm)))
}

fn part_nonce(number: usize, last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[3..11].copy_from_slice(&(number as u64).to_be_bytes());
    nonce[11] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

fn open_parts(key: &Option<LessSafeKey>, name: &str, body: &[u8]) -> Result<Bytes, SealError> {
    let mut plain = Vec::with_capacity(body.len());
    let count = body.len().div_ceil(CHUNK + TAG).max(1);
    for number in 0..count {
        let failed = || SealError::Part(number);
        let from = number * (CHUNK + TAG);
        let mut part = body[from..body.len().min(from + CHUNK + TAG)].to_vec();
        let nonce = part_nonce(number, number + 1 == count);
        let key = key.as_ref().ok_or_else(failed)?;
        let opened = key.open_in_place(nonce, Aad::from(name.as_bytes()), &mut part);
        plain.extend_from_slice(opened.map_err(|_| failed())?);
    }
    Ok(plain.into())
}

/// What the objects of one backup, or one file of the log, are encrypted with.
pub struct DataKey {
    /// Of the key that wraps it.
    id: String,
    header: Vec<u8>,
    prk: Prk,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey(by {})", self.id)
    }
}

impl DataKey {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Each name is used for one object only.
    pub(super) fn seal(&self, name: &str, plain: &[u8]) -> Result<Bytes, SealError> {
        let key = object_key(&self.prk, name);
        let count = plain.len().div_ceil(CHUNK).max(1);
        let mut sealed = Vec::with_capacity(HEADER + plain.len() + count * TAG);
        sealed.extend_from_slice(&self.header);
        for number in 0..count {
            let failed = || SealError::Part(number);
            let from = number * CHUNK;
            let mut part = plain[from..plain.len().min(from + CHUNK)].to_vec();
            let nonce = part_nonce(number, number + 1 == count);
            let key = key.as_ref().ok_or_else(failed)?;
            let done = key.seal_in_place_append_tag(nonce, Aad::from(name.as_bytes()), &mut part);
            done.map_err(|_| failed())?;
            sealed.extend_from_slice(&part);
        }
        Ok(sealed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: &str = "backups/x";
    const NAME: &str = "backups/x/data/base/00000000.zst";

    fn ring(first: &[u8]) -> Keyring {
        let keys: Vec<_> = first.iter().map(|byte| Zeroizing::new([*byte; SECRET])).collect();
        Keyring::new(&keys)
    }

    fn sealed(plain: &[u8]) -> Bytes {
        ring(&[1]).data_key(SCOPE).unwrap().unwrap().seal(NAME, plain).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_whatever_its_length() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let sealed = sealed(&plain);
            assert!(length < 100 || !sealed.windows(100).any(|window| window == &plain[..100]));
            assert_eq!(ring(&[1]).open(SCOPE, NAME, sealed).unwrap(), plain);
        }
    }

    #[test]
    fn nothing_is_cut_off_exchanged_changed_or_passed_off_as_another() {
        let plain = vec![7; 2 * CHUNK + 10];
        let whole = sealed(&plain);
        let open = |bytes: &[u8]| ring(&[1]).open(SCOPE, NAME, Bytes::copy_from_slice(bytes));
        let part = CHUNK + TAG;
        assert_eq!(open(&whole[..HEADER + 2 * part]), Err(SealError::Part(1)));
        assert_eq!(open(&whole[..HEADER + part]), Err(SealError::Part(0)));
        assert_eq!(open(&whole[..HEADER]), Err(SealError::Part(0)));
        assert_eq!(open(&whole[..HEADER - 1]), Err(SealError::DataKey));
        let mut exchanged = whole.to_vec();
        exchanged[HEADER..HEADER + 2 * part].rotate_left(part);
        assert_eq!(open(&exchanged), Err(SealError::Part(0)));
        let bytes = [MAGIC.len() + ID, HEADER - 1, HEADER, HEADER + part, whole.len() - 1];
        for (at, error) in bytes.into_iter().zip([None, None, Some(0), Some(1), Some(2)]) {
            let mut changed = whole.to_vec();
            changed[at] ^= 1;
            let error = error.map_or(SealError::DataKey, SealError::Part);
            assert_eq!(open(&changed), Err(error), "byte {at}");
        }
        let other = ring(&[1]).open(SCOPE, "backups/x/data/base/00000001.zst", whole.clone());
        assert_eq!(other, Err(SealError::Part(0)));
        assert_eq!(ring(&[1]).open("backups/y", NAME, whole), Err(SealError::DataKey));
    }

    #[test]
    fn the_first_key_encrypts_and_all_open() {
        let old = sealed(b"old");
        assert_eq!(ring(&[2, 1]).open(SCOPE, NAME, old.clone()).unwrap(), "old");
        let error = ring(&[2]).open(SCOPE, NAME, old).unwrap_err().to_string();
        assert!(
            error.starts_with("it is encrypted with key ") && error.contains("hint: "),
            "{error}"
        );
        let by = |ring: Keyring| ring.data_key(SCOPE).unwrap().unwrap().id().to_owned();
        assert_eq!(by(ring(&[2, 1])), by(ring(&[2])));
        assert!(ring(&[]).data_key(SCOPE).unwrap().is_none());
    }

    #[test]
    fn a_key_is_64_digits() {
        assert_eq!(*read_key(&format!("{}\n", "0a".repeat(32))).unwrap(), [10; 32]);
        for wrong in ["", "0a", &"0a".repeat(33), &"zz".repeat(32), &"é".repeat(32)] {
            assert!(read_key(wrong).is_none(), "{wrong}");
        }
    }
}
