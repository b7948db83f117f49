//! A test restore: the only proof that a backup can be restored.
//!
//! ```text
//! store ── restore ──► scratch folder ── server starts, recovers ── probe ── amcheck ── stop ── checksums
//!   └──── archived log ──►┘                                                                        │
//!   ◄──────────────────────────────────── Proof ◄──────────────────────────────────────────────────┘
//! ```
//!
//! The server is a stranger to everything else: it listens nowhere, archives nothing, subscribes to
//! nothing, and loads no library that could act on its own.

mod checks;
mod scratch;

use super::recovery::Target;
use super::restore::{RestoreError, Wanted, restore};
use super::unpack::Owner;
use super::verify::archived_until;
use crate::backup::{Check, Entry, Point, Proof, Segment, Store, StoreError, WalFile};
use crate::lab::LabError;
use crate::lab::postgres::{Adopted, Adoption, How, Programs};
use crate::topology::{Lsn, Timeline};
use jiff::Timestamp;
use scratch::Scratch;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How a backup is tested.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The folder in which it is restored into one of its own.
    pub scratch: PathBuf,
    /// Where the server's programs are; `None`: where Debian's packages have them.
    pub programs: Option<PathBuf>,
    /// Whether the archived log is replayed to its end, and not only that of the backup.
    pub log: bool,
    /// Bytes a second that are written; 0: as many as come.
    pub max_rate: u64,
    /// How long all of it may take.
    pub patience: Duration,
    /// A superuser of the server.
    pub user: String,
    pub probe: Option<Probe>,
    pub amcheck: bool,
    /// Further settings of the server.
    pub settings: Vec<(String, String)>,
}

/// The operator's own question.
#[derive(Clone, Debug)]
pub struct Probe {
    pub database: String,
    pub sql: String,
    /// The first column of the first row.
    pub expect: String,
}

/// Why no test could begin. It says nothing about the backup.
#[derive(Debug, Error)]
pub enum ProveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Programs(#[from] LabError),
    #[error("{0:?} is no version of PostgreSQL")]
    Version(String),
    #[error(
        "{path} has {free} MiB left, and the test needs {needed}\nhint: \
         clusters.NAME.backup.test.scratch may be on another disk"
    )]
    Room { path: PathBuf, free: u64, needed: u64 },
    #[error("{path} is in use by another test\nhint: one at a time; try again when it is done")]
    Busy { path: PathBuf },
    #[error("cannot {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

/// Why a backup is not proven.
#[derive(Debug, Error)]
enum Refuted {
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error("cannot read {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("recovery ended at {reached}, before {least}")]
    TooEarly { reached: Lsn, least: Lsn },
    #[error("{name}: {says}")]
    Check { name: &'static str, says: String },
    #[error("it took longer than {0:?}")]
    Late(Duration),
}

/// Restores a backup aside and tries it. What was found, good or bad, is stored beside the backup.
pub async fn prove(store: &Store, entry: &Entry, trial: &Trial) -> Result<Proof, ProveError> {
    let version = entry.version.split('.').next().and_then(|major| major.parse().ok());
    let version = version.ok_or_else(|| ProveError::Version(entry.version.clone()))?;
    let programs = Programs::of(trial.programs.as_deref(), version).await?;
    let archived = match trial.log {
        true => log_behind(store, entry).await?,
        false => Vec::new(),
    };
    let scratch = Scratch::claim(&trial.scratch, entry.system, programs.owner())?;
    scratch.has_room(entry.raw + archived.len() as u64 * entry.segment)?;
    let mut test = Test { store, entry, trial, programs, archived, scratch, proof: blank(entry) };
    let done = tokio::time::timeout(trial.patience, test.run()).await;
    let done = done.unwrap_or(Err(Refuted::Late(trial.patience)));
    test.proof.failure = done.err().map(|refuted| refuted.to_string());
    test.proof.finished = Timestamp::now();
    store.put_proof(&test.proof).await?;
    Ok(test.proof)
}

fn blank(entry: &Entry) -> Proof {
    let now = Timestamp::now();
    Proof {
        format: 1,
        backup: entry.id.clone(),
        began: now,
        finished: now,
        restored_ms: None,
        recovered_ms: None,
        reached: None,
        checks: Vec::new(),
        failure: None,
    }
}

/// Files of the archive that recovery may want: histories, and the log from the backup's start on.
async fn log_behind(store: &Store, entry: &Entry) -> Result<Vec<String>, StoreError> {
    let first = entry.first_segment().number;
    let mut files = store.log_files().await?;
    files.retain(|file| {
        let file = WalFile::parse(file);
        let segment = file.and_then(|file| file.segment(entry.segment));
        segment.map_or(file.is_some(), |segment| segment.number >= first)
    });
    Ok(files)
}

struct Test<'a> {
    store: &'a Store,
    entry: &'a Entry,
    trial: &'a Trial,
    programs: Programs,
    archived: Vec<String>,
    scratch: Scratch,
    proof: Proof,
}

impl Test<'_> {
    async fn run(&mut self) -> Result<(), Refuted> {
        let began = Instant::now();
        let millis = |began: Instant| u64::try_from(began.elapsed().as_millis()).ok();
        self.restore().await?;
        self.proof.restored_ms = millis(began);
        let settings = self.settings().await?;
        let data = self.scratch.data();
        let left = self.trial.patience.saturating_sub(began.elapsed());
        let how = Adoption { data: &data, settings, user: &self.trial.user, patience: left };
        let server = self.programs.start(how).await?;
        self.proof.recovered_ms = millis(began);
        self.reached(&server).await?;
        self.checks(&server).await?;
        server.node().stop(How::Fast).await;
        drop(server);
        self.page_checksums().await
    }

    fn note(&mut self, name: &str, says: impl Into<String>) {
        self.proof.checks.push(Check { name: name.to_owned(), says: says.into() });
    }

    async fn restore(&mut self) -> Result<(), Refuted> {
        for file in &self.archived {
            let bytes = self.store.log_file(file).await?;
            self.scratch.put_log(file, &bytes)?;
        }
        let owner = self.programs.owner();
        let owner = owner.map_or(Owner::Us, |(user, group)| Owner::These(user, group));
        let spaces = self.entry.tablespaces.iter();
        let wanted = Wanted {
            to: self.scratch.data(),
            target: if self.trial.log { Target::Latest } else { Target::EndOfBackup },
            exclusive: false,
            timeline: None,
            tablespaces: spaces.map(|space| (space.oid, self.scratch.space(space.oid))).collect(),
            fetch: self.scratch.fetch_command(),
            owner,
            max_rate: self.trial.max_rate,
        };
        let restored = restore(self.store, self.entry, &wanted).await?;
        let archived = self.archived.len();
        self.note("files", format!("{} as the manifest has them", restored.files));
        self.note("log", format!("{} files, {archived} of the archive", restored.log_files));
        Ok(())
    }

    /// Of the server, so that it is alone with its data, and no longer than need be.
    async fn settings(&self) -> Result<Vec<(String, String)>, Refuted> {
        let data = self.scratch.data().display().to_string();
        let control = self.programs.run("pg_controldata", &["-D", &data]).await?;
        // Prepared transactions of the backup need room.
        let prepared = checks::of_control(&control, "max_prepared_xacts setting").unwrap_or("0");
        let config = self.scratch.empty_config()?.display().to_string();
        let fixed = [
            ("config_file", config.as_str()),
            ("data_directory", &data),
            ("max_prepared_transactions", prepared),
            // Nobody is let in before recovery is over, whatever the limits of the primary were.
            ("hot_standby", "off"),
            ("archive_mode", "off"),
            ("archive_command", ""),
            ("ssl", "off"),
            ("logging_collector", "off"),
            ("log_destination", "stderr"),
            ("external_pid_file", ""),
            ("shared_buffers", "128MB"),
            ("huge_pages", "off"),
            ("max_connections", "20"),
            // Subscriptions and libraries would act on the world outside.
            ("max_logical_replication_workers", "0"),
            ("shared_preload_libraries", ""),
            ("session_preload_libraries", ""),
            ("autovacuum", "off"),
            ("jit", "off"),
            // These data are thrown away.
            ("fsync", "off"),
            ("full_page_writes", "off"),
        ];
        let fixed = fixed.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(fixed.into_iter().chain(self.trial.settings.iter().cloned()).collect())
    }

    /// Where recovery ended: it must have used all that there is.
    async fn reached(&mut self, server: &Adopted) -> Result<(), Refuted> {
        let file = server.node().value("SELECT pg_walfile_name(pg_current_wal_lsn())").await?;
        let path = self
            .scratch
            .data()
            .join("pg_wal")
            .join(format!("{}.history", file.get(..8).unwrap_or_default()));
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| Refuted::Io { path: path.clone(), source })?;
        let point = last_switch(&text).ok_or_else(|| Refuted::Check {
            name: "recovery",
            says: format!("{} tells no end", path.display()),
        })?;
        self.proof.reached = Some(point);
        let least = self.least();
        if point.lsn < least {
            return Err(Refuted::TooEarly { reached: point.lsn, least });
        }
        self.note("recovery", format!("to {}", point.lsn));
        Ok(())
    }

    fn least(&self) -> Lsn {
        let last = archived_until(self.entry, &self.archived);
        // Its last record may go on behind it, and then the one before was the last.
        let before = last.map(|last| Segment { number: last.number.saturating_sub(1), ..last });
        before.map_or(self.entry.end.lsn, |before| before.start().max(self.entry.end.lsn))
    }
}

/// The last line of a timeline's history: where the one before ended.
///
/// Source: PostgreSQL's `timeline.c`.
fn last_switch(history: &str) -> Option<Point> {
    let line = history.lines().rfind(|line| !line.trim().is_empty() && !line.starts_with('#'))?;
    let mut words = line.split_whitespace();
    let timeline = Timeline(words.next()?.parse().ok()?);
    Some(Point { timeline, lsn: words.next()?.parse().ok()? })
}

fn io_error<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ProveError + 'a {
    move |source| ProveError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_recovery_is_where_the_new_timeline_begins() {
        let text = "1\t0/3000060\tno recovery target specified\n\n2\t0/5000028\tbefore x\n";
        let point = Point { timeline: Timeline(2), lsn: Lsn(0x500_0028) };
        assert_eq!(last_switch(text), Some(point));
        assert_eq!(last_switch("\n"), None);
    }
}
