//! Configurations that are made for an operator, put where he wants them.

use crate::secret::Secret;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Writes a configuration, and its secrets into a folder beside it that only their owner may read.
/// What is there stays, unless `force` is given; then nothing is written at all.
pub(super) fn configuration(
    file: &Path,
    text: &str,
    (folder, secrets): (&str, &[(String, Secret)]),
    force: bool,
) -> Result<(), String> {
    let beside = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = beside.unwrap_or(Path::new(".")).join(folder);
    let paths: Vec<PathBuf> = secrets.iter().map(|(name, _)| folder.join(name)).collect();
    let taken = paths.iter().map(PathBuf::as_path).chain([file]).find(|path| path.exists());
    if let (Some(taken), false) = (taken, force) {
        return Err(format!("{} is there already\nhint: --force replaces it", taken.display()));
    }
    let failed =
        |path: &Path, error: io::Error| format!("cannot write {}: {error}", path.display());
    if !secrets.is_empty() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| failed(&folder, error))?;
    }
    for (path, (_, secret)) in paths.iter().zip(secrets) {
        put(path, secret.expose(), 0o600).map_err(|error| failed(path, error))?;
    }
    put(file, text.as_bytes(), 0o644).map_err(|error| failed(file, error))
}

/// As a whole or not at all.
fn put(to: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // What an earlier run left may be readable by others.
    let _ = fs::remove_file(&part);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, to)
}
