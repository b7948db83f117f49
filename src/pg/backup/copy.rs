//! BASE_BACKUP: what the server sends, put into a draft.

use super::line::{Line, LineError, Row, parsed, unexpected};
use super::statement::{OPTIONS_IN_PARENTHESES, base_backup};
use crate::backup::{Archive, ArchiveWriter, Draft, Piece, Point, StoreError, Tablespace};
use crate::pg::wire::cstr;
use crate::topology::Timeline;
use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// The manifest of a server with millions of files is some hundreds of megabytes.
const MANIFEST: usize = 1 << 30;

/// Why a copy failed: the server, or the store.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A base backup that has begun.
pub(super) struct BaseBackup {
    line: Line,
    version: u32,
    pub(super) start: Point,
    pub(super) tablespaces: Vec<Tablespace>,
}

/// What came of it.
pub(super) struct Base {
    pub(super) archives: Vec<Archive>,
    pub(super) manifest: Piece,
    pub(super) end: Point,
    pub(super) tablespaces: Vec<Tablespace>,
}

impl BaseBackup {
    /// Resolves when the server has begun: the log is needed from `start` on.
    pub(super) async fn begin(
        mut line: Line,
        version: u32,
        draft: &Draft,
    ) -> Result<BaseBackup, LineError> {
        line.command(&base_backup(version, &format!("tidegate {}", draft.id))).await?;
        let start = point(&line.rows().await?)?;
        let mut tablespaces = Vec::new();
        let mut expected = 0;
        for row in line.rows().await? {
            let kilobytes: u64 = parsed(&row, 2, "size")?;
            expected += kilobytes * 1024;
            // The data directory itself is the one without a name.
            if row.first().is_some_and(Option::is_some) {
                let location = row.get(1).cloned().flatten().unwrap_or_default();
                tablespaces.push(Tablespace { oid: parsed(&row, 0, "tablespace")?, location });
            }
        }
        draft.progress.expect(expected);
        Ok(BaseBackup { line, version, start, tablespaces })
    }

    /// Stores all of it.
    pub(super) async fn store(mut self, draft: &Draft) -> Result<Base, Failure> {
        let (archives, manifest) = match self.version < OPTIONS_IN_PARENTHESES {
            true => self.many_copies(draft).await?,
            false => self.one_copy(draft).await?,
        };
        let end = point(&self.line.rows().await?)?;
        loop {
            match self.line.next().await? {
                (b'C', _) => {}
                (b'Z', _) => break,
                (tag, _) => return Err(unexpected(tag).into()),
            }
        }
        let manifest = draft.object("manifest", manifest).await?;
        Ok(Base { archives, manifest, end, tablespaces: self.tablespaces })
    }

    /// Before 15: a copy for each tablespace, the data directory's last, and one for the manifest.
    async fn many_copies(&mut self, draft: &Draft) -> Result<(Vec<Archive>, Bytes), Failure> {
        let names = self.tablespaces.iter().map(|tablespace| tablespace.oid.to_string());
        let mut archives = Vec::new();
        for name in names.chain(["base".to_owned()]).collect::<Vec<_>>() {
            self.line.expect(b'H').await?;
            let mut archive = draft.archive(&name);
            loop {
                match self.line.next().await? {
                    (b'd', bytes) => archive.write(&bytes).await?,
                    (b'c', _) => break,
                    (tag, _) => return Err(unexpected(tag).into()),
                }
            }
            archives.push(archive.finish().await?);
        }
        self.line.expect(b'H').await?;
        let mut manifest = BytesMut::new();
        loop {
            match self.line.next().await? {
                (b'd', bytes) => extend(&mut manifest, &bytes)?,
                (b'c', _) => return Ok((archives, manifest.freeze())),
                (tag, _) => return Err(unexpected(tag).into()),
            }
        }
    }

    /// One copy, whose parts say what they are by their first byte.
    async fn one_copy(&mut self, draft: &Draft) -> Result<(Vec<Archive>, Bytes), Failure> {
        self.line.expect(b'H').await?;
        let mut archives = Vec::new();
        let mut now: Option<ArchiveWriter> = None;
        let mut manifest = BytesMut::new();
        let mut in_manifest = false;
        loop {
            let mut body = match self.line.next().await? {
                (b'd', body) if !body.is_empty() => body,
                (b'c', _) => break,
                (tag, _) => return Err(unexpected(tag).into()),
            };
            match body.get_u8() {
                b'n' => {
                    if let Some(done) = now.take() {
                        archives.push(done.finish().await?);
                    }
                    now = Some(draft.archive(&archive_name(&body)?));
                }
                b'd' if in_manifest => extend(&mut manifest, &body)?,
                b'd' => match &mut now {
                    Some(archive) => archive.write(&body).await?,
                    None => return Err(nonsense("data of no archive").into()),
                },
                b'm' => in_manifest = true,
                b'p' => {}
                other => return Err(nonsense(&format!("part {other:#04x} of a backup")).into()),
            }
        }
        if let Some(done) = now {
            archives.push(done.finish().await?);
        }
        Ok((archives, manifest.freeze()))
    }
}

fn nonsense(what: &str) -> LineError {
    LineError::Nonsense(what.to_owned())
}

fn extend(manifest: &mut BytesMut, bytes: &[u8]) -> Result<(), LineError> {
    if manifest.len() + bytes.len() > MANIFEST {
        return Err(nonsense("a manifest of more than 1 GiB"));
    }
    manifest.extend_from_slice(bytes);
    Ok(())
}

/// `base` of `base.tar`, `16384` of `16384.tar`.
fn archive_name(body: &[u8]) -> Result<String, LineError> {
    let name = cstr(body).map(|(name, _)| String::from_utf8_lossy(name).into_owned());
    let name = name.as_deref().and_then(|name| name.strip_suffix(".tar"));
    let good = |name: &&str| *name == "base" || name.parse::<u32>().is_ok();
    name.filter(good).map(str::to_owned).ok_or_else(|| nonsense("an archive of an unknown name"))
}

fn point(rows: &[Row]) -> Result<Point, LineError> {
    let row = rows.first().ok_or_else(|| nonsense("no position of the backup"))?;
    Ok(Point { lsn: parsed(row, 0, "position")?, timeline: Timeline(parsed(row, 1, "timeline")?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_no_name_that_could_lead_elsewhere() {
        assert_eq!(archive_name(b"base.tar\0\0").unwrap(), "base");
        assert_eq!(archive_name(b"16384.tar\0/srv/x\0").unwrap(), "16384");
        for wrong in [&b"../x.tar\0\0"[..], b"base\0\0", b"base.tar", b"x.tar\0\0"] {
            assert!(archive_name(wrong).is_err());
        }
    }
}
