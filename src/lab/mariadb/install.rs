//! Where the MariaDB programs are, and the user they run as.

use crate::lab::owner::Owner;
use crate::lab::{LabError, spawn};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian's packages put the server, and the script that makes data folders.
const DEBIAN: [&str; 2] = ["/usr/sbin", "/usr/bin"];

const SERVER: &str = "mariadbd";
const INSTALLER: &str = "mariadb-install-db";

/// The programs of one MariaDB version.
#[derive(Clone, Debug)]
pub(super) struct Install {
    server: PathBuf,
    installer: PathBuf,
    user: Option<Owner>,
}

impl Install {
    /// `TIDEGATE_MARIADB_BIN`, else what Debian's packages installed.
    pub(super) fn find() -> Result<Install, LabError> {
        let named = std::env::var_os("TIDEGATE_MARIADB_BIN").map(PathBuf::from);
        let folders = named.map_or_else(|| DEBIAN.map(PathBuf::from).to_vec(), |bin| vec![bin]);
        let find = |program: &str| {
            folders.iter().map(|folder| folder.join(program)).find(|path| path.exists())
        };
        let Some((server, installer)) = find(SERVER).zip(find(INSTALLER)) else {
            let looked: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
            return Err(LabError::NoServer {
                engine: "MariaDB",
                package: "mariadb-server",
                variable: "TIDEGATE_MARIADB_BIN",
                looked: looked.join(" and "),
            });
        };
        let user = Owner::unless_own("mysql", "mariadb-server")?;
        Ok(Install { server, installer, user })
    }

    /// User and group that the servers' files belong to, when it is not our own.
    pub(super) fn owner(&self) -> Option<(u32, u32)> {
        self.user.as_ref().map(|owner| owner.ids)
    }

    /// The server, bound to this process, run in `folder`.
    pub(super) fn server(&self, folder: &Path) -> Command {
        self.command(&self.server, folder)
    }

    /// The script that makes data folders, bound to this process, run in `folder`.
    pub(super) fn installer(&self, folder: &Path) -> Command {
        self.command(&self.installer, folder)
    }

    fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = spawn::bound(program, self.user.as_ref().map(|owner| owner.name));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("MYSQL") || name.starts_with("MARIADB") {
                command.env_remove(&*name);
            }
        }
        // The script looks for files in the home folder, which this user may not read, and both
        // write to the folder for temporary files, which may be another user's.
        command.current_dir(folder).env("HOME", folder).env("TMPDIR", folder);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command
    }
}
