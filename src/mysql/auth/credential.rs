//! What is known of a user, and what opens a server for one.

use super::native::{NativeHash, Stage1};
use crate::secret::Secret;
use thiserror::Error;

/// How a user's password is known.
#[derive(Clone, Debug)]
pub enum Credential {
    /// In plain; an empty one is no password at all.
    Password(Secret),
    /// As `mysql.user` stores it for `mysql_native_password`.
    Native(NativeHash),
}

/// Why a text is no credential. Never shows the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "the secret begins like a stored hash but is not one (* and 40 hexadecimal digits, as \
     mysql_native_password has it)"
)]
pub struct CredentialError;

impl Credential {
    pub fn parse(secret: &Secret) -> Result<Credential, CredentialError> {
        /// As long as a stored hash: shorter ones may well be passwords.
        const HASH: usize = 41;
        let text = std::str::from_utf8(secret.expose()).unwrap_or_default();
        if text.starts_with('*') && text.len() == HASH {
            return NativeHash::parse(text).map(Credential::Native).ok_or(CredentialError);
        }
        Ok(Credential::Password(secret.clone()))
    }
}

/// What opens a database server for a user.
#[derive(Clone, Debug, Default)]
pub struct ServerSecret {
    pub password: Option<Secret>,
    /// SHA1(password), left behind by a client's own login.
    pub(super) stage1: Option<Stage1>,
}

impl ServerSecret {
    pub fn password(password: Secret) -> ServerSecret {
        ServerSecret { password: Some(password), stage1: None }
    }

    pub(super) fn stage1(stage1: Stage1) -> ServerSecret {
        ServerSecret { password: None, stage1: Some(stage1) }
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.password.is_none() && self.stage1.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notation_is_recognised_and_no_secret_is_shown() {
        let read = |text: &str| Credential::parse(&Secret::new(text));
        let hash = "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29";
        assert!(matches!(read(hash), Ok(Credential::Native(_))));
        assert!(matches!(read("*short"), Ok(Credential::Password(_))));
        let damaged = read(&hash.replace('9', "X")).expect_err("refused");
        assert!(!damaged.to_string().contains("X4BD"), "{damaged}");
        assert!(!format!("{:?}", read("hush").expect("a password")).contains("hush"));
    }
}
