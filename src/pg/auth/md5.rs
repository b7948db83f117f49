//! MD5 passwords, for servers that still ask for them and hashes that still are kept.

use md5::{Digest, Md5};
use std::fmt;
use std::fmt::Write;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// `md5(password + user)` in hexadecimal, as in `pg_authid` but without its prefix `md5`.
#[derive(Clone, PartialEq, Eq)]
pub struct Md5Hash(Zeroizing<String>);

impl Md5Hash {
    /// Reads `md5` and 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("md5")?;
        let valid = hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(Zeroizing::new(hex.to_owned())))
    }

    pub fn from_password(user: &str, password: &[u8]) -> Self {
        Self(Zeroizing::new(hex_of(&[password, user.as_bytes()])))
    }

    /// The answer to AuthenticationMD5Password with this salt: `md5(hash + salt)`, prefixed.
    pub fn response(&self, salt: [u8; 4]) -> Zeroizing<String> {
        Zeroizing::new(format!("md5{}", hex_of(&[self.0.as_bytes(), &salt])))
    }

    /// Whether the password is the one behind the hash.
    pub fn matches(&self, user: &str, password: &[u8]) -> bool {
        let other = Self::from_password(user, password);
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

fn hex_of(parts: &[&[u8]]) -> String {
    let mut digest = Md5::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().iter().fold(String::with_capacity(32), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

impl fmt::Debug for Md5Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Hash(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_is_the_one_other_clients_give() {
        let salt = [0x2a, 0x3d, 0x8f, 0xe0];
        let ours = Md5Hash::from_password("md5_user", b"password").response(salt);
        let theirs = postgres_protocol::authentication::md5_hash(b"md5_user", b"password", salt);
        assert_eq!(ours.as_str(), theirs);
    }

    #[test]
    fn only_postgresqls_own_notation_is_a_hash() {
        let good = "md5d41d8cd98f00b204e9800998ecf8427e";
        assert!(Md5Hash::parse(good).is_some());
        for bad in ["md5", "md5d41d8cd98f00b204e9800998ecf8427", &good.to_uppercase(), &good[3..]] {
            assert!(Md5Hash::parse(bad).is_none(), "{bad}");
        }
    }
}
