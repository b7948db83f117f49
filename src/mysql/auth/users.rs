//! The table of a cluster's users: immutable, replaced as a whole by a reload.

use super::credential::{Credential, CredentialError, ServerSecret};
use crate::secret::Secret;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;
use thiserror::Error;

/// Why there is no table. Names the user, never a secret.
#[derive(Debug, Error)]
#[error("users.{user}: {source}")]
pub struct UsersError {
    user: String,
    source: CredentialError,
}

/// A user as the configuration lists it.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    pub name: String,
    /// A password or a stored hash.
    pub password: Option<Secret>,
    /// The user towards the servers, when it is another one.
    pub server_user: Option<String>,
    /// What opens the servers, when the client's own proof does not.
    pub server_password: Option<Secret>,
    /// Clients of this user; 0: no limit; `None`: as many as anybody's.
    pub max_clients: Option<usize>,
}

#[derive(Debug, Default)]
pub struct Users {
    known: HashMap<String, User>,
}

#[derive(Debug)]
struct User {
    credential: Option<Credential>,
    listed: Listed,
}

impl Users {
    pub fn load(listed: &[Listed]) -> Result<Users, UsersError> {
        let mut known = HashMap::new();
        for user in listed {
            let credential = user.password.as_ref().map(Credential::parse).transpose();
            let credential =
                credential.map_err(|source| UsersError { user: user.name.clone(), source })?;
            known.insert(user.name.clone(), User { credential, listed: user.clone() });
        }
        Ok(Users { known })
    }

    /// What `user` proves itself by; `None`: it is not listed, or listed without a password.
    pub fn lookup(&self, user: &str) -> Option<&Credential> {
        self.known.get(user)?.credential.as_ref()
    }

    /// Who opens a server for `user`, and with what; `login`: what its login left behind.
    pub fn opener(&self, user: &str, login: &ServerSecret) -> (Arc<str>, ServerSecret) {
        let Some(User { listed, .. }) = self.known.get(user) else {
            return (user.into(), login.clone());
        };
        let secret = match (&listed.server_password, &listed.server_user) {
            (Some(password), _) => ServerSecret::password(password.clone()),
            // The proof of one user opens nothing for another.
            (None, Some(_)) => ServerSecret::default(),
            (None, None) => login.clone(),
        };
        (listed.server_user.as_deref().unwrap_or(user).into(), secret)
    }

    /// The user's own limit of clients, where it has one.
    pub fn max_clients(&self, user: &str) -> Option<usize> {
        self.known.get(user)?.listed.max_clients
    }
}

/// The table in use. Logins under way keep the one they began with.
#[derive(Debug, Default)]
pub struct UserTable {
    current: ArcSwap<Users>,
}

impl UserTable {
    pub fn new(users: Users) -> UserTable {
        UserTable { current: ArcSwap::from_pointee(users) }
    }

    pub fn replace(&self, users: Users) {
        self.current.store(Arc::new(users));
    }

    pub fn current(&self) -> Arc<Users> {
        self.current.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_opened_by_the_login_unless_the_table_says_otherwise() {
        let login = ServerSecret::password(Secret::new("login"));
        let other = |server_user: Option<&str>, password: Option<&str>| {
            let listed = Listed {
                name: "ann".into(),
                server_user: server_user.map(str::to_owned),
                server_password: password.map(Secret::new),
                ..Listed::default()
            };
            let (user, secret) = Users::load(&[listed]).expect("users").opener("ann", &login);
            let password = secret.password.map(|p| p.expose().to_vec()).unwrap_or_default();
            (user.to_string(), String::from_utf8(password).expect("text"))
        };
        assert_eq!(other(None, None), ("ann".into(), "login".into()));
        assert_eq!(other(None, Some("s")), ("ann".into(), "s".into()));
        assert_eq!(other(Some("app"), Some("s")), ("app".into(), "s".into()));
        assert_eq!(other(Some("app"), None), ("app".into(), String::new()));
    }
}
