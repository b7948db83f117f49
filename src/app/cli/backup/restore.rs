//! `tidegate backup restore`: which backup, how far, and where to.

use super::{Answer, Common, Failed, kit, meant};
use crate::backup::{Entry, Store};
use crate::config::Config;
use crate::pg::backup::{Owner, Target, Wanted, restore as restore_to};
use crate::topology::{Lsn, Timeline};
use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::app::cli) struct Restore {
    #[command(flatten)]
    pub(super) common: Common,
    /// Where to: an empty or absent folder
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The backup; default: the newest that the target can be reached from
    #[arg(long, value_name = "ID")]
    backup: Option<String>,
    /// Recover up to this moment, such as "2026-11-21 10:00:00+00"
    #[arg(long, value_name = "TIME", group = "target")]
    at: Option<String>,
    /// Recover up to this position of the log, such as 16/B374D848
    #[arg(long, value_name = "LSN", group = "target")]
    position: Option<Lsn>,
    /// Recover up to and with this transaction
    #[arg(long, value_name = "XID", group = "target")]
    xid: Option<u32>,
    /// Recover with nothing but the log that is in the backup
    #[arg(long, group = "target")]
    only_backup: bool,
    /// Stop right before the target
    #[arg(long, requires = "target")]
    before: bool,
    /// Recover along this timeline instead of the latest
    #[arg(long, value_name = "NUMBER")]
    timeline: Option<u32>,
    /// Where a tablespace goes; again for each
    #[arg(long, value_name = "OID=DIR", value_parser = tablespace)]
    tablespace: Vec<(u32, PathBuf)>,
}

fn tablespace(text: &str) -> Result<(u32, PathBuf), String> {
    let wrong = || format!("{text:?} is not OID=DIR, such as 16384=/srv/space");
    let (oid, folder) = text.split_once('=').ok_or_else(wrong)?;
    let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
    Ok((oid.parse().map_err(|_| wrong())?, folder))
}

impl Restore {
    fn target(&self) -> Result<Target, Failed> {
        if let Some(text) = &self.at {
            let time: Result<Timestamp, _> = text.parse();
            return time.map(Target::Time).map_err(|error| Failed::Asked {
                says: format!("{text:?} is no moment: {error}"),
                hint: "with its offset: \"2026-11-21 10:00:00+00\"".into(),
            });
        }
        Ok(match (self.position, self.xid) {
            (Some(lsn), _) => Target::Position(lsn),
            (_, Some(xid)) => Target::Transaction(xid),
            _ if self.only_backup => Target::EndOfBackup,
            _ => Target::Latest,
        })
    }
}

/// The newest backup that has ended before the target.
async fn reaching(store: &Store, target: Target) -> Result<Entry, Failed> {
    let backups = store.backups().await?;
    if backups.is_empty() {
        return Err(Failed::None);
    }
    let early = |entry: &Entry| match target {
        Target::Time(time) => entry.finished <= time,
        Target::Position(lsn) => entry.end.lsn <= lsn,
        _ => true,
    };
    let found = backups.into_iter().rev().map(|listed| listed.entry).find(early);
    found.ok_or_else(|| Failed::Asked {
        says: "every backup is younger than what is wanted".into(),
        hint: "tidegate backup list tells when each ended".into(),
    })
}

pub(super) async fn restore(config: Config, asked: &Restore) -> Result<Answer, Failed> {
    let kit = kit(&config, &asked.common)?;
    let target = asked.target()?;
    let entry = match &asked.backup {
        Some(name) => meant(&kit.store, Some(name)).await?,
        None => reaching(&kit.store, target).await?,
    };
    let wanted = Wanted {
        to: std::path::absolute(&asked.to)?,
        target,
        exclusive: asked.before,
        timeline: asked.timeline.map(Timeline),
        tablespaces: BTreeMap::from_iter(asked.tablespace.iter().cloned()),
        fetch: kit.fetch_command(&asked.common.of.config)?,
        owner: Owner::recorded(),
        max_rate: 0,
    };
    let restored = restore_to(&kit.store, &entry, &wanted).await?;
    let to = wanted.to.display();
    let mut words = format!(
        "backup {} is in {to}: {} files, {} of the log\na server that starts on it recovers {}\n",
        entry.id,
        restored.files,
        restored.log_files,
        wanted.words()
    );
    for note in &restored.notes {
        words.push_str(&format!("note: {note}\n"));
    }
    let json = json!({
        "backup": entry.id, "to": wanted.to, "files": restored.files,
        "log_files": restored.log_files, "notes": restored.notes,
    });
    Ok(Answer { words, json })
}
