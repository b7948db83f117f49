//! Temporary folders that go with their owner, and the sweep of those whose owner was killed.

use super::{LabError, mark};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "tidegate-lab-";

/// A folder that has no lock yet; the sweep does not see it.
const UNLOCKED: &str = ".tidegate-lab-";

/// `<temp>/tidegate-lab-<pid>-<n>`, mode 0700, removed on drop.
///
/// The lock inside is held as long as this process lives, however it ends, so that a later one
/// can tell an abandoned folder from one in use.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the next folder of this process. `owner`: user and group it is handed to.
    pub(super) fn new(owner: Option<(u32, u32)>) -> Result<Folder, LabError> {
        static SWEEP: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        SWEEP.call_once(sweep);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |prefix| format!("{prefix}{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name(PREFIX));
        let unlocked = std::env::temp_dir().join(name(UNLOCKED));
        let shown = path.display().to_string();
        for old in [&path, &unlocked].into_iter().filter(|old| old.exists()) {
            // Of an earlier process with the same number: ours is the only live one.
            fs::remove_dir_all(old).map_err(LabError::io(format!("remove the old {shown}")))?;
        }
        let made = DirBuilder::new().mode(0o700).create(&unlocked);
        made.map_err(LabError::io(format!("create {shown}")))?;
        let lock = File::create(unlocked.join("lock")).and_then(|lock| {
            lock.lock()?;
            fs::rename(&unlocked, &path)?;
            Ok(lock)
        });
        let lock = lock.map_err(LabError::io(format!("lock {shown}")))?;
        if let Some((user, group)) = owner {
            let given = chown(&path, Some(user), Some(group));
            given.map_err(LabError::io(format!("hand {shown} to user {user}")))?;
        }
        Ok(Folder { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "left behind");
        }
    }
}

/// Removes what processes left behind that were killed. Every process does so before it makes its
/// first folder. Best effort: what cannot be read or removed belongs to somebody else.
pub fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && abandoned(&entry.path()) {
            mark::remove_below(&entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn abandoned(folder: &Path) -> bool {
    File::open(folder.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_owner() {
        let folder = Folder::new(None).unwrap();
        let path = folder.path().to_path_buf();
        assert!(path.join("lock").exists());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_in_use_is_not_abandoned_but_a_dead_ones_is() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!abandoned(folder.path()), "no lock yet");
        let lock = File::create(folder.path().join("lock")).unwrap();
        lock.lock().unwrap();
        assert!(!abandoned(folder.path()), "in use");
        drop(lock);
        assert!(abandoned(folder.path()));
    }
}
