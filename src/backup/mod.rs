//! Base backups and the archive of the log: what is stored, where, how long, and which node it is
//! taken from.
//!
//! ```text
//! Snapshot ── choose ──► node ── Source (an engine) ── Draft ──► Store
//!                                                        │  pieces: compressed, with checksums
//!                          retain ◄── catalogue ◄────────┘  last: one object of the catalogue
//! ```
//!
//! [`choose`], [`retain`] and the names of objects are pure. A backup is there when its object in the
//! catalogue is, which is written last, and only if nobody wrote it before.
//! With keys everything but the catalogue is encrypted ([`Keyring`]).

mod catalog;
mod choose;
mod draft;
mod hooks;
mod id;
mod lag;
mod late;
mod objects;
mod progress;
mod proof;
mod prune;
mod read;
mod retain;
mod run;
mod schedule;
mod seal;
mod settings;
mod store;
mod throttle;
mod wal;

pub use catalog::{Archive, Contents, Entry, Listed, Piece, Point, Tablespace};
pub use choose::{Choice, NoNode, Wishes, choose};
pub use draft::{ArchiveWriter, Draft};
pub use hooks::{Event, Hooks, Teller};
pub use id::BackupId;
pub use lag::watch_lag;
pub use late::Safe;
pub use progress::Progress;
pub use proof::{Check, Proof};
pub use prune::{Pruned, prune};
pub use read::PieceReader;
pub use retain::{Plan, Reason, Verdict, retain};
pub use run::{Copied, CopyError, Job, RunError, Source, run};
pub use schedule::Schedule;
pub use seal::{DataKey, Keyring, SealError, read_key};
pub use settings::{From, Keep, Settings};
pub use store::{Store, StoreError};
pub use throttle::Throttle;
pub use wal::{Segment, WalFile};
