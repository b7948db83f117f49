//! Whether a backup could be restored, found out without restoring it.

use super::manifest::{Manifest, ManifestError};
use super::restore::RestoreError;
use super::unpack::unpack;
use crate::backup::{Contents, Entry, PieceReader, Segment, Store, WalFile};
use crate::topology::Timeline;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub files: usize,
    pub objects: usize,
    /// Bytes that were read and uncompressed.
    pub bytes: u64,
    /// The archive of the log goes on behind the backup without a hole up to this file; `None`: there
    /// is nothing in it that goes on from here.
    pub log_until: Option<String>,
}

/// Reads every object of a backup: its checksum, every file against the server's manifest, and the log.
pub async fn verify(store: &Store, entry: &Entry) -> Result<Verified, RestoreError> {
    let contents = store.contents(entry).await?;
    let piece = contents.manifest.as_ref().ok_or(ManifestError::Missing("the manifest".into()))?;
    let mut manifest = Manifest::parse(&store.piece(&entry.id, piece).await?)?;
    for archive in &contents.archives {
        let prefix = match archive.name.parse::<u32>() {
            Ok(oid) => format!("pg_tblspc/{oid}/"),
            Err(_) => String::new(),
        };
        let reader = PieceReader::start(store, &entry.id, archive.pieces.clone(), &Arc::default());
        let work = move || unpack(reader, &prefix, &mut manifest, None).map(|()| manifest);
        let done = tokio::task::spawn_blocking(work).await;
        manifest = done.map_err(|error| RestoreError::Unpack(error.to_string()))??;
    }
    let files = manifest.finish()?;
    for piece in &contents.wal {
        store.piece(&entry.id, piece).await?;
    }
    own_log(entry, &contents)?;
    let archived = store.log_files().await?;
    Ok(Verified {
        files,
        objects: contents.objects().count(),
        bytes: contents.objects().map(|piece| piece.raw).sum(),
        log_until: archived_until(entry, &archived).map(|segment| segment.to_string()),
    })
}

/// The log between start and end must be in the backup itself.
fn own_log(entry: &Entry, contents: &Contents) -> Result<(), RestoreError> {
    let has: BTreeSet<Segment> = contents
        .wal
        .iter()
        .filter_map(|piece| WalFile::parse(piece.file())?.segment(entry.segment))
        .collect();
    let last = Segment::of(entry.end.timeline, entry.end.lsn, entry.segment);
    let first = entry.first_segment();
    // The last byte lies before the end.
    let end = if last.start() == entry.end.lsn { last.number } else { last.number + 1 };
    for number in first.number..end {
        let on = |timeline: u32| Segment { timeline: Timeline(timeline), number, ..first };
        if !(first.timeline.0..=last.timeline.0).any(|timeline| has.contains(&on(timeline))) {
            return Err(ManifestError::Missing(format!("wal/{}", on(first.timeline.0))).into());
        }
    }
    Ok(())
}

/// How far the archive goes on from the end of a backup without a hole, on whichever timeline.
pub(super) fn archived_until(entry: &Entry, archived: &[String]) -> Option<Segment> {
    let has: BTreeSet<(u64, u32)> = archived
        .iter()
        .filter_map(|file| WalFile::parse(file)?.segment(entry.segment))
        .map(|segment| (segment.number, segment.timeline.0))
        .collect();
    let first = Segment::of(entry.end.timeline, entry.end.lsn, entry.segment);
    let mut last = None;
    let mut least = entry.end.timeline.0;
    for number in first.number.. {
        // A timeline never goes back, so the highest that has it is the one that went on.
        let Some((_, timeline)) = has.range((number, least)..=(number, u32::MAX)).next_back()
        else {
            break;
        };
        least = *timeline;
        last = Some(Segment { timeline: Timeline(*timeline), number, ..first });
    }
    last
}
