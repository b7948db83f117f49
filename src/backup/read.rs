//! Reads a stored archive back, piece by piece, for code that blocks.

use super::{BackupId, Piece, Store, StoreError, Throttle};
use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use std::io::{self, Read};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pieces that are fetched ahead.
const AHEAD: usize = 3;

/// The bytes of an archive, checked; to be read on a thread that may block.
pub struct PieceReader {
    pieces: mpsc::Receiver<Result<Bytes, StoreError>>,
    now: Bytes,
    /// Bytes that have not come yet.
    left: u64,
}

impl PieceReader {
    /// Must be called inside of the runtime that is to fetch. Ends with the reader.
    pub fn start(
        store: &Store,
        id: &BackupId,
        pieces: Vec<Piece>,
        throttle: &Arc<Throttle>,
    ) -> PieceReader {
        let (send, receive) = mpsc::channel(1);
        let (store, id) = (store.clone(), id.clone());
        let throttle = throttle.clone();
        let left = pieces.iter().map(|piece| piece.raw).sum();
        tokio::spawn(async move {
            let fetch = pieces.into_iter().map(|piece| {
                let (store, id, throttle) = (store.clone(), id.clone(), throttle.clone());
                async move {
                    throttle.admit(usize::try_from(piece.raw).unwrap_or(usize::MAX)).await;
                    store.piece(&id, &piece).await
                }
            });
            let mut fetched = futures_util::stream::iter(fetch).buffered(AHEAD);
            while let Some(piece) = fetched.next().await {
                // Nobody reads any more: nothing is left to do.
                if send.send(piece).await.is_err() {
                    return;
                }
            }
        });
        PieceReader { pieces: receive, now: Bytes::new(), left }
    }
}

impl Read for PieceReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.now = piece.map_err(io::Error::other)?,
                None if self.left == 0 => return Ok(0),
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            }
        }
        let n = into.len().min(self.now.len());
        self.left -= n as u64;
        self.now.copy_to_slice(&mut into[..n]);
        Ok(n)
    }
}
