//! The folder of a test restore: made for it, and gone with it.

use super::{ProveError, Refuted, io_error};
use crate::pg::backup::restore::RestoreError;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

/// Room for what recovery itself writes.
const SPARE: u64 = 512 << 20;

/// `<scratch>/tidegate-test-<system>`. The lock in it is held while the process lives, so that the
/// leftovers of one that was killed can be told from a test that runs.
pub(super) struct Scratch {
    path: PathBuf,
    owner: Option<(u32, u32)>,
    _lock: File,
}

impl Scratch {
    pub(super) fn claim(
        root: &Path,
        system: u64,
        owner: Option<(u32, u32)>,
    ) -> Result<Scratch, ProveError> {
        DirBuilder::new().recursive(true).create(root).map_err(io_error("make", root))?;
        let path = root.join(format!("tidegate-test-{system}"));
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(io_error("make", &path))?,
        }
        let lock = File::create(path.join("lock")).map_err(io_error("write into", &path))?;
        if lock.try_lock().is_err() {
            return Err(ProveError::Busy { path });
        }
        let scratch = Scratch { path, owner, _lock: lock };
        let clean = || -> io::Result<()> {
            for entry in fs::read_dir(&scratch.path)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                }
            }
            fs::create_dir(scratch.log())?;
            scratch.give(&scratch.path)?;
            scratch.give(&scratch.log())
        };
        clean().map_err(io_error("prepare", &scratch.path))?;
        Ok(scratch)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        self.owner.map_or(Ok(()), |(user, group)| chown(path, Some(user), Some(group)))
    }

    /// Whether so many bytes fit into it.
    pub(super) fn has_room(&self, bytes: u64) -> Result<(), ProveError> {
        let found = rustix::fs::statvfs(&self.path);
        let found = found.map_err(|error| io_error("look at", &self.path)(error.into()))?;
        let (free, needed) = (found.f_bavail * found.f_frsize, bytes + SPARE);
        match free >= needed {
            true => Ok(()),
            false => {
                let path = self.path.clone();
                Err(ProveError::Room { path, free: free >> 20, needed: needed >> 20 })
            }
        }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Of a tablespace.
    pub(super) fn space(&self, oid: u32) -> PathBuf {
        self.path.join(format!("space-{oid}"))
    }

    fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// A file of the archived log, for the server to fetch.
    pub(super) fn put_log(&self, file: &str, bytes: &[u8]) -> Result<(), Refuted> {
        let path = self.log().join(file);
        let put = fs::write(&path, bytes).and_then(|()| self.give(&path));
        put.map_err(|source| RestoreError::Io { what: "write", path, source }.into())
    }

    /// How the server fetches it, without the names.
    pub(super) fn fetch_command(&self) -> Vec<String> {
        let log = self.log().display().to_string();
        let script = "cp -- \"$1/$2\" \"$3\"".to_owned();
        vec!["/bin/sh".into(), "-c".into(), script, "fetch".into(), log]
    }

    /// The settings of the node's machine are not those of this one.
    pub(super) fn empty_config(&self) -> Result<PathBuf, Refuted> {
        let path = self.path.join("postgresql.conf");
        let made = File::create(&path).and_then(|_| self.give(&path));
        made.map_err(|source| Refuted::Io { path: path.clone(), source })?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "left behind by a test restore");
        }
    }
}
