//! `tidegate wal fetch`: a restored server gets its log by it.

use super::reign::Of;
use crate::app::backup::Kit;
use crate::backup::{Store, StoreError, WalFile};
use crate::config;
use clap::{Args, Subcommand};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Files of the archived log.
#[derive(Debug, Subcommand)]
pub(super) enum Wal {
    /// Fetch one file of the log, as PostgreSQL's restore_command. Exit code 1: it is not there;
    /// above 125: nobody knows, so that recovery stops instead of ending too early
    Fetch(Fetch),
}

#[derive(Debug, Args)]
pub(super) struct Fetch {
    #[command(flatten)]
    of: Of,
    /// The name of the file: %f
    file: String,
    /// Where to put it: %p
    to: PathBuf,
}

/// PostgreSQL takes 1 to 125 for "not there", which ends recovery.
const NOT_THERE: u8 = 1;
const UNKNOWN: u8 = 200;

/// How often a store that fails is asked again.
const AGAIN: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];

pub(super) fn fetch(fetch: &Fetch) -> ExitCode {
    match try_fetch(fetch) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_THERE),
        Err(why) => {
            eprintln!("tidegate: {why}");
            ExitCode::from(UNKNOWN)
        }
    }
}

/// False: it is not there.
fn try_fetch(fetch: &Fetch) -> Result<bool, String> {
    let config = config::load(&fetch.of.config).map_err(|problems| problems.to_string())?;
    let kit = Kit::open(&config.settings, &fetch.of.cluster).map_err(|e| e.to_string())?;
    if WalFile::parse(&fetch.file).is_none() {
        return Ok(false);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    match runtime.block_on(get(&kit.store, &fetch.file)) {
        Ok(bytes) => {
            let put = put(&fetch.to, &bytes);
            put.map(|()| true).map_err(|e| format!("cannot write {}: {e}", fetch.to.display()))
        }
        Err(StoreError::Missing { .. }) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

async fn get(store: &Store, file: &str) -> Result<bytes::Bytes, StoreError> {
    for pause in AGAIN {
        match store.log_file(file).await {
            Err(error @ StoreError::Io { .. }) => eprintln!("tidegate: {error}; asked again"),
            done => return done,
        }
        tokio::time::sleep(pause).await;
    }
    store.log_file(file).await
}

/// As a whole or not at all.
fn put(to: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = to.with_extension("part");
    let mut file = fs::File::create(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, to)
}
