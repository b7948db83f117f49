//! Cuts a text into tokens as the server's lexer does, and makes shapes of them.
//!
//! The rules are those of MariaDB's `sql_lex.cc` (`Lex_input_stream::lex_token`) and of MySQL's.
//! Where the two, their versions or the client's character set might disagree, the text is
//! *doubtful*: it has no shape, and needs the primary.

use super::analysis::Modes;

/// Bytes that stand for literals in a shape; a text that holds one of them outside literals is
/// doubtful.
const STRING: u8 = 1;
const NUMBER: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword, or a name without quotes.
    Word,
    /// A name in backticks, or in double quotes under ANSI_QUOTES.
    Name,
    /// `'…'`, or `"…"`; one piece of several adjacent ones. Introducers are words before it.
    String,
    /// Whole numbers, fractions, floats.
    Number,
    /// `0x…`, `x'…'`, `b'…'`, `0b…`, `N'…'`
    Coded,
    /// `?`
    Parameter,
    /// `@x`, ``@`x` ``, `@'x'`
    User,
    /// `@@` and the word or quoted name behind it.
    System,
    /// `:=`
    Assign,
    /// Any other byte.
    Mark(u8),
}

/// Where a token lies in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// White space or a comment stands before it.
    pub(super) spaced: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Digit,
    Space,
    Mark,
    /// Bytes that no statement has outside literals.
    Strange,
}

static CLASS: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80.. => Class::Word,
            b'0'..=b'9' => Class::Digit,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Class::Space,
            0x00..=0x1f | 0x7f => Class::Strange,
            _ => Class::Mark,
        };
        byte += 1;
    }
    table
}

/// The text is doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt;

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    modes: Modes,
    /// Within `/*! … */`, whose content counts.
    executed: bool,
}

/// All tokens of a text.
pub(super) fn tokens(text: &[u8], modes: Modes) -> Result<Vec<Token>, Doubt> {
    let mut scanner = Scanner::new(text, modes)?;
    let mut all = Vec::new();
    while let Some(token) = scanner.next()? {
        all.push(token);
    }
    Ok(all)
}

/// Appends the shape of a text: its tokens with literals replaced by marks, and one space where
/// there was white space or a comment. `Err`: it has none.
pub(super) fn shape(text: &[u8], modes: Modes, out: &mut Vec<u8>) -> Result<(), Doubt> {
    out.push(b'0' + u8::from(modes.ansi_quotes) + 2 * u8::from(modes.no_backslash_escapes));
    let mut scanner = Scanner::new(text, modes)?;
    while let Some(token) = scanner.next()? {
        if token.spaced {
            out.push(b' ');
        }
        match token.kind {
            Kind::String => out.push(STRING),
            Kind::Number | Kind::Coded => out.push(NUMBER),
            _ => out.extend_from_slice(&text[token.start..token.end]),
        }
    }
    Ok(())
}

/// The shape of `text` for people; `None` if it has none.
pub fn printed_shape(text: &[u8], modes: Modes) -> Option<String> {
    let mut out = Vec::with_capacity(text.len() + 1);
    shape(text, modes, &mut out).ok()?;
    Some(printable(&out))
}

/// A shape for people: a question mark for each literal.
pub(super) fn printable(shape: &[u8]) -> String {
    let marked = |byte: &u8| if matches!(*byte, STRING | NUMBER) { b'?' } else { *byte };
    // The modes come first.
    let text: Vec<u8> = shape.iter().skip(1).map(marked).collect();
    String::from_utf8_lossy(&text).trim_start().to_owned()
}

impl<'a> Scanner<'a> {
    fn new(text: &'a [u8], modes: Modes) -> Result<Scanner<'a>, Doubt> {
        if modes.oracle || (modes.ascii_in_letters && !text.is_ascii()) {
            return Err(Doubt);
        }
        Ok(Scanner { text, at: 0, modes, executed: false })
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Result<Option<Token>, Doubt> {
        let before = self.at;
        self.skip()?;
        let start = self.at;
        let Some(byte) = self.peek(0) else {
            return if self.executed { Err(Doubt) } else { Ok(None) };
        };
        let kind = match CLASS[usize::from(byte)] {
            Class::Word => self.word()?,
            Class::Digit => self.number(),
            Class::Mark => self.mark(byte)?,
            Class::Space | Class::Strange => return Err(Doubt),
        };
        Ok(Some(Token { kind, start, end: self.at, spaced: start > before }))
    }

    /// Passes white space and comments.
    fn skip(&mut self) -> Result<(), Doubt> {
        loop {
            match self.peek(0) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) => self.at += 1,
                Some(b'#') => self.line(),
                // Without white space behind it, it is two minus signs.
                Some(b'-') if self.peek(1) == Some(b'-') => match self.peek(2) {
                    Some(next) if !next.is_ascii_whitespace() && !next.is_ascii_control() => {
                        return Ok(());
                    }
                    _ => self.line(),
                },
                Some(b'/') if self.peek(1) == Some(b'*') => self.comment()?,
                Some(b'*') if self.executed && self.peek(1) == Some(b'/') => {
                    self.executed = false;
                    self.at += 2;
                }
                _ => return Ok(()),
            }
        }
    }

    fn line(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
    }

    /// A comment, or the opening of one that is executed.
    ///
    /// `/*!NNNNN` is executed by servers from that version on. All that there are execute what
    /// says 5.6 or less; MariaDB skips what says 5.7 to 9.99, MySQL does not: doubtful. So is
    /// `/*M!`, which is MariaDB's alone.
    fn comment(&mut self) -> Result<(), Doubt> {
        let marked = self.peek(2) == Some(b'!');
        if self.peek(2) == Some(b'M') && self.peek(3) == Some(b'!') {
            return Err(Doubt);
        }
        if !marked {
            let rest = &self.text[self.at + 2..];
            let end = rest.windows(2).position(|two| two == b"*/").ok_or(Doubt)?;
            self.at += 2 + end + 2;
            return Ok(());
        }
        if self.executed {
            return Err(Doubt);
        }
        let digits = self.text[self.at + 3..].iter().take_while(|b| b.is_ascii_digit()).count();
        let version = std::str::from_utf8(&self.text[self.at + 3..self.at + 3 + digits]);
        let version = version.ok().and_then(|digits| digits.parse::<u32>().ok());
        match (digits, version) {
            (0, _) => {}
            (5, Some(version)) if version < 50_700 => {}
            _ => return Err(Doubt),
        }
        self.at += 3 + digits;
        self.executed = true;
        Ok(())
    }

    fn word_end(&self, mut at: usize) -> usize {
        let goes_on = |byte: &u8| matches!(CLASS[usize::from(*byte)], Class::Word | Class::Digit);
        while self.text.get(at).is_some_and(goes_on) {
            at += 1;
        }
        at
    }

    fn word(&mut self) -> Result<Kind, Doubt> {
        // `$$ … $$` quotes in MySQL 9.
        if self.peek(0) == Some(b'$') {
            return Err(Doubt);
        }
        if let (Some(b'x' | b'X' | b'b' | b'B' | b'n' | b'N'), Some(b'\'')) =
            (self.peek(0), self.peek(1))
        {
            self.at += 1;
            self.quoted(b'\'', !self.modes.no_backslash_escapes)?;
            return Ok(Kind::Coded);
        }
        let start = self.at;
        self.at = self.word_end(start);
        let word = &self.text[start..self.at];
        // In an 8-bit character set a lone byte beyond ASCII may be white space.
        if !word.is_ascii() && std::str::from_utf8(word).is_err() {
            return Err(Doubt);
        }
        Ok(Kind::Word)
    }

    /// A number, or a word that starts with a digit.
    fn number(&mut self) -> Kind {
        // Behind a dot it is a name: `t.1`.
        if self.at > 0 && self.text[self.at - 1] == b'.' {
            self.at = self.word_end(self.at);
            return Kind::Word;
        }
        let start = self.at;
        let end = self.word_end(start);
        let word = &self.text[start..end];
        self.at = end;
        let is_number = word.iter().all(u8::is_ascii_digit);
        let coded = |prefix: u8, digit: fn(&u8) -> bool| {
            word.len() > 2 && word[0] == b'0' && word[1] == prefix && word[2..].iter().all(digit)
        };
        if coded(b'x', u8::is_ascii_hexdigit) || coded(b'b', |b| matches!(b, b'0' | b'1')) {
            return Kind::Coded;
        }
        if is_number && self.peek(0) == Some(b'.') {
            self.at += 1;
            self.fraction();
            return Kind::Number;
        }
        if is_number || self.exponent(start) { Kind::Number } else { Kind::Word }
    }

    /// What follows the dot of a number.
    fn fraction(&mut self) {
        let start = self.at;
        self.at = self.word_end(start);
        if !self.text[start..self.at].iter().all(u8::is_ascii_digit) && !self.exponent(start) {
            // `1.e` or `1.5abc`: the digits belong to the number, the rest is a word of its own.
            let digits = self.text[start..].iter().take_while(|b| b.is_ascii_digit()).count();
            self.at = start + digits;
        }
    }

    /// Whether the word from `start` to here is digits and an exponent, whose sign and digits
    /// are passed.
    fn exponent(&mut self, start: usize) -> bool {
        let word = &self.text[start..self.at];
        let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match &word[digits..] {
            [b'e' | b'E'] if matches!(self.peek(0), Some(b'+' | b'-')) => {
                let more = self.text[self.at + 1..].iter().take_while(|b| b.is_ascii_digit());
                let more = more.count();
                if more == 0 || self.word_end(self.at + 1) != self.at + 1 + more {
                    return false;
                }
                self.at += 1 + more;
                true
            }
            [b'e' | b'E', rest @ ..] => !rest.is_empty() && rest.iter().all(u8::is_ascii_digit),
            _ => false,
        }
    }

    fn mark(&mut self, byte: u8) -> Result<Kind, Doubt> {
        let escapes = !self.modes.no_backslash_escapes;
        match byte {
            b'\'' => self.quoted(byte, escapes).map(|()| Kind::String),
            b'"' if self.modes.ansi_quotes => self.quoted(byte, false).map(|()| Kind::Name),
            b'"' => self.quoted(byte, escapes).map(|()| Kind::String),
            b'`' => self.quoted(byte, false).map(|()| Kind::Name),
            b'@' => self.variable(),
            b'?' => Ok(self.take(1, Kind::Parameter)),
            b':' if self.peek(1) == Some(b'=') => Ok(self.take(2, Kind::Assign)),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit())
                && !self.behind_a_name() =>
            {
                self.at += 1;
                self.fraction();
                Ok(Kind::Number)
            }
            // `\N` is NULL in older servers.
            b'\\' => Err(Doubt),
            _ => Ok(self.take(1, Kind::Mark(byte))),
        }
    }

    fn take(&mut self, bytes: usize, kind: Kind) -> Kind {
        self.at += bytes;
        kind
    }

    /// The byte before is the end of a name: `t.1` and `` `t`.1 ``.
    fn behind_a_name(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| self.text[at]);
        before.is_some_and(|byte| {
            matches!(byte, b'`' | b'"')
                || matches!(CLASS[usize::from(byte)], Class::Word | Class::Digit)
        })
    }

    /// From a quote to its end; a doubled quote is one within.
    fn quoted(&mut self, quote: u8, escapes: bool) -> Result<(), Doubt> {
        self.at += 1;
        loop {
            match self.peek(0) {
                None => return Err(Doubt),
                Some(b'\\') if escapes => self.at += 2,
                Some(byte) if byte == quote => {
                    self.at += 1;
                    if self.peek(0) != Some(quote) {
                        return Ok(());
                    }
                    self.at += 1;
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// `@x`, `@@x`; a lone `@` is a mark.
    fn variable(&mut self) -> Result<Kind, Doubt> {
        self.at += 1;
        let system = self.peek(0) == Some(b'@');
        if system {
            self.at += 1;
        }
        match self.peek(0) {
            Some(b'`') => self.quoted(b'`', false)?,
            Some(quote @ (b'\'' | b'"')) if !system => {
                let name = quote == b'"' && self.modes.ansi_quotes;
                self.quoted(quote, !name && !self.modes.no_backslash_escapes)?;
            }
            _ => {
                let start = self.at;
                loop {
                    self.at = self.word_end(self.at);
                    // A user variable's name may have dots; a system variable's are tokens.
                    if system || self.peek(0) != Some(b'.') {
                        break;
                    }
                    self.at += 1;
                }
                if self.at == start {
                    return if system { Err(Doubt) } else { Ok(Kind::Mark(b'@')) };
                }
                if !self.text[start..self.at].is_ascii()
                    && std::str::from_utf8(&self.text[start..self.at]).is_err()
                {
                    return Err(Doubt);
                }
            }
        }
        Ok(if system { Kind::System } else { Kind::User })
    }
}

#[cfg(test)]
mod tests;
