//! Looks at every frame of a console client before anyone decodes it.
//!
//! Shapes: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

#[cfg(test)]
mod tests;

use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum BadFrame {
    #[error("a startup packet claims {0} bytes; 9 to {MAX_LOGIN} are allowed")]
    StartupLength(u32),
    #[error("protocol {0}.{1} is not spoken here, only 3")]
    Version(u16, u16),
    #[error("the startup packet is not a list of names and values")]
    Startup,
    #[error("message {0:?} claims {1} bytes; 4 to {2} are allowed")]
    Length(char, u32, usize),
    #[error("message {0:?} is not expected here")]
    Unexpected(char),
    #[error("message {0:?} is malformed")]
    Body(char),
    #[error("TLS has to be asked for first on the console port")]
    Tls,
    #[error("encryption was asked for more than once")]
    AskedAgain,
}

/// Longest frame before the login is done (as in PostgreSQL), and after it.
const MAX_LOGIN: usize = 10_000;
const MAX_READY: usize = 1 << 20;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Startup,
    /// SASLInitialResponse: the mechanism's name and the client's first message.
    SaslFirst,
    SaslFinal,
    Commands,
}

/// Follows one connection, frame by frame.
#[derive(Debug)]
pub(super) struct Checker {
    expect: Expect,
    /// A password is asked for after the startup packet.
    password: bool,
}

impl Checker {
    pub(super) fn new(password: bool) -> Checker {
        Checker { expect: Expect::Startup, password }
    }

    /// The length of the first frame in `seen`, when it is whole and well formed.
    pub(super) fn next(&mut self, seen: &[u8]) -> Result<Option<usize>, BadFrame> {
        if self.expect == Expect::Startup {
            let whole = startup(seen)?;
            if whole.is_some() {
                self.expect = if self.password { Expect::SaslFirst } else { Expect::Commands };
            }
            return Ok(whole);
        }
        let Some(&kind) = seen.first() else { return Ok(None) };
        let name = char::from(kind);
        if !self.allowed(kind) {
            return Err(BadFrame::Unexpected(name));
        }
        let Some(length) = word(&seen[1..]) else { return Ok(None) };
        let limit = if self.expect == Expect::Commands { MAX_READY } else { MAX_LOGIN };
        if length < 4 || length as usize > limit {
            return Err(BadFrame::Length(name, length, limit));
        }
        let end = 1 + length as usize;
        let Some(body) = seen.get(5..end) else { return Ok(None) };
        let whole = self.shape(kind, &mut Body(body));
        whole.ok_or(BadFrame::Body(name))?;
        if kind == b'p' {
            self.expect = match self.expect {
                Expect::SaslFirst => Expect::SaslFinal,
                _ => Expect::Commands,
            };
        }
        Ok(Some(end))
    }

    fn allowed(&self, kind: u8) -> bool {
        match self.expect {
            Expect::Startup => false,
            Expect::SaslFirst | Expect::SaslFinal => b"pX".contains(&kind),
            Expect::Commands => b"QPBDECHSX".contains(&kind),
        }
    }

    fn shape(&self, kind: u8, body: &mut Body) -> Option<()> {
        match (kind, self.expect) {
            (b'p', Expect::SaslFirst) => {
                body.text()?;
                body.value()?;
            }
            (b'p', _) => return Some(()),
            (b'Q', _) => body.text()?,
            (b'P', _) => {
                body.text()?;
                body.text()?;
                let types = usize::from(body.short()?);
                body.skip(types * 4)?;
            }
            (b'B', _) => bind(body)?,
            (b'D' | b'C', _) => {
                body.byte().filter(|target| b"SP".contains(target))?;
                body.text()?;
            }
            (b'E', _) => {
                body.text()?;
                body.skip(4)?;
            }
            _ => {}
        }
        body.0.is_empty().then_some(())
    }
}

fn bind(body: &mut Body) -> Option<()> {
    body.text()?;
    body.text()?;
    let formats = body.formats()?;
    let values = body.short()?;
    if formats > 1 && formats != values {
        return None;
    }
    for _ in 0..values {
        body.value()?;
    }
    body.formats().map(|_| ())
}

fn startup(seen: &[u8]) -> Result<Option<usize>, BadFrame> {
    let Some(length) = word(seen) else { return Ok(None) };
    if !(9..=MAX_LOGIN as u32).contains(&length) {
        return Err(BadFrame::StartupLength(length));
    }
    let Some(rest) = seen.get(4..length as usize) else { return Ok(None) };
    let mut body = Body(rest);
    let (Some(major), Some(minor)) = (body.short(), body.short()) else {
        return Err(BadFrame::Startup);
    };
    if major != 3 {
        return Err(BadFrame::Version(major, minor));
    }
    while body.0 != [0] {
        let named = body.0.first().is_some_and(|&b| b != 0);
        if !named || body.text().is_none() || body.text().is_none() {
            return Err(BadFrame::Startup);
        }
    }
    Ok(Some(length as usize))
}

/// The big-endian number at the start.
fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|four| u32::from_be_bytes(*four))
}

/// What is left of a frame's body.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.0.first()?;
        self.skip(1)?;
        Some(byte)
    }
    fn short(&mut self) -> Option<u16> {
        let number = u16::from_be_bytes(*self.0.first_chunk()?);
        self.skip(2)?;
        Some(number)
    }
    /// A text that ends with a zero byte.
    fn text(&mut self) -> Option<()> {
        let end = self.0.iter().position(|&b| b == 0)?;
        self.skip(end + 1)
    }
    /// A length and that many bytes; -1 is NULL.
    fn value(&mut self) -> Option<()> {
        let length = word(self.0)?;
        self.skip(4)?;
        if length == u32::MAX { Some(()) } else { self.skip(length as usize) }
    }
    /// A count of format codes, each text (0) or binary (1).
    fn formats(&mut self) -> Option<u16> {
        let count = self.short()?;
        for _ in 0..count {
            self.short().filter(|code| *code <= 1)?;
        }
        Some(count)
    }
}
