//! What is in a store's objects: one frame of zstd each, encrypted where there are keys, whose bytes are
//! checked when it is read.

use super::{BackupId, Contents, DataKey, Entry, Piece, Store, StoreError};
use bytes::Bytes;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use std::fmt::Write;
use std::sync::Arc;

/// An object, and what its data key is for.
struct Place<'a> {
    scope: &'a str,
    name: &'a str,
}

/// What zstd may make of an object of ours, at most.
const LARGEST: usize = 1 << 30;

impl Store {
    /// An object of a backup, checked and uncompressed.
    pub async fn piece(&self, id: &BackupId, piece: &Piece) -> Result<Bytes, StoreError> {
        let name = format!("{}/{}", folder(id), piece.key);
        let bytes = self.get(&name).await?;
        if sha256(&bytes) != piece.sha256 {
            return Err(self.damaged(&name, "its checksum is another one"));
        }
        let raw = usize::try_from(piece.raw).unwrap_or(usize::MAX);
        let place = Place { scope: &folder(id), name: &name };
        let plain = self.unpack(place, bytes, raw).await?;
        match plain.len() == raw {
            true => Ok(plain),
            false => Err(self.damaged(&name, format!("{} bytes instead of {raw}", plain.len()))),
        }
    }

    /// `limit`: how long it may get.
    async fn unpack(
        &self,
        in_store: Place<'_>,
        bytes: Bytes,
        limit: usize,
    ) -> Result<Bytes, StoreError> {
        let Place { scope, name } = in_store;
        let (keys, limit) = (self.keys().clone(), limit.min(LARGEST));
        let names = (scope.to_owned(), name.to_owned());
        let work = move || {
            let packed = keys.open(&names.0, &names.1, bytes)?;
            Ok(zstd::bulk::decompress(&packed, limit))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(Ok(plain))) => Ok(plain.into()),
            Ok(Ok(Err(error))) => Err(self.damaged(name, error)),
            Ok(Err(error)) => Err(self.sealed(name, error)),
            Err(error) => Err(self.damaged(name, error)),
        }
    }

    /// Makes an object of it, and tells its checksum.
    pub(super) async fn pack(
        &self,
        name: &str,
        plain: Bytes,
        (level, key): (u32, Option<Arc<DataKey>>),
    ) -> Result<(Bytes, String), StoreError> {
        let level = i32::try_from(level).unwrap_or(1);
        let of = name.to_owned();
        let work = move || {
            let packed = compress(&plain, level);
            packed.map(|packed| match key {
                None => Ok(Bytes::from(packed)),
                Some(key) => key.seal(&of, &packed),
            })
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(Ok(packed))) => {
                let sha256 = sha256(&packed);
                Ok((packed, sha256))
            }
            Ok(Ok(Err(error))) => Err(self.sealed(name, error)),
            Ok(Err(error)) => Err(self.damaged(name, error)),
            Err(error) => Err(self.damaged(name, error)),
        }
    }

    /// A data key for the objects of `scope`; `None`: they are not encrypted.
    pub(super) fn data_key(&self, scope: &str) -> Result<Option<Arc<DataKey>>, StoreError> {
        let key = self.keys().data_key(scope);
        key.map(|key| key.map(Arc::new)).map_err(|error| self.sealed(scope, error))
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
        self.unpack(Place { scope: &name, name: &name }, bytes, LARGEST).await
    }

    /// Puts a file into the archive of the log. One that is there already must be the same.
    pub async fn put_log_file(
        &self,
        file: &str,
        bytes: Bytes,
        level: u32,
    ) -> Result<u64, StoreError> {
        let name = log_name(file);
        let key = self.data_key(&name)?;
        let (packed, _) = self.pack(&name, bytes.clone(), (level, key)).await?;
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

/// Of a backup's objects.
pub(super) fn folder(id: &BackupId) -> String {
    format!("backups/{id}")
}

fn log_name(file: &str) -> String {
    format!("wal/{file}.zst")
}

/// One frame of zstd with its length and a checksum.
fn compress(bytes: &[u8], level: i32) -> std::io::Result<Vec<u8>> {
    let mut packer = zstd::bulk::Compressor::new(level)?;
    packer.include_checksum(true)?;
    packer.compress(bytes)
}

/// In hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
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
