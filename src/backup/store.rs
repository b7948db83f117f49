//! Where backups are: a folder of an object store, and the names in it.
//!
//! ```text
//! cluster.json                    which database system this is the store of
//! catalog/<id>.json               a backup that is there as a whole
//! holds/<id>.txt                  why it must not be deleted
//! proofs/<id>/<time>.json         what a test restore of it showed
//! backups/<id>/…                  its objects
//! wal/<file>.zst                  the archive of the log
//! ```

use super::{BackupId, Entry, Keyring, Listed, Proof, SealError};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use thiserror::Error;
use url::Url;

/// Why the store does not do it.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the store {url}: {cause}\nhint: {hint}")]
    Url { url: String, cause: String, hint: &'static str },
    #[error("the store {url} cannot {what} {name}: {source}")]
    Io { url: String, what: &'static str, name: String, source: Error },
    #[error("the store {url} has no {name}")]
    Missing { url: String, name: String },
    #[error("the store {url} has {name} already")]
    Exists { url: String, name: String },
    #[error("{name} in the store {url} is damaged: {cause}")]
    Damaged { url: String, name: String, cause: String },
    #[error("{name} in the store {url}: {cause}")]
    Sealed { url: String, name: String, cause: SealError },
    #[error(
        "the store {url} is that of database system {theirs}, not of {ours}\nhint: each cluster \
         needs a store of its own; change the last part of clusters.NAME.backup.store"
    )]
    Foreign { url: String, ours: u64, theirs: u64 },
}

/// An open store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    prefix: Path,
    /// As configured.
    url: Arc<str>,
    keys: Arc<Keyring>,
}

/// Whose backups they are.
#[derive(Serialize, Deserialize)]
struct Owner {
    system: u64,
}

impl Store {
    /// Opens `file:///path`, `s3://bucket/path`, `gs://…` or `az://…`. The cloud's credentials come
    /// from the environment, by the usual names such as `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`.
    pub fn open(url: &str) -> Result<Store, StoreError> {
        let wrong = |cause: String| StoreError::Url {
            url: url.to_owned(),
            cause,
            hint: "for example file:///var/backups/orders or s3://bucket/orders",
        };
        let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if parsed.scheme() == "file" {
            let path = parsed.to_file_path().map_err(|()| wrong("is no path".into()))?;
            // All data are in there: whoever else shall read them is let in by the operator.
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| wrong(error.to_string()))?;
            let local = LocalFileSystem::new_with_prefix(&path);
            let local = local.map_err(|error| wrong(error.to_string()))?.with_fsync(true);
            let inner = Arc::new(local.with_automatic_cleanup(true));
            let keys = Arc::default();
            return Ok(Store { inner, prefix: Path::default(), url: url.into(), keys });
        }
        // The HTTP client knows no other way to choose it; whoever was first chose the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let known = std::env::vars().map(|(name, value)| (name.to_ascii_lowercase(), value));
        let opened = object_store::parse_url_opts(&parsed, known);
        let (inner, prefix) = opened.map_err(|error| wrong(error.to_string()))?;
        Ok(Store { inner: inner.into(), prefix, url: url.into(), keys: Arc::default() })
    }

    /// Encrypts and decrypts by these keys.
    pub fn with_keys(self, keys: Arc<Keyring>) -> Store {
        Store { keys, ..self }
    }

    pub(super) fn keys(&self) -> &Arc<Keyring> {
        &self.keys
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn failed(&self, what: &'static str, name: &str, source: Error) -> StoreError {
        let (url, name) = (self.url.to_string(), name.to_owned());
        match source {
            Error::NotFound { .. } => StoreError::Missing { url, name },
            Error::AlreadyExists { .. } | Error::Precondition { .. } => {
                StoreError::Exists { url, name }
            }
            source => StoreError::Io { url, what, name, source },
        }
    }

    pub(super) fn damaged(&self, name: &str, cause: impl ToString) -> StoreError {
        let (url, name) = (self.url.to_string(), name.to_owned());
        StoreError::Damaged { url, name, cause: cause.to_string() }
    }

    pub(super) fn sealed(&self, name: &str, cause: SealError) -> StoreError {
        StoreError::Sealed { url: self.url.to_string(), name: name.to_owned(), cause }
    }

    /// A task that wrote to it was stopped.
    pub(super) fn cut_short(&self, name: &str, error: tokio::task::JoinError) -> StoreError {
        self.failed("write", name, error.into())
    }

    /// Names of the folders right below one.
    pub async fn folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let listed = self.inner.list_with_delimiter(Some(&self.path(folder))).await;
        let listed = listed.map_err(|error| self.failed("list", folder, error))?;
        let last = |path: &Path| path.filename().map(str::to_owned);
        Ok(listed.common_prefixes.iter().filter_map(last).collect())
    }

    /// Writes an object that must not be there yet.
    pub async fn create(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        let how = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.inner.put_opts(&self.path(name), bytes.into(), how).await;
        put.map(drop).map_err(|error| self.failed("write", name, error))
    }

    /// Writes an object, over one that is there.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        let put = self.inner.put(&self.path(name), bytes.into()).await;
        put.map(drop).map_err(|error| self.failed("write", name, error))
    }

    pub async fn get(&self, name: &str) -> Result<Bytes, StoreError> {
        let failed = |error| self.failed("read", name, error);
        self.inner.get(&self.path(name)).await.map_err(failed)?.bytes().await.map_err(failed)
    }

    /// No error if it is not there.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.inner.delete(&self.path(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", name, error)),
        }
    }

    /// Names of all objects below a folder, and when each was written.
    pub async fn list(&self, folder: &str) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let root = match self.prefix.as_ref() {
            "" => 0,
            prefix => prefix.len() + 1,
        };
        let named = |meta: ObjectMeta| {
            let written = meta.last_modified.timestamp();
            let written = Timestamp::from_second(written).unwrap_or(Timestamp::UNIX_EPOCH);
            (meta.location.as_ref()[root..].to_owned(), written)
        };
        let listed = self.inner.list(Some(&self.path(folder))).map_ok(named).try_collect().await;
        let mut names: Vec<_> = listed.map_err(|error| self.failed("list", folder, error))?;
        names.sort();
        Ok(names)
    }

    /// Deletes all objects below a folder.
    pub async fn delete_all(&self, folder: &str) -> Result<(), StoreError> {
        let names = self.list(folder).await?;
        let paths: Vec<_> = names.iter().map(|(name, _)| Ok(self.path(name))).collect();
        let mut deleted = self.inner.delete_stream(futures_util::stream::iter(paths).boxed());
        while let Some(done) = deleted.next().await {
            match done {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("delete", folder, error)),
            }
        }
        Ok(())
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StoreError> {
        let bytes = self.get(name).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.damaged(name, error))
    }

    /// Whose backups these are: the first to ask decides.
    pub async fn claim(&self, system: u64) -> Result<(), StoreError> {
        const NAME: &str = "cluster.json";
        let text = serde_json::to_vec(&Owner { system }).unwrap_or_default();
        match self.create(NAME, text.into()).await {
            Err(StoreError::Exists { .. }) => {}
            done => return done,
        }
        let owner: Owner = self.json(NAME).await?;
        let url = self.url.to_string();
        match owner.system == system {
            true => Ok(()),
            false => Err(StoreError::Foreign { url, ours: system, theirs: owner.system }),
        }
    }

    /// With this the backup exists.
    pub async fn commit(&self, entry: &Entry) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(entry).unwrap_or_default();
        match self.create(&format!("catalog/{}.json", entry.id), text.into()).await {
            Ok(()) => Ok(()),
            // A write that seemed to fail may have been done all the same.
            Err(error) => match self.entry(&entry.id).await {
                Ok(found) if found == *entry => Ok(()),
                _ => Err(error),
            },
        }
    }

    pub async fn entry(&self, id: &BackupId) -> Result<Entry, StoreError> {
        let name = format!("catalog/{id}.json");
        let entry: Entry = self.json(&name).await?;
        match entry.format {
            1 => Ok(entry),
            other => Err(self.damaged(&name, format!("format {other} is of a later release"))),
        }
    }

    /// All backups that are there, the oldest first.
    pub async fn backups(&self) -> Result<Vec<Listed>, StoreError> {
        let names = self.list("catalog").await?;
        let id =
            |name: &str| BackupId::parse(name.strip_prefix("catalog/")?.strip_suffix(".json")?);
        let ids: Vec<BackupId> = names.iter().filter_map(|(name, _)| id(name)).collect();
        let held: Vec<String> =
            self.list("holds").await?.into_iter().map(|(name, _)| name).collect();
        let mut proofs = self.proofs().await?;
        let asked = ids.iter().map(|id| {
            let (held, proof) = (held.contains(&hold(id)), proofs.remove(id));
            self.listed(id, held, proof)
        });
        futures_util::future::try_join_all(asked).await
    }

    async fn listed(
        &self,
        id: &BackupId,
        held: bool,
        proof: Option<Proof>,
    ) -> Result<Listed, StoreError> {
        let entry = self.entry(id).await?;
        let held = match held {
            true => Some(self.get(&hold(id)).await?),
            false => None,
        };
        let held = held.map(|text| String::from_utf8_lossy(&text).into_owned());
        Ok(Listed { entry, held, proof })
    }

    /// Keeps a backup from being deleted, or no longer.
    pub async fn hold(&self, id: &BackupId, why: Option<&str>) -> Result<(), StoreError> {
        self.entry(id).await?;
        match why {
            Some(why) => self.put(&hold(id), Bytes::copy_from_slice(why.as_bytes())).await,
            None => self.delete(&hold(id)).await,
        }
    }
}

fn hold(id: &BackupId) -> String {
    format!("holds/{id}.txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file://{}", folder.path().display())).unwrap();
        (folder, store)
    }

    #[test]
    fn a_folder_that_it_makes_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        Store::open(&format!("file://{}", path.display())).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o700);
    }

    #[tokio::test]
    async fn what_was_created_is_never_replaced() {
        let (_folder, store) = store();
        store.create("catalog/x.json", "1".into()).await.unwrap();
        let error = store.create("catalog/x.json", "2".into()).await.unwrap_err();
        assert!(matches!(error, StoreError::Exists { .. }), "{error}");
        assert_eq!(store.get("catalog/x.json").await.unwrap(), "1");
        assert!(matches!(store.get("y").await, Err(StoreError::Missing { .. })));
    }

    #[tokio::test]
    async fn a_store_belongs_to_one_database_system() {
        let (_folder, store) = store();
        store.claim(7).await.unwrap();
        store.claim(7).await.unwrap();
        let error = store.claim(8).await.unwrap_err().to_string();
        assert!(error.contains("is that of database system 7, not of 8\nhint: "), "{error}");
    }

    #[test]
    fn a_place_that_is_none_is_an_error_with_a_hint() {
        for wrong in ["", "/var/backups", "ftp://x/y", "s3:"] {
            let error = Store::open(wrong).unwrap_err().to_string();
            assert!(error.contains("hint: for example file:///"), "{wrong}: {error}");
        }
    }
}
