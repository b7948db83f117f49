//! The user that servers run as when this process is root: they refuse root.

use super::LabError;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// A user of this machine.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) name: &'static str,
    /// User and group.
    pub(super) ids: (u32, u32),
}

impl Owner {
    /// The user `name`, when this process is root; `package` is what makes that user.
    pub(super) fn unless_own(name: &'static str, package: &str) -> Result<Option<Owner>, LabError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd");
        let users = users.map_err(LabError::io("read /etc/passwd"))?;
        let ids = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next() == Some(name);
            let mut ids = fields.skip(1).map(|field| field.parse().ok());
            found.then(|| Some((ids.next()??, ids.next()??)))?
        });
        let missing = || {
            std::io::Error::other(format!(
                "root may not run the server, and there is no user {name}; apt-get install -y {package} makes one"
            ))
        };
        let ids = ids.ok_or_else(missing).map_err(LabError::io(format!("find the user {name}")))?;
        Ok(Some(Owner { name, ids }))
    }
}

/// Hands a file that this process wrote to the user and group that the servers run as.
pub(super) fn give(path: &Path, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    match owner {
        Some((user, group)) => chown(path, Some(user), Some(group)),
        None => Ok(()),
    }
}

/// Copies a file for the servers' eyes only.
pub(super) fn secret_copy(
    from: &Path,
    to: &Path,
    owner: Option<(u32, u32)>,
) -> Result<(), LabError> {
    let copied = fs::copy(from, to)
        .and_then(|_| fs::set_permissions(to, fs::Permissions::from_mode(0o600)))
        .and_then(|()| give(to, owner));
    copied.map_err(LabError::io(format!("copy {} to {}", from.display(), to.display())))
}
