//! How clients and servers prove that they know a password, as pure functions.

mod credential;
mod ed25519;
mod native;
mod sha2;
mod users;

pub use credential::{Credential, ServerSecret};
pub use native::NativeHash;
pub use users::{Listed, UserTable, Users, UsersError};

use super::wire::handshake::{CACHING_SHA2, ED25519, NATIVE};
use crate::secret::Secret;
use thiserror::Error;

/// A method of login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    Native,
    CachingSha2,
    Ed25519,
}

impl Plugin {
    pub fn of(name: &str) -> Option<Plugin> {
        match name {
            NATIVE => Some(Plugin::Native),
            CACHING_SHA2 => Some(Plugin::CachingSha2),
            ED25519 => Some(Plugin::Ed25519),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Plugin::Native => NATIVE,
            Plugin::CachingSha2 => CACHING_SHA2,
            Plugin::Ed25519 => ED25519,
        }
    }
}

/// Why there is nothing to answer a server's challenge with.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoAnswer {
    #[error(
        "the server asks for {0}, and only a hash for mysql_native_password is known: give the \
         user's password"
    )]
    OnlyHash(&'static str),
    #[error("the server's challenge has {0} bytes")]
    Challenge(usize),
}

/// What proves to a server that the secret is known. Without any secret: nothing, as for a user
/// without a password.
pub fn answer(plugin: Plugin, secret: &ServerSecret, scramble: &[u8]) -> Result<Vec<u8>, NoAnswer> {
    let password = secret.password.as_ref().map(Secret::expose);
    match (plugin, password) {
        (_, Some([])) => Ok(Vec::new()),
        (Plugin::Native, Some(password)) => Ok(native::answer(&native::stage1(password), scramble)),
        (Plugin::CachingSha2, Some(password)) => Ok(sha2::answer(password, scramble)),
        (Plugin::Ed25519, Some(password)) => {
            ed25519::sign(password, scramble).ok_or(NoAnswer::Challenge(scramble.len()))
        }
        (Plugin::Native, None) => match &secret.stage1 {
            Some(stage1) => Ok(native::answer(stage1, scramble)),
            None => Ok(Vec::new()),
        },
        (_, None) if secret.stage1.is_some() => Err(NoAnswer::OnlyHash(plugin.name())),
        (_, None) => Ok(Vec::new()),
    }
}

/// Checks a client's proof; what it leaves behind opens servers.
pub fn check(
    plugin: Plugin,
    credential: &Credential,
    scramble: &[u8],
    proof: &[u8],
) -> Option<ServerSecret> {
    match (plugin, credential) {
        (_, Credential::Password(password)) if password.is_empty() => {
            proof.is_empty().then(ServerSecret::default)
        }
        (Plugin::Native, Credential::Password(password)) => {
            native::check(&NativeHash::of(password.expose()), scramble, proof)?;
            Some(ServerSecret::password(password.clone()))
        }
        (Plugin::Native, Credential::Native(hash)) => {
            native::check(hash, scramble, proof).map(ServerSecret::stage1)
        }
        (Plugin::CachingSha2, Credential::Password(password)) => {
            let proven = sha2::check(password.expose(), scramble, proof);
            proven.then(|| ServerSecret::password(password.clone()))
        }
        (Plugin::CachingSha2, Credential::Native(_)) | (Plugin::Ed25519, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAMBLE: [u8; 20] = *b"abcdefghijklmnopqrst";

    fn known(password: &str) -> ServerSecret {
        ServerSecret::password(Secret::new(password))
    }

    #[test]
    fn what_answers_a_server_convinces_us() {
        let credential = Credential::parse(&Secret::new("hush")).expect("a credential");
        for plugin in [Plugin::Native, Plugin::CachingSha2] {
            let proof = answer(plugin, &known("hush"), &SCRAMBLE).expect("an answer");
            assert!(check(plugin, &credential, &SCRAMBLE, &proof).is_some());
            let wrong = answer(plugin, &known("hash"), &SCRAMBLE).expect("an answer");
            assert!(check(plugin, &credential, &SCRAMBLE, &wrong).is_none());
            assert!(check(plugin, &credential, &SCRAMBLE, b"").is_none());
            assert!(check(plugin, &credential, b"01234567890123456789", &proof).is_none());
        }
    }

    #[test]
    fn a_stored_hash_lets_in_and_the_proof_opens_the_server() {
        let hash = "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29";
        let credential = Credential::parse(&Secret::new(hash)).expect("a credential");
        let proof = answer(Plugin::Native, &known("test"), &SCRAMBLE).expect("an answer");
        let secret = check(Plugin::Native, &credential, &SCRAMBLE, &proof).expect("let in");
        let other = b"zyxwvutsrqponmlkjihg";
        let expected = answer(Plugin::Native, &known("test"), other);
        assert_eq!(answer(Plugin::Native, &secret, other), expected);
        assert!(answer(Plugin::CachingSha2, &secret, other).is_err());
    }

    #[test]
    fn an_empty_password_is_proven_by_nothing() {
        let none = ServerSecret::default();
        assert_eq!(answer(Plugin::CachingSha2, &none, &SCRAMBLE), Ok(Vec::new()));
        assert_eq!(answer(Plugin::Native, &none, &SCRAMBLE), Ok(Vec::new()));
    }
}
