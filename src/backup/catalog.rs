//! What is written down about a backup.

use super::{BackupId, Proof, Segment};
use crate::topology::{Lsn, Timeline};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    #[serde(serialize_with = "put_timeline", deserialize_with = "get_timeline")]
    pub timeline: Timeline,
    #[serde(serialize_with = "put_lsn", deserialize_with = "get_lsn")]
    pub lsn: Lsn,
}

fn put_lsn<S: Serializer>(lsn: &Lsn, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(lsn)
}

fn get_lsn<'de, D: Deserializer<'de>>(from: D) -> Result<Lsn, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

fn put_timeline<S: Serializer>(timeline: &Timeline, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u32(timeline.0)
}

fn get_timeline<'de, D: Deserializer<'de>>(from: D) -> Result<Timeline, D::Error> {
    u32::deserialize(from).map(Timeline)
}

/// The object of the catalogue: with it a backup exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Of what is written here: 1.
    pub format: u32,
    pub id: BackupId,
    /// `postgres`
    pub engine: String,
    /// Of the server, such as `15.14`.
    pub version: String,
    /// The identifier of the database system.
    pub system: u64,
    pub node: String,
    /// Why that node.
    pub because: String,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// Recovery reads the log from here …
    pub start: Point,
    /// … and is consistent there.
    pub end: Point,
    /// Bytes of a segment of the log.
    pub segment: u64,
    pub tablespaces: Vec<Tablespace>,
    /// Which of the operator's keys its objects are encrypted with; `None`: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Bytes as they were read from the server, the log included.
    pub raw: u64,
    /// Bytes as they are stored.
    pub stored: u64,
    /// The object that lists all others.
    pub contents: Piece,
}

impl Entry {
    /// The first segment of the log that it needs.
    pub fn first_segment(&self) -> Segment {
        Segment::of(self.start.timeline, self.start.lsn, self.segment)
    }
}

/// A tablespace that lies outside of the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tablespace {
    pub oid: u32,
    /// Where it was on the node.
    pub location: String,
}

/// All objects of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Tar files: `base`, and a tablespace's OID.
    pub archives: Vec<Archive>,
    /// The server's own list of files and checksums (`backup_manifest`).
    pub manifest: Option<Piece>,
    /// Files of the log, by their names; the last segment is filled up with zeros.
    pub wal: Vec<Piece>,
}

impl Contents {
    /// All of them.
    pub fn objects(&self) -> impl Iterator<Item = &Piece> {
        let data = self.archives.iter().flat_map(|archive| &archive.pieces);
        data.chain(&self.manifest).chain(&self.wal)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    pub name: String,
    /// One after the other they are the tar file.
    pub pieces: Vec<Piece>,
}

/// One stored object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Its name below the backup's own folder.
    pub key: String,
    /// Bytes before the compression.
    pub raw: u64,
    /// Bytes of the object.
    pub stored: u64,
    /// Of the object, in hexadecimal digits.
    pub sha256: String,
}

impl Piece {
    /// The last part of its name, without `.zst`.
    pub fn file(&self) -> &str {
        let name = self.key.rsplit_once('/').map_or(self.key.as_str(), |(_, name)| name);
        name.strip_suffix(".zst").unwrap_or(name)
    }
}

/// A backup, and what was written about it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub entry: Entry,
    /// Why it must not be deleted, in the words of whoever said so.
    pub held: Option<String>,
    /// What the last test restore of it showed; `None`: there was none.
    pub proof: Option<Proof>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_people_know_them() {
        let point = Point { timeline: Timeline(2), lsn: Lsn(0x5_4100_0028) };
        let text = serde_json::to_string(&point).unwrap();
        assert_eq!(text, r#"{"timeline":2,"lsn":"5/41000028"}"#);
        assert_eq!(serde_json::from_str::<Point>(&text).unwrap(), point);
    }

    #[test]
    fn a_piece_is_named_by_its_file() {
        let piece = |key: &str| Piece { key: key.into(), raw: 0, stored: 0, sha256: "".into() };
        assert_eq!(piece("wal/000000010000000000000002.zst").file(), "000000010000000000000002");
        assert_eq!(piece("manifest.zst").file(), "manifest");
    }
}
