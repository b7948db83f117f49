//! Where the PostgreSQL programs are, and the user they run as.

use crate::lab::owner::Owner;
use crate::lab::{LabError, spawn};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DEBIAN: &str = "/usr/lib/postgresql";

/// The programs of one PostgreSQL version.
#[derive(Clone, Debug)]
pub(super) struct Install {
    bin: PathBuf,
    /// Set when the programs were named by hand and bring their own libraries.
    lib: Option<PathBuf>,
    user: Option<Owner>,
    /// Whether its programs stand back behind all others.
    humble: bool,
}

impl Install {
    /// `TIDEGATE_PG_BIN`, else the newest version that Debian's packages installed.
    pub(super) fn find() -> Result<Install, LabError> {
        let named = std::env::var_os("TIDEGATE_PG_BIN").map(PathBuf::from);
        let bin = match &named {
            Some(bin) => Some(bin.clone()).filter(|bin| bin.join("postgres").exists()),
            None => newest(Path::new(DEBIAN)),
        };
        let Some(bin) = bin else {
            let place = named.unwrap_or_else(|| PathBuf::from(format!("{DEBIAN}/*/bin")));
            return Err(LabError::NoServer {
                engine: "PostgreSQL",
                package: "postgresql",
                variable: "TIDEGATE_PG_BIN",
                looked: place.display().to_string(),
            });
        };
        Install::in_folder(bin, named.is_some(), false)
    }

    /// The programs of this major version: those in `folder`, else as [`Install::find`] looks for them.
    /// They leave the machine to whatever else runs on it.
    pub(super) async fn of(folder: Option<&Path>, version: u32) -> Result<Install, LabError> {
        let named = std::env::var_os("TIDEGATE_PG_BIN").map(PathBuf::from);
        let named = folder.map(Path::to_owned).or(named);
        let debian = || Path::new(DEBIAN).join(version.to_string()).join("bin");
        let bin = named.clone().unwrap_or_else(debian);
        let looked = bin.display().to_string();
        if !bin.join("postgres").exists() {
            return Err(LabError::NoVersion { version, looked });
        }
        let install = Install::in_folder(bin, named.is_some(), true)?;
        let mut asked = install.command("postgres", Path::new("/"));
        asked.arg("--version");
        // "postgres (PostgreSQL) 15.14 (Debian …)"
        let said = spawn::run(asked).await?;
        let found = said.split_whitespace().nth(2).and_then(|v| v.split('.').next()?.parse().ok());
        match found == Some(version) {
            true => Ok(install),
            false => {
                let looked = format!("{looked}, where it is {}", said.trim());
                Err(LabError::NoVersion { version, looked })
            }
        }
    }

    fn in_folder(bin: PathBuf, named: bool, humble: bool) -> Result<Install, LabError> {
        let lib = Some(bin.join("../lib")).filter(|_| named);
        let lib = lib.filter(|lib| lib.join("libpq.so.5").exists());
        let user = Owner::unless_own("postgres", "postgresql")?;
        Ok(Install { bin, lib, user, humble })
    }

    pub(super) fn has(&self, program: &str) -> bool {
        self.bin.join(program).exists()
    }

    /// User and group that the servers' files belong to, when it is not our own.
    pub(super) fn owner(&self) -> Option<(u32, u32)> {
        self.user.as_ref().map(|owner| owner.ids)
    }

    /// One of the programs, bound to this process, run in `folder`.
    pub(super) fn command(&self, program: &str, folder: &Path) -> Command {
        let user = self.user.as_ref().map(|owner| owner.name);
        let program = self.bin.join(program);
        let mut command = match self.humble {
            false => spawn::bound(&program, user),
            true => {
                let mut command = spawn::bound(Path::new("nice"), user);
                // Each becomes the next, so the process number stays.
                command.args(["-n", "19", "ionice", "-c", "2", "-n", "7"]).arg(&program);
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some(lib) = &self.lib {
            command.env("LD_LIBRARY_PATH", lib);
        }
        command.current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null());
        command
    }
}

/// The `bin` folder of the highest version below `root`.
fn newest(root: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(root).ok()?.flatten().filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let bin = entry.path().join("bin");
        bin.join("postgres").exists().then_some((version, bin))
    });
    versions.max().map(|(_, bin)| bin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_highest_number_not_the_last_word() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15", "100", "notes"] {
            let bin = root.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("postgres"), "").unwrap();
        }
        fs::create_dir_all(root.path().join("101/bin")).unwrap();
        assert_eq!(newest(root.path()), Some(root.path().join("100/bin")));
    }
}
