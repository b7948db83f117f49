//! Goes over a tar file of a backup: every file is held against the manifest, and written if asked.

use super::manifest::{Manifest, ManifestError};
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Component, Path, PathBuf};
use tar::EntryType;
use thiserror::Error;

/// What may stand in a mode; nothing of a backup runs as its owner.
const MODE: u32 = 0o777;

#[derive(Debug, Error)]
pub(super) enum UnpackError {
    #[error("{0}")]
    Read(io::Error),
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("the archive has {0}, which no backup of ours has")]
    Strange(String),
}

/// Whose restored files are. Only root can give them away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This process's user.
    Us,
    /// Whoever had them on the node.
    Recorded,
    /// This user and group.
    These(u32, u32),
}

impl Owner {
    /// As the node had it, where that is possible.
    pub fn recorded() -> Owner {
        match rustix::process::geteuid().is_root() {
            true => Owner::Recorded,
            false => Owner::Us,
        }
    }
}

/// Where the files go, and whose they are then.
#[derive(Clone, Debug)]
pub(super) struct To {
    pub(super) folder: PathBuf,
    pub(super) owner: Owner,
}

/// `prefix`: of the archive's files in the manifest, `pg_tblspc/16384/` or nothing.
pub(super) fn unpack(
    archive: impl Read,
    prefix: &str,
    manifest: &mut Manifest,
    to: Option<&To>,
) -> Result<(), UnpackError> {
    let mut archive = tar::Archive::new(archive);
    let mut buffer = vec![0; 256 * 1024];
    for entry in archive.entries().map_err(UnpackError::Read)? {
        let mut entry = entry.map_err(UnpackError::Read)?;
        let name = safe(&entry.path().map_err(UnpackError::Read)?)?;
        let header = entry.header();
        let mode = header.mode().map_err(UnpackError::Read)? & MODE;
        let owner = (header.uid().unwrap_or(0), header.gid().unwrap_or(0));
        let place = to.map(|to| (to, to.folder.join(&name)));
        match header.entry_type() {
            EntryType::Directory => {
                if let Some((to, path)) = place {
                    folder(&path, mode).and_then(|()| give(to, &path, owner)).map_err(at(&path))?;
                }
            }
            EntryType::Regular => {
                let mut file = match &place {
                    Some((to, path)) => {
                        let mut how = OpenOptions::new();
                        let opened = how.create_new(true).write(true).mode(mode).open(path);
                        let given = opened.and_then(|file| give(to, path, owner).map(|()| file));
                        Some(given.map_err(at(path))?)
                    }
                    None => None,
                };
                let (mut size, mut crc) = (0, 0);
                loop {
                    let n = entry.read(&mut buffer).map_err(UnpackError::Read)?;
                    if n == 0 {
                        break;
                    }
                    (size, crc) = (size + n as u64, crc32c::crc32c_append(crc, &buffer[..n]));
                    if let (Some(file), Some((_, path))) = (&mut file, &place) {
                        file.write_all(&buffer[..n]).map_err(at(path))?;
                    }
                }
                manifest.saw(&format!("{prefix}{}", name.display()), size, crc)?;
            }
            other => return Err(UnpackError::Strange(format!("{} as {other:?}", name.display()))),
        }
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> UnpackError + '_ {
    move |source| UnpackError::Write { path: path.to_owned(), source }
}

/// No way out of the folder.
fn safe(path: &Path) -> Result<PathBuf, UnpackError> {
    let strange = || UnpackError::Strange(format!("{:?}", path));
    let mut name = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => name.push(part),
            Component::CurDir => {}
            _ => return Err(strange()),
        }
    }
    Ok(name)
}

/// Makes it, or takes the one that is there.
fn folder(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::set_permissions(path, Permissions::from_mode(mode))
        }
        done => done,
    }
}

fn give(to: &To, path: &Path, (user, group): (u64, u64)) -> io::Result<()> {
    let id = |id: u64| u32::try_from(id).ok();
    match to.owner {
        Owner::Us => Ok(()),
        Owner::Recorded => chown(path, id(user), id(group)),
        Owner::These(user, group) => chown(path, Some(user), Some(group)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        assert_eq!(safe(Path::new("./base/1/2")).unwrap(), Path::new("base/1/2"));
        for wrong in ["../x", "base/../../x", "/etc/passwd"] {
            assert!(safe(Path::new(wrong)).is_err(), "{wrong}");
        }
    }
}
