//! `mysql_native_password`: SHA1(password) XOR SHA1(scramble, SHA1(SHA1(password))).

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub(super) const LENGTH: usize = 20;

/// SHA1(password): as good as the password for this method.
pub(super) type Stage1 = Zeroizing<[u8; LENGTH]>;

/// SHA1(SHA1(password)), which servers store as `*` and 40 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeHash([u8; LENGTH]);

impl NativeHash {
    pub fn of(password: &[u8]) -> NativeHash {
        NativeHash(sha1(&[&*stage1(password)]))
    }

    pub fn parse(text: &str) -> Option<NativeHash> {
        let digits = text.strip_prefix('*').filter(|digits| digits.len() == 2 * LENGTH)?;
        let mut hash = [0; LENGTH];
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(NativeHash(hash))
    }
}

fn sha1(parts: &[&[u8]]) -> [u8; LENGTH] {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; LENGTH];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn xor(left: &[u8; LENGTH], right: &[u8; LENGTH]) -> [u8; LENGTH] {
    std::array::from_fn(|i| left[i] ^ right[i])
}

pub(super) fn stage1(password: &[u8]) -> Stage1 {
    Zeroizing::new(sha1(&[password]))
}

pub(super) fn answer(stage1: &Stage1, scramble: &[u8]) -> Vec<u8> {
    let stage2 = sha1(&[&**stage1]);
    xor(stage1, &sha1(&[scramble, &stage2])).to_vec()
}

/// SHA1(password), if the proof was made with it.
pub(super) fn check(hash: &NativeHash, scramble: &[u8], proof: &[u8]) -> Option<Stage1> {
    let proof: &[u8; LENGTH] = proof.try_into().ok()?;
    let stage1 = Zeroizing::new(xor(proof, &sha1(&[scramble, &hash.0])));
    let same: bool = sha1(&[&*stage1]).ct_eq(&hash.0).into();
    same.then_some(stage1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_function_password() {
        // SELECT PASSWORD('test')
        let hash = NativeHash::parse("*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29");
        assert_eq!(hash, Some(NativeHash::of(b"test")));
        assert_eq!(NativeHash::parse("*94BD"), None);
        assert_eq!(NativeHash::parse("*94BDCEBE19083CE2A1F959FD02F964C7AF4CFCXX"), None);
    }
}
