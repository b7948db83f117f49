//! The grammar of SCRAM messages (RFC 5802 section 7), read strictly: attributes in their
//! order, nothing left over, base64 in its one canonical form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;

use super::ScramError;

/// Longest message taken, in bytes; PostgreSQL's own limit for clients is 1024.
const MAX_LEN: usize = 2048;

/// The attributes of one message, `name=value` separated by commas.
pub(super) struct Attributes<'a> {
    rest: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: Some(text) }
    }

    /// The next attribute, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u8, &'a str)>, ScramError> {
        let Some(rest) = self.rest else { return Ok(None) };
        let (attribute, after) = match rest.split_once(',') {
            Some((attribute, after)) => (attribute, Some(after)),
            None => (rest, None),
        };
        let (name, value) = attribute.split_once('=').ok_or(ScramError::Malformed("attribute"))?;
        let &[letter] = name.as_bytes() else { return Err(ScramError::Malformed("attribute")) };
        if !letter.is_ascii_alphabetic() {
            return Err(ScramError::Malformed("attribute name"));
        }
        if letter == b'm' {
            return Err(ScramError::MandatoryExtension);
        }
        self.rest = after;
        Ok(Some((letter, value)))
    }

    /// The value of the next attribute, which has to be `name`.
    pub(super) fn expect(&mut self, name: u8) -> Result<&'a str, ScramError> {
        match self.next()? {
            Some((found, value)) if found == name => Ok(value),
            _ => Err(ScramError::Malformed("attribute out of order or missing")),
        }
    }

    /// Reads over optional extensions to the end of the message.
    pub(super) fn extensions(&mut self) -> Result<(), ScramError> {
        while let Some((name, value)) = self.next()? {
            extension(name, value)?;
        }
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), ScramError> {
        self.rest.map_or(Ok(()), |_| Err(ScramError::Malformed("garbage at the end")))
    }
}

/// Refuses what must not stand where an extension may: an attribute RFC 5802 gave a meaning.
pub(super) fn extension(name: u8, value: &str) -> Result<(), ScramError> {
    if b"anmrcsipve".contains(&name) || value.is_empty() {
        return Err(ScramError::Malformed("attribute out of order or repeated"));
    }
    Ok(())
}

/// The message as text: UTF-8, no control character (NUL least of all), of sane length.
pub(super) fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MAX_LEN {
        return Err(ScramError::Malformed("too long"));
    }
    let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed("not UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(ScramError::Malformed("control character"));
    }
    Ok(text)
}

/// A nonce: printable ASCII without comma, not empty.
pub(super) fn nonce(value: &str) -> Result<&str, ScramError> {
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
        return Err(ScramError::Malformed("nonce"));
    }
    Ok(value)
}

/// A user name: `=` only as `=2C` or `=3D`. PostgreSQL ignores the name and lets it be empty.
pub(super) fn sasl_name(value: &str) -> Result<(), ScramError> {
    let escapes = value.split('=').skip(1);
    let valid = escapes.into_iter().all(|after| after.starts_with("2C") || after.starts_with("3D"));
    if valid { Ok(()) } else { Err(ScramError::Malformed("user name")) }
}

pub(super) fn iterations(value: &str) -> Result<NonZeroU32, ScramError> {
    let digits = !value.starts_with('0') && value.bytes().all(|b| b.is_ascii_digit());
    let number = value.parse().ok().filter(|_| digits);
    number.ok_or(ScramError::Malformed("iteration count"))
}

pub(super) fn decode(value: &str) -> Result<Vec<u8>, ScramError> {
    STANDARD.decode(value).map_err(|_| ScramError::Malformed("base64"))
}

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
