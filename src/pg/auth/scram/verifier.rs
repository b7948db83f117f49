//! What PostgreSQL keeps in place of a password (`pg_authid.rolpassword`):
//! `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.

use std::fmt;
use std::num::NonZeroU32;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::keys::{DerivedKeys, KEY_LEN, Key, derive, hmac_sha256, sha256};
use super::{NoRandom, random, syntax};

/// PostgreSQL's default, `scram_iterations`.
pub const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);

/// Bytes of salt PostgreSQL makes.
const SALT_LEN: usize = 16;

const PREFIX: &str = "SCRAM-SHA-256$";

/// Checks a proof without knowing the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(super) iterations: NonZeroU32,
    pub(super) salt: Vec<u8>,
    pub(super) stored_key: Key,
    pub(super) server_key: Key,
}

impl Verifier {
    /// Whether the text claims to be a verifier, valid or not.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (cost, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
        let (iterations, salt) = cost.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let salt = syntax::decode(salt).ok().filter(|s| !s.is_empty())?;
        let iterations = syntax::iterations(iterations).ok()?;
        Some(Self { iterations, salt, stored_key: key(stored)?, server_key: key(server)? })
    }

    /// As PostgreSQL prints it. Whoever holds this can play the server: treat it as a secret.
    pub fn print(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{PREFIX}{}:{}${}:{}",
            self.iterations,
            syntax::encode(&self.salt),
            syntax::encode(self.stored_key.as_slice()),
            syntax::encode(self.server_key.as_slice()),
        ))
    }

    /// The verifier of a password. Costs a PBKDF2: call it when a table of users is loaded,
    /// not when somebody logs in.
    pub fn from_password(password: &[u8], iterations: NonZeroU32, salt: &[u8]) -> Self {
        Self::from_keys(&derive(password, salt, iterations), iterations, salt)
    }

    /// The verifier of a password with a random salt and PostgreSQL's usual cost.
    pub fn fresh(password: &[u8]) -> Result<Self, NoRandom> {
        let salt = random::<SALT_LEN>()?;
        Ok(Self::from_password(password, DEFAULT_ITERATIONS, &salt))
    }

    fn from_keys(keys: &DerivedKeys, iterations: NonZeroU32, salt: &[u8]) -> Self {
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: Zeroizing::new(sha256(&[keys.client.as_slice()])),
            server_key: keys.server.clone(),
        }
    }

    pub fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Whether these keys are the ones behind the verifier.
    pub fn matches(&self, keys: &DerivedKeys) -> bool {
        sha256(&[keys.client.as_slice()]).ct_eq(self.stored_key.as_slice()).into()
    }
}

fn key(text: &str) -> Option<Key> {
    let bytes = Zeroizing::new(syntax::decode(text).ok()?);
    let array: [u8; KEY_LEN] = bytes.as_slice().try_into().ok()?;
    Some(Zeroizing::new(array))
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} iterations, hidden)", self.iterations)
    }
}

/// Verifiers for users who do not exist: always the same for the same name, so that asking
/// twice tells nobody who exists; never matched by any password.
pub struct Mock {
    key: Key,
}

impl Mock {
    /// One per process; the key dies with it.
    pub fn random() -> Result<Self, NoRandom> {
        Ok(Self { key: Zeroizing::new(random()?) })
    }

    pub fn verifier(&self, user: &str) -> Verifier {
        let part = |label: &[u8]| hmac_sha256(self.key.as_slice(), &[label, user.as_bytes()]);
        Verifier {
            iterations: DEFAULT_ITERATIONS,
            salt: part(b"salt:")[..SALT_LEN].to_vec(),
            stored_key: Zeroizing::new(part(b"stored:")),
            server_key: Zeroizing::new(part(b"server:")),
        }
    }
}

impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mock(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the password and salt in RFC 7677's example.
    const KNOWN: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn a_verifier_is_read_and_printed_as_postgresql_does() {
        let read = Verifier::parse(KNOWN).expect("a verifier");
        assert_eq!(read.print().as_str(), KNOWN);
        assert_eq!(read.iterations(), DEFAULT_ITERATIONS);
        let made = Verifier::from_password(b"pencil", read.iterations(), read.salt());
        assert!(made == read);
        assert!(!format!("{read:?}").contains("WG5d"));
    }

    #[test]
    fn a_malformed_verifier_is_refused() {
        for (from, to) in [
            ("$4096:", "$0:"),
            ("$4096:", "$-1:"),
            ("$4096:", "$+4096:"),
            ("$4096:", "$04096:"),
            ("$4096:", "$99999999999:"),
            ("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
            ("W22ZaJ0SNY7soEsUEjb6gQ==", "W22ZaJ0SNY7soEsUEjb6gQ"),
            ("W22ZaJ0SNY7soEsUEjb6gQ==", "W22ZaJ0SNY7soEsUEjb6gR=="),
            ("4qY=", "4qY=AAAA"),
            ("2dU=", "2dU= "),
            ("2dU=", "2dU=:"),
            ("SHA-256$", "SHA-1$"),
            ("qY=:", "qY="),
        ] {
            let text = KNOWN.replacen(from, to, 1);
            assert_ne!(text, KNOWN);
            assert!(Verifier::parse(&text).is_none(), "{from} -> {to}");
        }
    }

    #[test]
    fn an_unknown_user_gets_the_same_salt_each_time_and_no_other_gets_it() {
        let mock = Mock::random().expect("random bytes");
        assert!(mock.verifier("ann") == mock.verifier("ann"));
        assert_ne!(mock.verifier("ann").salt(), mock.verifier("bob").salt());
        assert_ne!(
            Mock::random().expect("random bytes").verifier("ann").salt(),
            mock.verifier("ann").salt()
        );
        assert_eq!(mock.verifier("ann").salt().len(), SALT_LEN);
    }
}
