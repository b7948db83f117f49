//! The record as a file: replaced as a whole, durable before anybody acts on it, and kept by one
//! process at a time.

use super::report::Event;
use super::term::Record;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Why the state cannot be kept.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("cannot {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "another process keeps the state in {path}\nhint: one Tidegate for each state_dir; stop the \
         other one, or give this one a folder of its own"
    )]
    Held { path: PathBuf },
    #[error("{path} is not a record of this release: {cause}")]
    Nonsense { path: PathBuf, cause: String },
    #[error("{path} holds term {kept}, newer than term {offered} that was to be written")]
    GoesBack { path: PathBuf, kept: u64, offered: u64 },
}

/// All that is kept of a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    pub record: Record,
    pub events: Vec<Event>,
}

/// Keeps the state of one cluster. Whatever it answered to is durable.
pub trait Ledger: Send + Sync + 'static {
    fn save(&mut self, state: &State) -> Result<(), StoreError>;
}

/// The folder of the state, locked as long as this lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be, and locks it.
    pub fn open(path: &Path) -> Result<Arc<Folder>, StoreError> {
        let failed = |what| move |source| StoreError::Io { what, path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed("make"))?;
        let lock = path.join("lock");
        let mut how = OpenOptions::new();
        how.create(true).truncate(false).write(true).mode(0o600);
        let file = how.open(&lock).map_err(failed("open the lock in"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Arc::new(Folder { path: path.to_owned(), _lock: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Held { path: path.to_owned() }),
            Err(error) => Err(failed("lock")(error.into())),
        }
    }

    /// The file of this cluster, and what it holds.
    pub fn cluster(
        self: &Arc<Folder>,
        name: &str,
    ) -> Result<(FileLedger, Option<State>), StoreError> {
        let path = record_file(&self.path, name);
        let state = read(&path)?;
        let term = state.as_ref().map_or(0, |state| state.record.term.0);
        Ok((FileLedger { _folder: self.clone(), path, term }, state))
    }
}

/// Where the record of a cluster is.
pub fn record_file(state_dir: &Path, cluster: &str) -> PathBuf {
    state_dir.join(format!("{cluster}.term.json"))
}

/// The state of one cluster as a file.
#[derive(Debug)]
pub struct FileLedger {
    _folder: Arc<Folder>,
    path: PathBuf,
    term: u64,
}

impl Ledger for FileLedger {
    fn save(&mut self, state: &State) -> Result<(), StoreError> {
        let path = self.path.clone();
        let offered = state.record.term.0;
        if offered < self.term {
            return Err(StoreError::GoesBack { path, kept: self.term, offered });
        }
        replace(&path, state).map_err(|source| StoreError::Io { what: "write", path, source })?;
        self.term = offered;
        Ok(())
    }
}

/// Temporary file, fsync, rename, fsync of the folder.
fn replace(path: &Path, state: &State) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(state)?;
    let new = path.with_extension("new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn read(path: &Path) -> Result<Option<State>, StoreError> {
    let mut text = String::new();
    match File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(StoreError::Io { what: "read", path: path.to_owned(), source });
        }
    }
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| StoreError::Nonsense { path: path.to_owned(), cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::super::term::Term;
    use super::*;

    fn state(term: u64) -> State {
        let seat = ("a".into(), 7, 1);
        let record = Record::adopt("orders".into(), "me".into(), Term(term), seat);
        State { record, events: Vec::new() }
    }

    #[test]
    fn what_was_saved_is_read_again_and_a_term_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let open = Folder::open(folder.path()).unwrap();
        let (mut ledger, before) = open.cluster("orders").unwrap();
        assert!(before.is_none());
        ledger.save(&state(3)).unwrap();
        let error = ledger.save(&state(2)).unwrap_err();
        assert!(matches!(error, StoreError::GoesBack { kept: 3, offered: 2, .. }), "{error}");
        let (mut again, kept) = open.cluster("orders").unwrap();
        assert_eq!(kept.unwrap().record, state(3).record);
        assert!(again.save(&state(1)).is_err());
    }

    #[test]
    fn one_process_at_a_time_keeps_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let open = Folder::open(folder.path()).unwrap();
        let error = Folder::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("another process keeps the state"), "{error}");
        drop(open);
        Folder::open(folder.path()).unwrap();
    }

    #[test]
    fn a_file_that_is_no_record_is_an_error_and_not_a_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("orders.term.json"), "{}").unwrap();
        let open = Folder::open(folder.path()).unwrap();
        assert!(matches!(open.cluster("orders"), Err(StoreError::Nonsense { .. })));
    }
}
