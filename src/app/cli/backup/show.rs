//! `tidegate backup list` and `show`.

use super::{Answer, Common, Failed, Named, kit, meant};
use crate::backup::{Listed, Proof};
use crate::config::Config;
use comfy_table::{Table, presets};
use indicatif::HumanDuration;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

pub(super) async fn list(config: Config, common: &Common) -> Result<Answer, Failed> {
    let kit = kit(&config, common)?;
    let backups = kit.store.backups().await?;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    const COLUMNS: [&str; 9] =
        ["backup", "node", "finished", "read", "stored", "timeline", "end", "held", "test"];
    table.set_header(COLUMNS);
    for Listed { entry, held, proof } in &backups {
        table.add_row([
            entry.id.to_string(),
            entry.node.clone(),
            entry.finished.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            size(entry.raw),
            size(entry.stored),
            entry.end.timeline.0.to_string(),
            entry.end.lsn.to_string(),
            held.clone().unwrap_or_default(),
            proof.as_ref().map(tested).unwrap_or_default(),
        ]);
    }
    let words = match backups.is_empty() {
        true => "there is no backup yet\n".to_owned(),
        false => format!("{}\n", table.trim_fmt()),
    };
    let one = |listed: &Listed| json!({ "entry": listed.entry, "held": listed.held, "proof": listed.proof });
    Ok(Answer { words, json: backups.iter().map(one).collect() })
}

/// Such as "proven 2 h ago in 41 s".
fn tested(proof: &Proof) -> String {
    let ago = Timestamp::now().duration_since(proof.finished);
    let ago = HumanDuration(Duration::try_from(ago).unwrap_or_default());
    match (&proof.failure, proof.recovered()) {
        (None, Some(time)) => format!("proven {ago:#} ago in {time:.1?}"),
        (None, None) => format!("proven {ago:#} ago"),
        (Some(_), _) => format!("failed {ago:#} ago"),
    }
}

pub(super) async fn show(config: Config, named: &Named) -> Result<Answer, Failed> {
    let kit = kit(&config, &named.common)?;
    let entry = meant(&kit.store, named.backup.as_deref()).await?;
    let contents = kit.store.contents(&entry).await?;
    let listed = kit.store.backups().await?.into_iter().find(|listed| listed.entry.id == entry.id);
    let proof = listed.and_then(|listed| listed.proof);
    let took = entry.finished.duration_since(entry.started);
    let log: Vec<&str> = contents.wal.iter().map(|piece| piece.file()).collect();
    let mut words = format!(
        "backup    {}\nof        node {} ({}), PostgreSQL {}, system {}\nbegan     {}, took {took:#}\n\
         log       from {} to {} on timeline {}\nsize      {} read, {} stored in {} objects\n\
         log files {}\n",
        entry.id,
        entry.node,
        entry.because,
        entry.version,
        entry.system,
        entry.started.strftime("%Y-%m-%d %H:%M:%SZ"),
        entry.start.lsn,
        entry.end.lsn,
        entry.end.timeline.0,
        size(entry.raw),
        size(entry.stored),
        contents.objects().count(),
        log.join(", "),
    );
    for tablespace in &entry.tablespaces {
        let line = format!("tablespace {} was at {}\n", tablespace.oid, tablespace.location);
        words.push_str(&line);
    }
    if let Some(key) = &entry.key {
        words.push_str(&format!("encrypted with key {key}\n"));
    }
    if let Some(proof) = &proof {
        words.push_str(&format!("test      {}\n", proof.words().join("\n          ")));
    }
    let json = json!({ "entry": entry, "contents": contents, "proof": proof });
    Ok(Answer { words, json })
}
