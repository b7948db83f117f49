//! From a backup to a data directory that a server can be started on.

use super::manifest::{Manifest, ManifestError};
use super::recovery::{Orders, Target, auto_conf, shell};
use super::unpack::{Owner, To, UnpackError, unpack};
use crate::backup::{Contents, Entry, PieceReader, Store, StoreError, Throttle};
use crate::topology::{Lsn, Timeline};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Files that belong to the server that was backed up.
const STRIPPED: &[&str] = &["standby.signal", "recovery.signal", "postmaster.pid"];

/// What somebody wants to have restored.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where: absent or empty.
    pub to: PathBuf,
    pub target: Target,
    /// Stop before the target instead of behind it.
    pub exclusive: bool,
    /// `None`: the latest, or that of the backup if nothing else is wanted.
    pub timeline: Option<Timeline>,
    /// Where tablespaces go, by their OIDs: absent or empty folders.
    pub tablespaces: BTreeMap<u32, PathBuf>,
    /// The command that fetches a file of the log, without its name and where to put it.
    pub fetch: Vec<String>,
    pub owner: Owner,
    /// Bytes a second that are written; 0: as many as come.
    pub max_rate: u64,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub files: usize,
    /// Of the log, put beside the data.
    pub log_files: usize,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// Why nothing was restored, or not all of it.
#[derive(Debug, Error)]
pub enum RestoreError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "{path} is not empty\nhint: a backup is restored into a folder that is empty or absent, and never \
         over what is there"
    )]
    NotEmpty { path: PathBuf },
    #[error("cannot {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "tablespace {oid} was at {location}, and nobody said where it goes\nhint: --tablespace \
         {oid}=DIR"
    )]
    Tablespace { oid: u32, location: String },
    #[error("the backup has no tablespace {oid}")]
    NoTablespace { oid: u32 },
    #[error("{0}")]
    Unpack(String),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(
        "the backup's {file} is not what the catalogue says: {cause}\nhint: do not start a server on \
         what was restored; take another backup"
    )]
    Identity { file: &'static str, cause: String },
    #[error(
        "{target} lies before the end of the backup, {end}\nhint: choose an older backup; tidegate \
         backup list has them"
    )]
    TooEarly { target: String, end: String },
}

impl From<UnpackError> for RestoreError {
    fn from(error: UnpackError) -> RestoreError {
        RestoreError::Unpack(error.to_string())
    }
}

fn io<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> RestoreError + 'a {
    move |source| RestoreError::Io { what, path: path.to_owned(), source }
}

/// Restores a backup. What was written before an error stays, for somebody to look at.
pub async fn restore(
    store: &Store,
    entry: &Entry,
    wanted: &Wanted,
) -> Result<Restored, RestoreError> {
    possible(entry, wanted)?;
    let contents = store.contents(entry).await?;
    let piece = contents.manifest.as_ref().ok_or(ManifestError::Missing("the manifest".into()))?;
    let mut manifest = Manifest::parse(&store.piece(&entry.id, piece).await?)?;
    let throttle = Arc::new(Throttle::new(wanted.max_rate));
    prepare(&wanted.to)?;
    for folder in wanted.tablespaces.values() {
        prepare(folder)?;
    }
    for archive in &contents.archives {
        let oid: Option<u32> = archive.name.parse().ok();
        let folder = oid.and_then(|oid| wanted.tablespaces.get(&oid)).unwrap_or(&wanted.to);
        let to = To { folder: folder.clone(), owner: wanted.owner };
        let prefix = oid.map_or_else(String::new, |oid| format!("pg_tblspc/{oid}/"));
        let reader = PieceReader::start(store, &entry.id, archive.pieces.clone(), &throttle);
        let work = move || {
            let done = unpack(reader, &prefix, &mut manifest, Some(&to));
            done.map(|()| manifest)
        };
        let done = tokio::task::spawn_blocking(work).await;
        manifest = done.map_err(|error| RestoreError::Unpack(error.to_string()))??;
    }
    let files = manifest.finish()?;
    identity(entry, &wanted.to)?;
    let log_files = put_log(store, entry, &contents, &wanted.to).await?;
    let notes = settle(entry, wanted)?;
    if wanted.owner != Owner::Us {
        like_the_rest(wanted)?;
    }
    sync(&wanted.to)?;
    for folder in wanted.tablespaces.values() {
        sync(folder)?;
    }
    Ok(Restored { files, log_files, notes })
}

/// What can be said before anything is done.
fn possible(entry: &Entry, wanted: &Wanted) -> Result<(), RestoreError> {
    for tablespace in &entry.tablespaces {
        if !wanted.tablespaces.contains_key(&tablespace.oid) {
            let location = tablespace.location.clone();
            return Err(RestoreError::Tablespace { oid: tablespace.oid, location });
        }
    }
    for oid in wanted.tablespaces.keys() {
        if !entry.tablespaces.iter().any(|tablespace| tablespace.oid == *oid) {
            return Err(RestoreError::NoTablespace { oid: *oid });
        }
    }
    let early = match wanted.target {
        Target::Position(lsn) if lsn < entry.end.lsn => {
            Some((lsn.to_string(), entry.end.lsn.to_string()))
        }
        Target::Time(time) if time < entry.finished => {
            Some((time.to_string(), entry.finished.to_string()))
        }
        _ => None,
    };
    match early {
        Some((target, end)) => Err(RestoreError::TooEarly { target, end }),
        None => Ok(()),
    }
}

/// An empty folder that only its owner can enter.
fn prepare(folder: &Path) -> Result<(), RestoreError> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(RestoreError::NotEmpty { path: folder.to_owned() });
        }
        made => made.map_err(io("make", folder))?,
    }
    let mut there = fs::read_dir(folder).map_err(io("read", folder))?;
    if there.next().is_some() {
        return Err(RestoreError::NotEmpty { path: folder.to_owned() });
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(io("close", folder))
}

/// Without its label a restored server would start from the wrong place and say nothing.
fn identity(entry: &Entry, folder: &Path) -> Result<(), RestoreError> {
    let label = folder.join("backup_label");
    let text = fs::read_to_string(&label).map_err(io("read", &label))?;
    let wrong = |cause: String| RestoreError::Identity { file: "backup_label", cause };
    let start = text.lines().find_map(|line| line.strip_prefix("START WAL LOCATION: "));
    let start = start.and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    if start.parse() != Ok(entry.start.lsn) {
        return Err(wrong(format!("it starts at {start:?}, not at {}", entry.start.lsn)));
    }
    let control = folder.join("global/pg_control");
    let bytes = fs::read(&control).map_err(io("read", &control))?;
    let system = bytes.first_chunk::<8>().map(|bytes| u64::from_ne_bytes(*bytes));
    if system != Some(entry.system) {
        let cause = format!("it is of system {system:?}, not of {}", entry.system);
        return Err(RestoreError::Identity { file: "pg_control", cause });
    }
    Ok(())
}

async fn put_log(
    store: &Store,
    entry: &Entry,
    contents: &Contents,
    folder: &Path,
) -> Result<usize, RestoreError> {
    for piece in &contents.wal {
        let path = folder.join("pg_wal").join(piece.file());
        let bytes = store.piece(&entry.id, piece).await?;
        write(&path, &bytes)?;
    }
    Ok(contents.wal.len())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RestoreError> {
    let mut how = fs::OpenOptions::new();
    let file = how.create(true).truncate(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| io::Write::write_all(&mut file, bytes)).map_err(io("write", path))
}

/// Makes it a server of its own, which recovers as it is wanted to.
fn settle(entry: &Entry, wanted: &Wanted) -> Result<Vec<String>, RestoreError> {
    let folder = &wanted.to;
    for name in STRIPPED {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io("remove", &path)(error));
            }
            _ => {}
        }
    }
    let timeline = wanted.timeline.or(match wanted.target {
        Target::EndOfBackup => Some(entry.end.timeline),
        _ => None,
    });
    // Recovery insists on a command; all that the backup itself needs is there without it.
    let restore_command = match wanted.target {
        Target::EndOfBackup => "false".to_owned(),
        _ => shell(&wanted.fetch),
    };
    let exclusive = wanted.exclusive;
    let orders = Orders { target: wanted.target, exclusive, timeline, restore_command };
    let conf = folder.join("postgresql.auto.conf");
    let found = fs::read_to_string(&conf).unwrap_or_default();
    write(&conf, auto_conf(&found, &orders).as_bytes())?;
    write(&folder.join("recovery.signal"), b"")?;
    if !entry.tablespaces.is_empty() {
        let lines: String = wanted
            .tablespaces
            .iter()
            .map(|(oid, folder)| format!("{oid} {}\n", folder.display()))
            .collect();
        write(&folder.join("tablespace_map"), lines.as_bytes())?;
    }
    let mut notes = Vec::new();
    for name in ["postgresql.conf", "pg_hba.conf"] {
        if !folder.join(name).exists() {
            notes.push(format!(
                "{name} was outside of the data directory and is not in the backup: the server needs \
                 one, by config_file or in {}",
                folder.display()
            ));
        }
    }
    Ok(notes)
}

/// Root's files become those of the user that the server ran as.
fn like_the_rest(wanted: &Wanted) -> Result<(), RestoreError> {
    let version = wanted.to.join("PG_VERSION");
    let meta = fs::metadata(&version).map_err(io("read", &version))?;
    let give = |path: &Path| {
        chown(path, Some(meta.uid()), Some(meta.gid())).map_err(io("change the owner of", path))
    };
    let names = ["", "postgresql.auto.conf", "recovery.signal", "tablespace_map"];
    let own = names.iter().map(|name| wanted.to.join(name));
    let log = wanted.to.join("pg_wal");
    let logged = fs::read_dir(&log).map_err(io("read", &log))?.flatten().map(|file| file.path());
    let all = own.chain(logged).chain(wanted.tablespaces.values().cloned());
    all.filter(|path| path.exists()).try_for_each(|path| give(&path))
}

/// All of it is on the disk when this returns.
fn sync(folder: &Path) -> Result<(), RestoreError> {
    let open = fs::File::open(folder).map_err(io("open", folder))?;
    rustix::fs::syncfs(&open).map_err(|error| io("sync", folder)(error.into()))
}

/// What is wanted, in words.
impl Wanted {
    pub fn words(&self) -> String {
        let what = match self.target {
            Target::Latest => return "to the end of the archive".into(),
            Target::EndOfBackup => return "to the end of the backup".into(),
            Target::Time(time) => time.to_string(),
            Target::Position(lsn) => Lsn::to_string(&lsn),
            Target::Transaction(xid) => format!("transaction {xid}"),
        };
        format!("{} {what}", if self.exclusive { "to right before" } else { "up to and with" })
    }
}
