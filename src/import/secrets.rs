//! Passwords that stood in another proxy's file: ours may not hold them.

use crate::secret::Secret;

/// Where the draft says that passwords are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// One file for each in this folder.
    Folder(String),
    /// In environment variables.
    Environment,
}

/// Those of one import.
pub(super) struct Secrets {
    keep: Keep,
    files: Vec<(String, Secret)>,
    variables: Vec<(String, Secret)>,
}

impl Secrets {
    pub(super) fn new(keep: Keep) -> Secrets {
        Secrets { keep, files: Vec::new(), variables: Vec::new() }
    }

    /// How the key `key` names the secret of `name`: `("password_file", "secrets/user-app")`.
    pub(super) fn keep(&mut self, key: &str, name: &str, secret: &str) -> (String, String) {
        match &self.keep {
            Keep::Folder(folder) => {
                let file = free(&mut self.files, &plain(name, false), secret);
                (format!("{key}_file"), format!("{folder}/{file}"))
            }
            Keep::Environment => {
                let name = format!("TIDEGATE_{}", plain(name, true));
                (format!("{key}_env"), free(&mut self.variables, &name, secret))
            }
        }
    }

    /// A file for the reader to fill, and its path; in the environment there are no files, so that
    /// it is one beside the configuration.
    pub(super) fn file(&mut self, name: &str, text: &str) -> String {
        match &self.keep {
            Keep::Folder(folder) => {
                let path = format!("{folder}/{name}");
                self.files.push((name.to_owned(), Secret::new(text)));
                path
            }
            Keep::Environment => name.to_owned(),
        }
    }

    pub(super) fn kept(self) -> (Vec<(String, Secret)>, Vec<String>) {
        (self.files, self.variables.into_iter().map(|(name, _)| name).collect())
    }
}

/// The name under which the secret is kept: two names may look alike without their special
/// characters, and the same secret may be asked for again.
fn free(kept: &mut Vec<(String, Secret)>, name: &str, secret: &str) -> String {
    let mut chosen = name.to_owned();
    for number in 2.. {
        match kept.iter().find(|(taken, _)| *taken == chosen) {
            Some((_, there)) if there.same_as(secret.as_bytes()) => return chosen,
            Some(_) => {
                chosen = format!("{name}{}{number}", if name.contains('_') { '_' } else { '-' })
            }
            None => break,
        }
    }
    kept.push((chosen.clone(), Secret::new(secret)));
    chosen
}

/// Letters, digits and one separator.
fn plain(name: &str, variable: bool) -> String {
    let letter = |c: char| match (c.is_ascii_alphanumeric(), variable) {
        (true, true) => c.to_ascii_uppercase(),
        (true, false) => c,
        (false, true) => '_',
        (false, false) => '-',
    };
    name.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_get_files_of_their_own() {
        let mut secrets = Secrets::new(Keep::Folder("s".into()));
        let first = secrets.keep("password", "user-a.b", "x");
        assert_eq!(first, ("password_file".into(), "s/user-a-b".into()));
        assert_eq!(secrets.keep("password", "user-a b", "y").1, "s/user-a-b-2");
        let mut secrets = Secrets::new(Keep::Environment);
        let first = secrets.keep("server_password", "user-a", "x");
        assert_eq!(first, ("server_password_env".into(), "TIDEGATE_USER_A".into()));
    }
}
