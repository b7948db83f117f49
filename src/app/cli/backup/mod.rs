//! `tidegate backup …`: takes backups, looks at them, restores them. A running proxy is not needed.

mod now;
mod restore;
mod show;

use super::reign::Of;
use super::{check, print};
use crate::app::backup::{Kit, Trouble};
use crate::app::run::runtime;
use crate::backup::{BackupId, Entry, Listed, RunError, Store, StoreError, prune};
use crate::config::{self, Config};
use crate::pg::backup::{RestoreError, verify};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use std::future::Future;
use std::process::ExitCode;
use thiserror::Error;

/// Take backups, look at them, restore them.
#[derive(Debug, Subcommand)]
pub(super) enum Backup {
    /// Take a backup now
    Now(Common),
    /// All backups of a cluster
    List(Common),
    /// All that is known of a backup
    Show(Named),
    /// Read a backup as a whole: checksums, every file, and the log
    Verify(Named),
    /// Make a data directory of a backup, recovered as far as wanted when a server starts on it
    Restore(restore::Restore),
    /// Delete what the policy does not keep
    Prune {
        #[command(flatten)]
        common: Common,
        /// Only say what would be kept and what deleted, and why
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep a backup whatever the policy says
    Hold {
        #[command(flatten)]
        named: Named,
        /// Why
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Leave a backup to the policy again
    Release(Named),
}

#[derive(Debug, Args)]
pub(super) struct Common {
    #[command(flatten)]
    of: Of,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    #[command(flatten)]
    common: Common,
    /// The backup; default: the newest
    #[arg(long, value_name = "ID")]
    backup: Option<String>,
}

/// Why a command failed.
#[derive(Debug, Error)]
enum Failed {
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error("{0} is no name of a backup\nhint: tidegate backup list has them")]
    NoName(String),
    #[error("there is no backup yet\nhint: tidegate backup now takes one")]
    None,
    #[error("{says}\nhint: {hint}")]
    Asked { says: String, hint: String },
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What is printed: for people, and for programs.
struct Answer {
    words: String,
    json: serde_json::Value,
}

pub(super) fn backup(what: &Backup) -> ExitCode {
    match what {
        Backup::Now(common) => with(common, |config| now::now(config, common)),
        Backup::List(common) => with(common, |config| show::list(config, common)),
        Backup::Show(named) => with(&named.common, |config| show::show(config, named)),
        Backup::Verify(named) => with(&named.common, |config| check_one(config, named)),
        Backup::Restore(wanted) => with(&wanted.common, |config| restore::restore(config, wanted)),
        Backup::Prune { common, dry_run } => {
            with(common, |config| prune_all(config, common, *dry_run))
        }
        Backup::Hold { named, why } => with(&named.common, |config| hold(config, named, Some(why))),
        Backup::Release(named) => with(&named.common, |config| hold(config, named, None)),
    }
}

/// Reads the configuration, does it, prints the answer.
fn with<F>(common: &Common, work: impl FnOnce(Config) -> F) -> ExitCode
where
    F: Future<Output = Result<Answer, Failed>>,
{
    let config = match config::load(&common.of.config) {
        Ok(config) => config,
        Err(problems) => return check::print_problems(&problems),
    };
    let done = match runtime() {
        Ok(runtime) => runtime.block_on(work(config)),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(answer) if common.json => print(&format!("{:#}\n", answer.json)),
        Ok(answer) => print(&answer.words),
        Err(failed) => {
            eprintln!("tidegate: {failed}");
            ExitCode::FAILURE
        }
    }
}

fn kit<'a>(config: &'a Config, common: &'a Common) -> Result<Kit<'a>, Failed> {
    Ok(Kit::open(&config.settings, &common.of.cluster)?)
}

/// The backup that is meant.
async fn meant(store: &Store, named: Option<&str>) -> Result<Entry, Failed> {
    match named {
        Some(name) => {
            let id = BackupId::parse(name).ok_or_else(|| Failed::NoName(name.into()))?;
            match store.entry(&id).await {
                Err(StoreError::Missing { .. }) => Err(Failed::NoName(name.into())),
                found => Ok(found?),
            }
        }
        None => {
            let newest: Option<Listed> = store.backups().await?.pop();
            newest.map(|listed| listed.entry).ok_or(Failed::None)
        }
    }
}

async fn check_one(config: Config, named: &Named) -> Result<Answer, Failed> {
    let kit = kit(&config, &named.common)?;
    let entry = meant(&kit.store, named.backup.as_deref()).await?;
    let verified = verify(&kit.store, &entry).await?;
    let log = match &verified.log_until {
        Some(file) => format!("the archived log goes on without a hole up to {file}"),
        None => "no archived log goes on from it".to_owned(),
    };
    let words = format!(
        "backup {} is good: {} files in {} objects, {} read; {log}\n",
        entry.id,
        verified.files,
        verified.objects,
        show::size(verified.bytes)
    );
    Ok(Answer { words, json: json!({ "backup": entry.id, "verified": verified }) })
}

async fn hold(config: Config, named: &Named, why: Option<&str>) -> Result<Answer, Failed> {
    let kit = kit(&config, &named.common)?;
    let id = meant(&kit.store, named.backup.as_deref()).await?.id;
    kit.store.hold(&id, why).await?;
    let words = match why {
        Some(_) => format!("backup {id} is kept until it is released\n"),
        None => format!("backup {id} is left to the policy\n"),
    };
    Ok(Answer { words, json: json!({ "backup": id, "held": why }) })
}

async fn prune_all(config: Config, common: &Common, dry: bool) -> Result<Answer, Failed> {
    let kit = kit(&config, common)?;
    let now = (Timestamp::now(), &TimeZone::UTC);
    let pruned = prune(&kit.store, &kit.settings.keep, now, dry).await?;
    let mut words = String::new();
    let mut list = Vec::new();
    for verdict in &pruned.plan.verdicts {
        let because: Vec<String> = verdict.keep.iter().map(ToString::to_string).collect();
        words.push_str(&match because.is_empty() {
            true => format!("delete {}: nothing asks for it\n", verdict.id),
            false => format!("keep   {}: {}\n", verdict.id, because.join("; ")),
        });
        list.push(json!({ "backup": verdict.id, "keep": because }));
    }
    for id in &pruned.garbage {
        words.push_str(&format!("delete {id}: a backup that was never finished\n"));
    }
    let log = pruned.log_files.len();
    if log > 0 {
        words.push_str(&format!("delete {log} files of the log before the recovery window\n"));
    }
    if dry {
        words.push_str("nothing was done\n");
    }
    let json = json!({
        "dry_run": dry, "backups": list, "unfinished": pruned.garbage, "log_files": pruned.log_files,
    });
    Ok(Answer { words, json })
}
