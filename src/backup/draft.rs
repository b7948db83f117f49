//! A backup that is being written: objects go to the store while it is read, a few at a time.

use super::objects::folder;
use super::{Archive, BackupId, Contents, DataKey, Piece, Progress, Store, StoreError, Throttle};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Bytes of one object before the compression: enough for any store's liking, and little enough to
/// be kept in memory a few times.
const PIECE: usize = 8 << 20;

/// Objects on their way at the same time, besides the one that is being filled.
const UNDER_WAY: usize = 3;

/// Where one backup's objects go.
#[derive(Clone, Debug)]
pub struct Draft {
    pub store: Store,
    pub id: BackupId,
    pub(super) level: u32,
    /// `None`: nothing is encrypted.
    pub(super) key: Option<Arc<DataKey>>,
    pub throttle: Arc<Throttle>,
    pub progress: Arc<Progress>,
}

impl Draft {
    /// Starts an archive.
    pub fn archive(&self, name: &str) -> ArchiveWriter {
        ArchiveWriter {
            draft: self.clone(),
            name: name.to_owned(),
            buffer: BytesMut::new(),
            next: 0,
            under_way: JoinSet::new(),
            pieces: Vec::new(),
        }
    }

    /// Stores one object as a whole; `key` without its ending.
    pub async fn object(&self, key: &str, bytes: Bytes) -> Result<Piece, StoreError> {
        let key = format!("{key}.zst");
        let raw = bytes.len() as u64;
        let name = format!("{}/{key}", folder(&self.id));
        let how = (self.level, self.key.clone());
        let (packed, sha256) = self.store.pack(&name, bytes, how).await?;
        let stored = packed.len();
        self.store.put(&name, packed).await?;
        self.progress.add_stored(stored);
        Ok(Piece { key, raw, stored: stored as u64, sha256 })
    }

    /// Writes the list of all objects.
    pub(super) async fn contents(&self, contents: &Contents) -> Result<Piece, StoreError> {
        let text = serde_json::to_vec(contents).unwrap_or_default();
        self.object("contents.json", text.into()).await
    }

    /// Takes back what was written, if it certainly is no backup. What fails is found by a later
    /// prune.
    pub(super) async fn discard(&self) {
        if !matches!(self.store.entry(&self.id).await, Err(StoreError::Missing { .. })) {
            return;
        }
        if let Err(error) = self.store.delete_all(&folder(&self.id)).await {
            tracing::warn!(backup = %self.id, %error, "left behind in the store");
        }
    }
}

/// Cuts what comes into pieces and stores them.
pub struct ArchiveWriter {
    draft: Draft,
    name: String,
    buffer: BytesMut,
    next: usize,
    under_way: JoinSet<Result<(usize, Piece), StoreError>>,
    pieces: Vec<(usize, Piece)>,
}

impl ArchiveWriter {
    /// Takes the next bytes, as fast as the brake and the store allow.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.draft.throttle.admit(bytes.len()).await;
        self.draft.progress.add_read(bytes.len());
        if self.buffer.is_empty() {
            self.buffer.reserve(PIECE + bytes.len());
        }
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= PIECE {
            let piece = self.buffer.split_to(PIECE).freeze();
            self.send(piece).await?;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        while self.under_way.len() >= UNDER_WAY {
            self.take_in().await?;
        }
        let (draft, number) = (self.draft.clone(), self.next);
        self.next += 1;
        let key = format!("data/{}/{number:08}", self.name);
        self.under_way.spawn(async move { Ok((number, draft.object(&key, bytes).await?)) });
        Ok(())
    }

    async fn take_in(&mut self) -> Result<(), StoreError> {
        match self.under_way.join_next().await {
            Some(Ok(done)) => self.pieces.push(done?),
            Some(Err(error)) => return Err(self.draft.store.cut_short(&self.name, error)),
            None => {}
        }
        Ok(())
    }

    /// All of it is stored when this resolves.
    pub async fn finish(mut self) -> Result<Archive, StoreError> {
        let rest = self.buffer.split().freeze();
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        while !self.under_way.is_empty() {
            self.take_in().await?;
        }
        self.pieces.sort_by_key(|(number, _)| *number);
        let pieces = self.pieces.into_iter().map(|(_, piece)| piece).collect();
        Ok(Archive { name: self.name, pieces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::PieceReader;
    use std::io::Read;

    #[tokio::test]
    async fn an_archive_is_read_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file://{}", folder.path().display())).unwrap();
        let id = BackupId::at(jiff::Timestamp::UNIX_EPOCH);
        let (throttle, progress) = (Arc::default(), Arc::<Progress>::default());
        let draft =
            Draft { store: store.clone(), id: id.clone(), level: 1, key: None, throttle, progress };
        let mut writer = draft.archive("base");
        let mut written = Vec::new();
        for n in 0..700_u32 {
            let bytes: Vec<u8> = (0..32_768_u32).map(|i| ((i * n) >> 3) as u8).collect();
            writer.write(&bytes).await.unwrap();
            written.extend_from_slice(&bytes);
        }
        let archive = writer.finish().await.unwrap();
        assert_eq!(archive.pieces.len(), 3);
        assert_eq!(archive.pieces.iter().map(|p| p.raw).sum::<u64>(), written.len() as u64);
        let mut reader = PieceReader::start(&store, &id, archive.pieces.clone(), &Arc::default());
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        assert!(read.await.unwrap().unwrap() == written);
        // One that is gone in the middle is an error, not the end.
        store.delete(&format!("backups/{id}/{}", archive.pieces[1].key)).await.unwrap();
        let mut reader = PieceReader::start(&store, &id, archive.pieces, &Arc::default());
        let read = tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()));
        assert!(read.await.unwrap().unwrap_err().to_string().contains("has no backups/"));
        draft.discard().await;
        assert_eq!(store.list("backups").await.unwrap(), []);
    }
}
