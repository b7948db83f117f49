//! The table of a cluster's users: read from a file and the configuration, immutable, replaced
//! as a whole by a reload.

mod userlist;

pub use userlist::LineError;

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::credential::{Credential, CredentialError};
use super::secret::Secret;

/// Why there is no table. Names file, line and user, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("users file {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("users file {}, line {line}: {source}", path.display())]
    Line { path: PathBuf, line: usize, source: LineError },
    #[error("users file {}, line {line}: user {user:?} is already on line {first}", path.display())]
    Twice { path: PathBuf, line: usize, first: usize, user: String },
    #[error("users file {}, line {line}: user {user:?}: {source}", path.display())]
    FileSecret { path: PathBuf, line: usize, user: String, source: CredentialError },
    #[error("users.{user}: {source}")]
    Secret { user: String, source: CredentialError },
}

/// An immutable table of users.
#[derive(Debug, Default)]
pub struct Users {
    known: HashMap<String, Arc<Credential>>,
}

impl Users {
    /// Reads the file, then adds `inline`, which wins. Plain passwords cost a PBKDF2 each
    /// (about a millisecond), unless `previous` already has a verifier of the same.
    pub fn load(
        file: Option<&Path>,
        inline: &[(String, Secret)],
        previous: &Users,
    ) -> Result<Self, UsersError> {
        let mut known = match file {
            Some(path) => from_file(path, previous)?,
            None => HashMap::new(),
        };
        for (user, secret) in inline {
            let credential = previous.reuse(user, secret);
            let credential =
                credential.map_err(|source| UsersError::Secret { user: user.clone(), source })?;
            known.insert(user.clone(), credential);
        }
        Ok(Self { known })
    }

    pub fn lookup(&self, user: &str) -> Option<Arc<Credential>> {
        self.known.get(user).cloned()
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn reuse(&self, user: &str, secret: &Secret) -> Result<Arc<Credential>, CredentialError> {
        match self.known.get(user) {
            Some(old) if old.made_from(secret) => Ok(old.clone()),
            _ => Credential::parse(secret).map(Arc::new),
        }
    }
}

fn from_file(path: &Path, old: &Users) -> Result<HashMap<String, Arc<Credential>>, UsersError> {
    let path_buf = || path.to_path_buf();
    let text =
        fs::read_to_string(path).map_err(|source| UsersError::Read { path: path_buf(), source })?;
    let text = Secret::new(text);
    let text = std::str::from_utf8(text.expose()).unwrap_or_default();
    let entries = userlist::parse(text).map_err(|(line, source)| UsersError::Line {
        path: path_buf(),
        line,
        source,
    })?;

    let mut lines: HashMap<String, usize> = HashMap::new();
    let mut known = HashMap::new();
    for entry in entries {
        let (line, user) = (entry.line, entry.user);
        match lines.entry(user.clone()) {
            Entry::Occupied(first) => {
                return Err(UsersError::Twice {
                    path: path_buf(),
                    line,
                    first: *first.get(),
                    user,
                });
            }
            Entry::Vacant(slot) => slot.insert(line),
        };
        let credential = old.reuse(&user, &entry.secret).map_err(|source| {
            UsersError::FileSecret { path: path_buf(), line, user: user.clone(), source }
        })?;
        known.insert(user, credential);
    }
    Ok(known)
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

    /// Reads everything again. On an error the table in use stays.
    pub fn reload(
        &self,
        file: Option<&Path>,
        inline: &[(String, Secret)],
    ) -> Result<(), UsersError> {
        let fresh = Users::load(file, inline, &self.current())?;
        self.current.store(Arc::new(fresh));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn inline_entries_win_over_the_file() {
        let file = file("\"ann\" \"from file\"\n\"bob\" \"b\"\n");
        let inline = [("ann".to_owned(), Secret::new("inline"))];
        let users = Users::load(Some(file.path()), &inline, &Users::default()).expect("users");
        assert_eq!(users.len(), 2);
        let ann = users.lookup("ann").expect("ann");
        assert!(ann.password().expect("plain").same_as(b"inline"));
        assert!(users.lookup("carl").is_none());
    }

    #[test]
    fn errors_name_file_line_and_user_but_no_secret() {
        let twice = file("\"ann\" \"x\"\n\n\"ann\" \"hush\"\n");
        let damaged = file("; verifiers\n\"bob\" \"SCRAM-SHA-256$hush\"\n");
        let unquoted = file("ann hush\n");
        for (file, words) in [
            (&twice, ["line 3", "\"ann\" is already on line 1"]),
            (&damaged, ["line 2", "user \"bob\": the secret begins like a SCRAM verifier"]),
            (&unquoted, ["line 1", "expected a user name in double quotes"]),
        ] {
            let error =
                Users::load(Some(file.path()), &[], &Users::default()).expect_err("refused");
            let text = error.to_string();
            assert!(words.iter().all(|w| text.contains(w)), "{text}");
            assert!(text.contains(&file.path().display().to_string()), "{text}");
            assert!(!text.contains("hush"), "{text}");
        }
        let missing = Users::load(Some(Path::new("/nonexistent/u")), &[], &Users::default());
        assert!(
            missing.expect_err("refused").to_string().starts_with("users file /nonexistent/u: ")
        );
    }

    #[test]
    fn a_reload_keeps_verifiers_of_unchanged_passwords_and_survives_a_broken_file() {
        let file = file("\"ann\" \"a\"\n\"bob\" \"b\"\n");
        let users = Users::load(Some(file.path()), &[], &Users::default()).expect("users");
        let table = UserTable::new(users);
        let (ann, bob) = (table.current().lookup("ann"), table.current().lookup("bob"));

        fs::write(file.path(), "\"ann\" \"a\"\n\"bob\" \"new\"\n").expect("written");
        table.reload(Some(file.path()), &[]).expect("a reload");
        let now = table.current();
        assert!(Arc::ptr_eq(&ann.expect("ann"), &now.lookup("ann").expect("ann")));
        assert!(!Arc::ptr_eq(&bob.expect("bob"), &now.lookup("bob").expect("bob")));

        fs::write(file.path(), "nonsense").expect("written");
        assert!(table.reload(Some(file.path()), &[]).is_err());
        assert_eq!(table.current().len(), 2);
    }
}
