//! Bearer tokens: who knows the secret may come in.

use subtle::ConstantTimeEq;

/// Whether the value of an Authorization header has the token. Compares without telling by its time
/// how much of it was right.
pub fn opens(token: &str, given: Option<&[u8]>) -> bool {
    let given = given.and_then(|given| {
        let (scheme, rest) = given.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
    });
    given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        assert!(opens("s3cret", Some(b"Bearer s3cret")));
        assert!(opens("s3cret", Some(b"bearer s3cret")));
        let wrong: [Option<&[u8]>; 6] = [
            None,
            Some(b"s3cret"),
            Some(b"Bearer s3cre"),
            Some(b"Bearer s3cret "),
            Some(b"Basic s3cret"),
            Some(b"Bearer "),
        ];
        for given in wrong {
            assert!(!opens("s3cret", given), "{given:?}");
        }
    }
}
