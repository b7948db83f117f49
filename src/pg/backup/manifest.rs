//! The server's own list of what belongs to a backup, and the check of files against it.
//!
//! Source: PostgreSQL documentation, "Backup Manifest Format".

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// Why what is there is not what was backed up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ManifestError {
    #[error("the manifest is damaged: {0}")]
    Damaged(String),
    #[error("{0} is not in the manifest")]
    Unknown(String),
    #[error("{0} is there twice")]
    Twice(String),
    #[error("{file} has {found} bytes, the manifest says {expected}")]
    Size { file: String, found: u64, expected: u64 },
    #[error("{0} has another checksum than the manifest says")]
    Checksum(String),
    #[error("{0} is missing")]
    Missing(String),
}

/// Which files there are, and what they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    files: BTreeMap<String, File>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    size: u64,
    /// CRC-32C as the server writes it; `None`: it made none.
    checksum: Option<String>,
    seen: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Whole {
    files: Vec<Listed>,
    #[serde(rename = "Manifest-Checksum")]
    checksum: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    path: Option<String>,
    /// In hexadecimal digits, where the name is not UTF-8.
    #[serde(rename = "Encoded-Path")]
    encoded: Option<String>,
    size: u64,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: Option<String>,
    checksum: Option<String>,
}

impl Manifest {
    /// Understands the text, whose last line holds the checksum of the lines before it.
    pub(super) fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
        let damaged = |why: &str| ManifestError::Damaged(why.to_owned());
        let whole: Whole =
            serde_json::from_slice(text).map_err(|error| damaged(&error.to_string()))?;
        let end = text.trim_ascii_end().iter().rposition(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| damaged("it has one line"))?;
        let found: String =
            digest(&SHA256, &text[..=end]).as_ref().iter().map(|b| format!("{b:02x}")).collect();
        if found != whole.checksum {
            return Err(damaged("its own checksum is another one"));
        }
        let mut files = BTreeMap::new();
        for listed in whole.files {
            let encoded = || listed.encoded.as_deref().and_then(decode);
            let name = listed.path.clone().or_else(encoded).ok_or_else(|| damaged("no path"))?;
            let is_crc = listed.algorithm.as_deref() == Some("CRC32C");
            let checksum = listed.checksum.filter(|_| is_crc);
            files.insert(name, File { size: listed.size, checksum, seen: false });
        }
        Ok(Manifest { files })
    }

    /// A file with so many bytes and this CRC-32C was found.
    pub(super) fn saw(&mut self, name: &str, size: u64, crc: u32) -> Result<(), ManifestError> {
        let file = self.files.get_mut(name).ok_or_else(|| ManifestError::Unknown(name.into()))?;
        if std::mem::replace(&mut file.seen, true) {
            return Err(ManifestError::Twice(name.into()));
        }
        if file.size != size {
            let (file, expected) = (name.to_owned(), file.size);
            return Err(ManifestError::Size { file, found: size, expected });
        }
        // The server writes the number as it lies in its memory.
        let same = |text: &String| {
            let hex = |bytes: [u8; 4]| bytes.map(|byte| format!("{byte:02x}")).concat();
            [hex(crc.to_le_bytes()), hex(crc.to_be_bytes())].contains(&text.to_lowercase())
        };
        match file.checksum.as_ref().is_none_or(same) {
            true => Ok(()),
            false => Err(ManifestError::Checksum(name.into())),
        }
    }

    /// Nothing else will come. How many files there were.
    pub(super) fn finish(&self) -> Result<usize, ManifestError> {
        match self.files.iter().find(|(_, file)| !file.seen) {
            Some((name, _)) => Err(ManifestError::Missing(name.clone())),
            None => Ok(self.files.len()),
        }
    }
}

fn decode(hex: &str) -> Option<String> {
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let body = "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n\
            { \"Path\": \"backup_label\", \"Size\": 3, \"Last-Modified\": \"x\", \
            \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"b73f4b36\" },\n\
            { \"Encoded-Path\": \"6261\", \"Size\": 0 }\n],\n\
            \"WAL-Ranges\": [ ],\n";
        let sum: String =
            digest(&SHA256, body.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
        format!("{body}\"Manifest-Checksum\": \"{sum}\"}}\n")
    }

    #[test]
    fn every_file_must_be_there_once_and_as_it_was() {
        let crc = crc32c::crc32c(b"abc");
        let manifest = || Manifest::parse(text().as_bytes()).unwrap();
        let mut whole = manifest();
        whole.saw("backup_label", 3, crc).unwrap();
        assert_eq!(whole.finish(), Err(ManifestError::Missing("ba".into())));
        whole.saw("ba", 0, 0).unwrap();
        assert_eq!(whole.finish(), Ok(2));
        assert_eq!(whole.saw("ba", 0, 0), Err(ManifestError::Twice("ba".into())));
        let wrong = manifest().saw("backup_label", 3, crc ^ 1);
        assert_eq!(wrong, Err(ManifestError::Checksum("backup_label".into())));
        assert!(matches!(manifest().saw("backup_label", 4, crc), Err(ManifestError::Size { .. })));
        assert!(matches!(manifest().saw("x", 4, crc), Err(ManifestError::Unknown(_))));
    }

    #[test]
    fn a_manifest_that_was_changed_is_refused() {
        let changed = text().replace("\"Size\": 3", "\"Size\": 4");
        let error = Manifest::parse(changed.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the manifest is damaged: its own checksum is another one");
        assert!(Manifest::parse(b"{").is_err());
    }
}
