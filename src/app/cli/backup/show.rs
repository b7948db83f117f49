//! `tidegate backup list` and `show`.

use super::{Answer, Common, Failed, Named, kit, meant};
use crate::backup::Listed;
use crate::config::Config;
use comfy_table::{Table, presets};
use serde_json::json;

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

pub(super) async fn list(config: Config, common: &Common) -> Result<Answer, Failed> {
    let kit = kit(&config, common)?;
    let backups = kit.store.backups().await?;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["backup", "node", "finished", "read", "stored", "timeline", "end", "held"]);
    for Listed { entry, held } in &backups {
        table.add_row([
            entry.id.to_string(),
            entry.node.clone(),
            entry.finished.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            size(entry.raw),
            size(entry.stored),
            entry.end.timeline.0.to_string(),
            entry.end.lsn.to_string(),
            held.clone().unwrap_or_default(),
        ]);
    }
    let words = match backups.is_empty() {
        true => "there is no backup yet\n".to_owned(),
        false => format!("{}\n", table.trim_fmt()),
    };
    let one = |listed: &Listed| json!({ "entry": listed.entry, "held": listed.held });
    Ok(Answer { words, json: backups.iter().map(one).collect() })
}

pub(super) async fn show(config: Config, named: &Named) -> Result<Answer, Failed> {
    let kit = kit(&config, &named.common)?;
    let entry = meant(&kit.store, named.backup.as_deref()).await?;
    let contents = kit.store.contents(&entry).await?;
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
    Ok(Answer { words, json: json!({ "entry": entry, "contents": contents }) })
}
