//! What an agent must remember: a file that is replaced as a whole and never by an older term.

use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why it cannot be remembered.
#[derive(Debug, Error)]
pub enum KeepError {
    #[error("cannot {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "another agent keeps its state in {path}\nhint: one agent for each server, each with a \
         state_dir of its own"
    )]
    Held { path: PathBuf },
    #[error("{path} is not the state of an agent of this release: {cause}")]
    Nonsense { path: PathBuf, cause: String },
}

/// What survives the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The highest term that was heard of.
    pub(super) term: u64,
    /// The server was the primary then.
    pub(super) reigns: bool,
    /// It was stopped by order, and is not to come back as a primary by itself.
    pub(super) stopped: bool,
    /// pg_rewind began and did not end: the data are good for nothing but to be kept aside.
    pub(super) torn: bool,
}

/// The file, for this process alone.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    kept: Kept,
    _lock: File,
}

impl Keeper {
    pub(super) fn open(folder: &Path) -> Result<Keeper, KeepError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| KeepError::Io { what, path, source }
        };
        fs::create_dir_all(folder).map_err(failed("make", folder))?;
        let mut how = OpenOptions::new();
        how.create(true).truncate(false).write(true).mode(0o600);
        let lock = folder.join("lock");
        let lock = how.open(&lock).map_err(failed("open", &lock))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(KeepError::Held { path: folder.to_owned() });
            }
            Err(fs::TryLockError::Error(source)) => return Err(failed("lock", folder)(source)),
        }
        let path = folder.join("agent.json");
        let kept = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| KeepError::Nonsense {
                path: path.clone(),
                cause: error.to_string(),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(source) => return Err(failed("read", &path)(source)),
        };
        Ok(Keeper { path, kept, _lock: lock })
    }

    pub(super) fn kept(&self) -> Kept {
        self.kept
    }

    /// Durable when this answers.
    pub(super) fn save(&mut self, kept: Kept) -> Result<(), KeepError> {
        if kept == self.kept {
            return Ok(());
        }
        let failed = |source| KeepError::Io { what: "write", path: self.path.clone(), source };
        replace(&self.path, &kept).map_err(failed)?;
        self.kept = kept;
        Ok(())
    }
}

/// Temporary file, fsync, rename, fsync of the folder.
fn replace(path: &Path, kept: &Kept) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut how = OpenOptions::new();
    let mut file = how.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(kept)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_known_after_a_restart_and_belongs_to_one_agent() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Keeper::open(folder.path()).unwrap();
        assert_eq!(keeper.kept(), Kept::default());
        let kept = Kept { term: 4, stopped: true, ..Kept::default() };
        keeper.save(kept).unwrap();
        let second = Keeper::open(folder.path()).unwrap_err();
        assert!(second.to_string().contains("another agent"), "{second}");
        drop(keeper);
        assert_eq!(Keeper::open(folder.path()).unwrap().kept(), kept);
    }

    #[test]
    fn a_file_that_is_no_state_is_an_error_and_not_a_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("agent.json"), "{").unwrap();
        assert!(matches!(Keeper::open(folder.path()), Err(KeepError::Nonsense { .. })));
    }
}
