//! What is in a store's objects: one frame of zstd each, whose bytes are checked when it is read.

use super::{BackupId, Contents, Entry, Piece, Store, StoreError};
use bytes::Bytes;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use std::fmt::Write;

/// What zstd may make of an object of ours, at most.
const LARGEST: usize = 1 << 30;

impl Store {
    /// An object of a backup, checked and uncompressed.
    pub async fn piece(&self, id: &BackupId, piece: &Piece) -> Result<Bytes, StoreError> {
        let name = format!("backups/{id}/{}", piece.key);
        let bytes = self.get(&name).await?;
        if sha256(&bytes) != piece.sha256 {
            return Err(self.damaged(&name, "its checksum is another one"));
        }
        let raw = usize::try_from(piece.raw).unwrap_or(usize::MAX);
        let plain = self.uncompress(&name, bytes, raw).await?;
        match plain.len() == raw {
            true => Ok(plain),
            false => Err(self.damaged(&name, format!("{} bytes instead of {raw}", plain.len()))),
        }
    }

    async fn uncompress(
        &self,
        name: &str,
        bytes: Bytes,
        limit: usize,
    ) -> Result<Bytes, StoreError> {
        let limit = limit.min(LARGEST);
        let work = move || zstd::bulk::decompress(&bytes, limit);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(plain)) => Ok(plain.into()),
            Ok(Err(error)) => Err(self.damaged(name, error)),
            Err(error) => Err(self.damaged(name, error)),
        }
    }

    pub async fn contents(&self, entry: &Entry) -> Result<Contents, StoreError> {
        let bytes = self.piece(&entry.id, &entry.contents).await?;
        let name = format!("backups/{}/{}", entry.id, entry.contents.key);
        serde_json::from_slice(&bytes).map_err(|error| self.damaged(&name, error))
    }

    /// A file of the archive of the log; zstd's own checksum is in it.
    pub async fn log_file(&self, file: &str) -> Result<Bytes, StoreError> {
        let name = log_name(file);
        let bytes = self.get(&name).await?;
        self.uncompress(&name, bytes, LARGEST).await
    }

    /// Puts a file into the archive of the log. One that is there already must be the same.
    pub async fn put_log_file(
        &self,
        file: &str,
        bytes: Bytes,
        level: u32,
    ) -> Result<u64, StoreError> {
        let name = log_name(file);
        let packed = compress(bytes.clone(), level).await;
        let packed = packed.map_err(|cause| self.damaged(&name, cause))?;
        let stored = packed.len() as u64;
        match self.create(&name, packed).await {
            Err(StoreError::Exists { .. }) => {}
            done => return done.map(|()| stored),
        }
        match self.log_file(file).await? == bytes {
            true => Ok(stored),
            false => Err(self.damaged(&name, "the server has another file of this name")),
        }
    }

    /// Names of the files in the archive of the log, in their order.
    pub async fn log_files(&self) -> Result<Vec<String>, StoreError> {
        let names = self.list("wal").await?;
        let file = |(name, _): &(String, Timestamp)| {
            name.strip_prefix("wal/").and_then(|file| file.strip_suffix(".zst")).map(str::to_owned)
        };
        Ok(names.iter().filter_map(file).collect())
    }

    pub async fn delete_log_file(&self, file: &str) -> Result<(), StoreError> {
        self.delete(&log_name(file)).await
    }
}

fn log_name(file: &str) -> String {
    format!("wal/{file}.zst")
}

/// One frame of zstd with its length and a checksum, made on a thread that may block.
pub(super) async fn compress(bytes: Bytes, level: u32) -> Result<Bytes, String> {
    let level = i32::try_from(level).unwrap_or(1);
    let work = move || {
        let mut packer = zstd::bulk::Compressor::new(level)?;
        packer.include_checksum(true)?;
        packer.compress(&bytes)
    };
    let packed = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
    packed.map(Bytes::from).map_err(|error| error.to_string())
}

/// In hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest(&SHA256, bytes).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_file_comes_back_as_it_was_and_is_not_replaced_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file://{}", folder.path().display())).unwrap();
        let file = "000000010000000000000002";
        let bytes = Bytes::from(vec![7; 1 << 20]);
        store.put_log_file(file, bytes.clone(), 1).await.unwrap();
        store.put_log_file(file, bytes.clone(), 1).await.unwrap();
        assert_eq!(store.log_file(file).await.unwrap(), bytes);
        assert_eq!(store.log_files().await.unwrap(), [file]);
        let other = store.put_log_file(file, "other".into(), 1).await.unwrap_err();
        assert!(other.to_string().contains("another file of this name"), "{other}");
        let path = folder.path().join(format!("wal/{file}.zst"));
        let mut damaged = std::fs::read(&path).unwrap();
        *damaged.last_mut().unwrap() ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let error = store.log_file(file).await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
}
