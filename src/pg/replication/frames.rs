//! Where one frame ends and the next begins, in bytes that are passed on unseen.

use crate::pg::wire::HEADER;

/// The place in a stream of frames.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// The start of a frame whose length is not known yet.
    head: [u8; HEADER],
    have: usize,
    /// Bytes of the current frame that are still to come.
    left: usize,
}

impl Frames {
    /// Nothing of a frame is pending.
    pub(super) fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Goes over all of `bytes`.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes)..];
        }
    }

    /// Goes over `bytes` up to the end of the current frame; how many these were.
    pub(super) fn finish(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_between() {
            taken += self.step(&bytes[taken..]);
        }
        taken
    }

    /// A part of `bytes` that lies within one frame, or its header; at least one byte.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.left > 0 {
            let n = self.left.min(bytes.len());
            self.left -= n;
            return n;
        }
        let n = (HEADER - self.have).min(bytes.len());
        self.head[self.have..self.have + n].copy_from_slice(&bytes[..n]);
        self.have += n;
        if self.have == HEADER {
            let [_, length @ ..] = self.head;
            // The length counts itself; the server is believed, a wrong one ends nowhere.
            self.left = (u32::from_be_bytes(length) as usize).saturating_sub(4);
            self.have = 0;
        }
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty frame, one of three bytes, one of ten.
    const STREAM: &[u8] = b"c\0\0\0\x04d\0\0\0\x07abcd\0\0\0\x0e0123456789";
    const ENDS: [usize; 4] = [0, 5, 13, 28];

    #[test]
    fn frames_end_where_they_end_at_every_split_point() {
        for cut in 0..=STREAM.len() {
            let mut frames = Frames::default();
            frames.advance(&STREAM[..cut]);
            assert_eq!(frames.is_between(), ENDS.contains(&cut), "at {cut}");
            let rest = frames.finish(&STREAM[cut..]);
            let end = ENDS.iter().find(|end| **end >= cut).expect("an end");
            assert_eq!(cut + rest, *end, "from {cut}");
            assert!(frames.is_between());
        }
    }

    #[test]
    fn a_frame_that_does_not_end_is_not_finished() {
        let mut frames = Frames::default();
        frames.advance(&STREAM[..8]);
        assert_eq!(frames.finish(&STREAM[8..11]), 3);
        assert!(!frames.is_between());
    }
}
