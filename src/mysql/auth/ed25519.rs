//! MariaDB's `ed25519`: a signature whose secret key is SHA512(password), of any length.
//!
//! Source: MariaDB, `plugin/auth_ed25519` (`crypto_sign` of the ref10 implementation).

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ring::digest::{SHA512, digest};
use sha2::Sha512;
use zeroize::Zeroizing;

/// Bytes of the server's challenge.
const NONCE: usize = 32;

/// The signature of `nonce`; `None` when that is not a challenge of this method.
pub(super) fn sign(password: &[u8], nonce: &[u8]) -> Option<Vec<u8>> {
    if nonce.len() != NONCE {
        return None;
    }
    let mut seed = Zeroizing::new([0; 64]);
    seed.copy_from_slice(digest(&SHA512, password).as_ref());
    let key = ExpandedSecretKey::from_bytes(&seed);
    let public = VerifyingKey::from(&key);
    Some(raw_sign::<Sha512>(&key, nonce, &public).to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    #[test]
    fn the_public_key_is_the_one_that_mariadb_stores() {
        // MariaDB's documentation: SELECT ED25519_PASSWORD("secret")
        let stored = "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY";
        let mut seed = [0; 64];
        seed.copy_from_slice(digest(&SHA512, b"secret").as_ref());
        let public = VerifyingKey::from(&ExpandedSecretKey::from_bytes(&seed));
        let shown = base64::engine::general_purpose::STANDARD_NO_PAD.encode(public.as_bytes());
        assert_eq!(shown, stored);
        let signature = sign(b"secret", &[7; NONCE]).expect("a signature");
        let signature = ed25519_dalek::Signature::from_slice(&signature).expect("64 bytes");
        assert!(public.verify_strict(&[7; NONCE], &signature).is_ok());
        assert!(sign(b"secret", &[7; 20]).is_none());
    }
}
