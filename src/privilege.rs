//! What the process may do, and who may look into its memory.

use nix::unistd::{User, geteuid, initgroups, setgid, setuid};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use std::ffi::CString;
use std::io;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum PrivilegeError {
    #[error("user = {user:?}: there is no such user on this machine")]
    Unknown { user: String },
    #[error("user = {user:?}: cannot look the user up: {source}")]
    Lookup { user: String, source: io::Error },
    #[error(
        "user = {user:?} needs a start as root, and this process runs as user {uid}\nhint: leave \
         user out, and start it as {user}"
    )]
    NotRoot { user: String, uid: u32 },
    #[error("user = {user:?}: cannot become this user: {source}")]
    Refused { user: String, source: io::Error },
    #[error("core dumps cannot be forbidden: {0}")]
    Dumps(io::Error),
}

/// Becomes this user for good, in all threads. Who it is already, it stays.
pub fn become_user(name: &str) -> Result<(), PrivilegeError> {
    let user = || name.to_owned();
    let found = User::from_name(name)
        .map_err(|error| PrivilegeError::Lookup { user: user(), source: error.into() })?;
    let found = found.ok_or_else(|| PrivilegeError::Unknown { user: user() })?;
    let now = geteuid();
    if now == found.uid {
        return Ok(());
    }
    if !now.is_root() {
        return Err(PrivilegeError::NotRoot { user: user(), uid: now.as_raw() });
    }
    let refused = |source: io::Error| PrivilegeError::Refused { user: user(), source };
    let c_name = CString::new(name).map_err(|error| refused(error.into()))?;
    // In this order: who is not root any more cannot change its groups.
    initgroups(&c_name, found.gid).map_err(|error| refused(error.into()))?;
    setgid(found.gid).map_err(|error| refused(error.into()))?;
    setuid(found.uid).map_err(|error| refused(error.into()))?;
    // Somebody who can go back has given up nothing.
    match found.uid.is_root() || setuid(0.into()).is_err() {
        true => Ok(()),
        false => Err(refused(io::Error::other("root's privileges could be taken back"))),
    }
}

/// No crash writes the secrets of this process into a file, and no other process of its user reads its
/// memory.
pub fn forbid_core_dumps() -> Result<(), PrivilegeError> {
    let limit = getrlimit(Resource::Core);
    let none = Rlimit { current: Some(0), maximum: limit.maximum };
    setrlimit(Resource::Core, none).map_err(|error| PrivilegeError::Dumps(error.into()))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| PrivilegeError::Dumps(error.into()))
}
