//! Packets to and fro during a login.

use crate::door::gate::Stopped;
use crate::mysql::connect::read_packet;
use crate::mysql::refuse;
use crate::mysql::wire::put_packet;
use crate::refusal::Refusal;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// A client's connection while it logs in.
pub(in crate::mysql) struct Dialogue<S> {
    pub(in crate::mysql) stream: S,
    /// Of the next packet that is sent.
    sequence: u8,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    /// `last`: the sequence id of the client's last packet.
    pub(in crate::mysql) fn new(stream: S, last: u8) -> Dialogue<S> {
        Dialogue { stream, sequence: last.wrapping_add(1) }
    }

    pub(super) async fn read(&mut self) -> Result<Vec<u8>, Stopped> {
        let (sequence, payload) = read_packet(&mut self.stream).await.map_err(super::broken)?;
        self.sequence = sequence.wrapping_add(1);
        Ok(payload)
    }

    /// Sends what `put` appends for a sequence id; it is one packet.
    pub(in crate::mysql) async fn say(
        &mut self,
        put: impl FnOnce(&mut BytesMut, u8),
    ) -> Result<(), Stopped> {
        let mut out = BytesMut::new();
        put(&mut out, self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&out).await?;
        Ok(self.stream.flush().await?)
    }

    pub(super) async fn send(&mut self, payload: &[u8]) -> Result<(), Stopped> {
        let put = |out: &mut BytesMut, sequence| {
            put_packet(out, sequence, payload);
        };
        self.say(put).await
    }

    pub(in crate::mysql) async fn refuse(&mut self, refusal: &Refusal) {
        let _ = self.say(|out, sequence| refuse::put(out, sequence, refusal)).await;
        let _ = self.stream.shutdown().await;
    }
}
