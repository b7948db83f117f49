//! What a client gets of one chunk of the server's bytes.

use bytes::{BufMut, BytesMut};

/// The client's share of a chunk: one range of it as it came, or a copy when something was
/// left out or added.
pub struct Delivery<'a, 's> {
    chunk: &'a [u8],
    range: (usize, usize),
    spill: &'s mut BytesMut,
}

impl<'a, 's> Delivery<'a, 's> {
    pub fn new(chunk: &'a [u8], spill: &'s mut BytesMut) -> Delivery<'a, 's> {
        Delivery { chunk, range: (0, 0), spill }
    }

    pub(super) fn forward(&mut self, from: usize, to: usize) {
        if self.range.1 != from {
            self.settle();
            self.range.0 = from;
        }
        self.range.1 = to;
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.settle();
        self.spill.put_slice(bytes);
    }

    /// What was forwarded last ends here.
    pub(super) fn ends_at(&self, at: usize) -> bool {
        self.range.1 == at
    }

    fn settle(&mut self) {
        self.spill.put_slice(&self.chunk[self.range.0..self.range.1]);
        self.range.0 = self.range.1;
    }

    /// The bytes to be written after the spill; they are in the spill already when it was used.
    pub fn finish(mut self) -> &'a [u8] {
        if !self.spill.is_empty() {
            self.settle();
        }
        &self.chunk[self.range.0..self.range.1]
    }
}
