//! What is known of a user, in the notation of `pg_authid.rolpassword` and of a userlist.

use super::md5::Md5Hash;
use super::scram::{ClientKeys, NoRandom, Verifier};
use crate::secret::Secret;

/// How a user's password is known.
#[derive(Debug, Clone)]
pub enum Credential {
    /// In plain, with a verifier made of it so that no login has to.
    Password {
        password: Secret,
        verifier: Verifier,
    },
    Verifier(Verifier),
    /// Good for servers that ask for md5 and for `password` logins, not for SCRAM.
    Md5(Md5Hash),
}

/// Why a text is no credential. Never shows the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error("the secret is empty")]
    Empty,
    #[error(
        "the secret begins like a SCRAM verifier but is not one \
         (SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>)"
    )]
    Verifier,
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

impl Credential {
    /// Reads a SCRAM verifier, `md5` and 32 hexadecimal digits, or a plain password. Costs a
    /// PBKDF2 for the last: meant for load time.
    pub fn parse(secret: &Secret) -> Result<Self, CredentialError> {
        if secret.is_empty() {
            return Err(CredentialError::Empty);
        }
        let text = std::str::from_utf8(secret.expose()).unwrap_or_default();
        if Verifier::looks_like(text) {
            // A damaged verifier taken for a password would be a password printed in pg_authid.
            return Verifier::parse(text).map(Self::Verifier).ok_or(CredentialError::Verifier);
        }
        if let Some(hash) = Md5Hash::parse(text) {
            return Ok(Self::Md5(hash));
        }
        let verifier = Verifier::fresh(secret.expose())?;
        Ok(Self::Password { password: secret.clone(), verifier })
    }

    /// The password, where it is known in plain.
    pub fn password(&self) -> Option<&Secret> {
        match self {
            Self::Password { password, .. } => Some(password),
            Self::Verifier(_) | Self::Md5(_) => None,
        }
    }

    pub fn verifier(&self) -> Option<&Verifier> {
        match self {
            Self::Password { verifier, .. } | Self::Verifier(verifier) => Some(verifier),
            Self::Md5(_) => None,
        }
    }

    /// Whether `other` was made from this secret, so that it need not be made again.
    pub(super) fn made_from(&self, secret: &Secret) -> bool {
        self.password().is_some_and(|known| known.same_as(secret.expose()))
    }
}

/// What opens a database server for a user; whatever is there is tried as the server asks.
#[derive(Debug, Clone, Default)]
pub struct ServerSecret {
    pub password: Option<Secret>,
    /// Left behind by the client's own SCRAM login.
    pub keys: Option<ClientKeys>,
    pub md5: Option<Md5Hash>,
}

impl ServerSecret {
    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.password.is_none() && self.keys.is_none() && self.md5.is_none()
    }

    /// What the table of users alone can open a server with.
    pub fn of(credential: &Credential) -> Self {
        match credential {
            Credential::Password { password, .. } => Self::password(password.clone()),
            Credential::Verifier(_) => Self::default(),
            Credential::Md5(hash) => Self { md5: Some(hash.clone()), ..Self::default() },
        }
    }

    pub fn password(password: Secret) -> Self {
        Self { password: Some(password), ..Self::default() }
    }

    pub fn keys(keys: ClientKeys) -> Self {
        Self { keys: Some(keys), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notation_is_recognised() {
        let verifier = Verifier::fresh(b"x").expect("random bytes").print().to_string();
        let read = |text: &str| Credential::parse(&Secret::new(text));
        assert!(matches!(read(&verifier), Ok(Credential::Verifier(_))));
        assert!(matches!(read("md5d41d8cd98f00b204e9800998ecf8427e"), Ok(Credential::Md5(_))));
        assert!(matches!(read("md5"), Ok(Credential::Password { .. })));
        assert_eq!(read("").err(), Some(CredentialError::Empty));
        assert_eq!(read(&verifier[..40]).err(), Some(CredentialError::Verifier));
    }
}
