//! The fast path of `caching_sha2_password`:
//! SHA256(password) XOR SHA256(SHA256(SHA256(password)), scramble).

use ring::digest::{Context, SHA256};
use subtle::ConstantTimeEq;

const LENGTH: usize = 32;

fn sha256(parts: &[&[u8]]) -> [u8; LENGTH] {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; LENGTH];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

pub(super) fn answer(password: &[u8], scramble: &[u8]) -> Vec<u8> {
    let once = sha256(&[password]);
    let mask = sha256(&[&sha256(&[&once]), scramble]);
    once.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()
}

pub(super) fn check(password: &[u8], scramble: &[u8], proof: &[u8]) -> bool {
    answer(password, scramble).ct_eq(proof).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_32_bytes_and_depends_on_all_of_it() {
        let answer_of = |password: &[u8], scramble: &[u8]| answer(password, scramble);
        let one = answer_of(b"a", b"01234567890123456789");
        assert_eq!(one.len(), LENGTH);
        assert_ne!(one, answer_of(b"b", b"01234567890123456789"));
        assert_ne!(one, answer_of(b"a", b"01234567890123456788"));
    }
}
