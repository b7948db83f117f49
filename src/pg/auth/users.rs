//! The table of a cluster's users: immutable, replaced as a whole by a reload.

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;

use super::credential::{Credential, CredentialError, ServerSecret};
use crate::secret::Secret;

/// Why there is no table. Names the user, never a secret.
#[derive(Debug, thiserror::Error)]
#[error("users.{user}: {source}")]
pub struct UsersError {
    user: String,
    source: CredentialError,
}

/// A user as the configuration lists it.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    pub name: String,
    /// A plain password or a verifier; `None`: `auth_query` or the method itself knows.
    pub password: Option<Secret>,
    /// The user towards the servers, when it is another one.
    pub server_user: Option<String>,
    /// What opens the servers, when the client's own proof does not.
    pub server_password: Option<Secret>,
    /// Clients of this user; 0: no limit; `None`: as many as anybody's.
    pub max_clients: Option<usize>,
}

/// An immutable table of users.
#[derive(Debug, Default)]
pub struct Users {
    known: HashMap<String, User>,
}

#[derive(Debug)]
struct User {
    credential: Option<Arc<Credential>>,
    server_user: Option<Arc<str>>,
    server_password: Option<Secret>,
    max_clients: Option<usize>,
}

impl Users {
    /// Plain passwords cost a PBKDF2 each (about a millisecond), unless `previous` already has a
    /// verifier of the same.
    pub fn load(listed: &[Listed], previous: &Users) -> Result<Self, UsersError> {
        let mut known = HashMap::new();
        for user in listed {
            let credential = user.password.as_ref().map(|p| previous.reuse(&user.name, p));
            let credential = credential.transpose();
            let wrong = |source| UsersError { user: user.name.clone(), source };
            let entry = User {
                credential: credential.map_err(wrong)?,
                server_user: user.server_user.as_deref().map(Arc::from),
                server_password: user.server_password.clone(),
                max_clients: user.max_clients,
            };
            known.insert(user.name.clone(), entry);
        }
        Ok(Self { known })
    }

    /// What `user` proves itself by; `None`: it is not listed, or listed without a password.
    pub fn lookup(&self, user: &str) -> Option<Arc<Credential>> {
        self.known.get(user)?.credential.clone()
    }

    /// Who opens a server for `user`, and with what; `login`: what its login left behind.
    pub fn opener(&self, user: &str, login: &ServerSecret) -> (Arc<str>, ServerSecret) {
        let Some(known) = self.known.get(user) else { return (user.into(), login.clone()) };
        let secret = match (&known.server_password, &known.server_user) {
            (Some(password), _) => ServerSecret::password(password.clone()),
            // The proof of one user opens nothing for another.
            (None, Some(_)) => ServerSecret::default(),
            (None, None) => login.clone(),
        };
        (known.server_user.clone().unwrap_or_else(|| user.into()), secret)
    }

    /// The user's own limit of clients, where it has one.
    pub fn max_clients(&self, user: &str) -> Option<usize> {
        self.known.get(user)?.max_clients
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn reuse(&self, user: &str, secret: &Secret) -> Result<Arc<Credential>, CredentialError> {
        match self.lookup(user) {
            Some(old) if old.made_from(secret) => Ok(old),
            _ => Credential::parse(secret).map(Arc::new),
        }
    }
}

/// The table in use. Logins under way keep the one they began with.
#[derive(Debug, Default)]
pub struct UserTable {
    current: ArcSwap<Users>,
}

impl UserTable {
    pub fn new(users: Users) -> Self {
        Self { current: ArcSwap::from_pointee(users) }
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

    fn user(name: &str, password: &str) -> Listed {
        let password = Some(Secret::new(password));
        Listed { name: name.into(), password, ..Listed::default() }
    }

    fn load(listed: &[Listed], previous: &Users) -> Users {
        Users::load(listed, previous).expect("users")
    }

    #[test]
    fn errors_name_the_user_but_no_secret() {
        let damaged = user("bob", "SCRAM-SHA-256$hush");
        let error = Users::load(&[damaged], &Users::default()).expect_err("refused").to_string();
        assert!(error.contains("users.bob: the secret begins like a SCRAM verifier"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn a_reload_keeps_verifiers_of_unchanged_passwords() {
        let old = load(&[user("ann", "a"), user("bob", "b")], &Users::default());
        let new = load(&[user("ann", "a"), user("bob", "new")], &old);
        let same = |name| {
            let (old, new) = (old.lookup(name).expect(name), new.lookup(name).expect(name));
            Arc::ptr_eq(&old, &new)
        };
        assert!(same("ann"));
        assert!(!same("bob"));
    }

    #[test]
    fn a_server_is_opened_by_the_login_unless_the_table_says_otherwise() {
        let login = ServerSecret::password(Secret::new("login"));
        let other = |server_user: Option<&str>, password: Option<&str>| {
            let listed = Listed {
                server_user: server_user.map(str::to_owned),
                server_password: password.map(Secret::new),
                ..user("ann", "a")
            };
            let (user, secret) = load(&[listed], &Users::default()).opener("ann", &login);
            let password = secret.password.map(|p| p.expose().to_vec()).unwrap_or_default();
            (user.to_string(), String::from_utf8(password).expect("text"))
        };
        assert_eq!(other(None, None), ("ann".into(), "login".into()));
        assert_eq!(other(None, Some("s")), ("ann".into(), "s".into()));
        assert_eq!(other(Some("app"), Some("s")), ("app".into(), "s".into()));
        assert_eq!(other(Some("app"), None), ("app".into(), String::new()));
        let (stranger, secret) = Users::default().opener("eve", &login);
        assert_eq!((&*stranger, secret.password.is_some()), ("eve", true));
    }
}
