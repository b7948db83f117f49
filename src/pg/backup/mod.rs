//! Base backups and the log of PostgreSQL servers, by our own end of the replication protocol.
//!
//! ```text
//! node ─ BASE_BACKUP ── copy ──┐
//!                              ├── Draft ── store ── restore ── a data directory ── recovery
//! node ─ START_REPLICATION ────┘                                                      │
//!              └──────────────── archive ── store ──────────── tidegate wal fetch ◄───┘
//! ```

mod archive;
mod copy;
mod line;
mod manifest;
mod prove;
mod recovery;
mod restore;
mod resume;
mod settings;
mod source;
mod statement;
mod stream;
mod unpack;
mod verify;

pub use archive::{Archived, Archiver};
pub use manifest::ManifestError;
pub use prove::{Probe, ProveError, Trial, prove};
pub use recovery::Target;
pub use restore::{RestoreError, Restored, Wanted, restore};
pub use settings::Reach;
pub use source::PgSource;
pub use unpack::Owner;
pub use verify::{Verified, verify};
