//! Takes the literals and comments out of a statement: what remains is its shape.
//!
//! One pass, no allocation besides the buffer it is given. The rules are those of PostgreSQL's
//! `scan.l`, with `standard_conforming_strings = on` (a session that turned it off must not ask).
//! A shape is the text itself, with each literal replaced by a mark and each run of white space
//! and comments by one space, so texts of one shape have the same tokens but for their literals.
//!
//! What this lexer is not certain about has no shape; the grammar looks at it every time.

/// Marks stand for literals; a text that holds one of these bytes itself has no shape.
const STRING: u8 = 1;
const INTEGER: u8 = 2;
const FRACTION: u8 = 3;
const PARAMETER: u8 = 4;

/// Integers of up to this many digits surely fit 32 bits; the grammar treats larger ones as
/// fractions.
const INTEGER_DIGITS: usize = 9;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Operators and punctuation: kept as they are.
    Mark,
    Word,
    Digit,
    Space,
    Quote,
    DoubleQuote,
    Dollar,
    Dot,
    Minus,
    Slash,
    /// Control characters: PostgreSQL refuses them outside literals.
    Strange,
}

static CLASS: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => Class::Word,
            b'0'..=b'9' => Class::Digit,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Class::Space,
            b'\'' => Class::Quote,
            b'"' => Class::DoubleQuote,
            b'$' => Class::Dollar,
            b'.' => Class::Dot,
            b'-' => Class::Minus,
            b'/' => Class::Slash,
            0x00..=0x1f | 0x7f => Class::Strange,
            _ => Class::Mark,
        };
        byte += 1;
    }
    table
}

/// Bytes that go on with a word.
static IN_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(CLASS[byte], Class::Word | Class::Digit | Class::Dollar);
        byte += 1;
    }
    table
};

/// Writes the shape of `sql` into the empty `out`; `None` if it has none.
pub(super) fn shape(sql: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut lexer = Lexer { sql, at: 0, kept: 0, out };
    while let Some(byte) = sql.get(lexer.at) {
        match CLASS[usize::from(*byte)] {
            Class::Mark => lexer.at += 1,
            Class::Word => lexer.word()?,
            Class::Digit => lexer.number(),
            Class::Space => lexer.space(),
            Class::Quote => lexer.string(lexer.at + 1, false)?,
            Class::DoubleQuote => lexer.quoted_identifier()?,
            Class::Dollar => lexer.dollar()?,
            Class::Dot => lexer.dot(),
            Class::Minus => lexer.minus(),
            Class::Slash => lexer.slash()?,
            Class::Strange => return None,
        }
    }
    lexer.keep();
    if out.last() == Some(&b' ') {
        out.pop();
    }
    Some(())
}

/// The shape of `sql` for people; `None` if it has none.
pub fn printed_shape(sql: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(sql.len());
    shape(sql, &mut out)?;
    Some(printable(&out))
}

/// A shape for people: a question mark for each literal.
pub(super) fn printable(shape: &[u8]) -> String {
    let marked = shape.iter().map(|byte| match *byte {
        STRING | INTEGER | FRACTION | PARAMETER => b'?',
        byte => byte,
    });
    String::from_utf8_lossy(&marked.collect::<Vec<u8>>()).into_owned()
}

struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
    /// From here to `at` the text goes into the shape as it is, when something else comes.
    kept: usize,
    out: &'a mut Vec<u8>,
}

impl Lexer<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.sql.get(at).copied().unwrap_or(0)
    }

    fn keep(&mut self) {
        self.out.extend_from_slice(&self.sql[self.kept..self.at]);
        self.kept = self.at;
    }

    /// Puts a mark in the place of the text up to `end`.
    fn literal(&mut self, end: usize, mark: u8) {
        self.keep();
        self.out.push(mark);
        self.at = end;
        self.kept = end;
    }

    /// Puts one space in the place of the text up to `end`; none at the start or after a space.
    fn gap(&mut self, end: usize) {
        self.keep();
        if !matches!(self.out.last(), None | Some(b' ')) {
            self.out.push(b' ');
        }
        self.at = end;
        self.kept = end;
    }

    fn word_end(&self, from: usize) -> usize {
        let rest = &self.sql[from..];
        let part = |byte: &u8| IN_WORD[usize::from(*byte)];
        from + rest.iter().position(|byte| !part(byte)).unwrap_or(rest.len())
    }

    fn digits_end(&self, from: usize) -> usize {
        let rest = &self.sql[from..];
        from + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
    }

    /// A keyword or an identifier, or the letter before a string that says how to read it.
    fn word(&mut self) -> Option<()> {
        let start = self.at;
        self.at = self.word_end(start + 1);
        if self.at - start > 1 {
            return Some(());
        }
        match (self.sql[start], self.byte(self.at), self.byte(self.at + 1)) {
            (b'e' | b'E', b'\'', _) => self.string(self.at + 1, true),
            (b'u' | b'U', b'&', b'\'') => {
                self.at += 1;
                self.string(self.at + 1, false)
            }
            // What such an identifier is called depends on the literal after UESCAPE.
            (b'u' | b'U', b'&', b'"') => None,
            _ => Some(()),
        }
    }

    fn space(&mut self) {
        let rest = &self.sql[self.at..];
        let class = |byte: &u8| CLASS[usize::from(*byte)];
        let run = rest.iter().position(|b| class(b) != Class::Space).unwrap_or(rest.len());
        if run == 1 && rest[0] == b' ' && self.kept < self.at {
            self.at += 1;
        } else {
            self.gap(self.at + run);
        }
    }

    /// A decimal number becomes a mark. Anything more adventurous (`0x1f`, `1_000`, `1a`) stays.
    fn number(&mut self) {
        let start = self.at;
        let mut end = self.digits_end(start);
        let mut mark = if end - start <= INTEGER_DIGITS { INTEGER } else { FRACTION };
        if self.byte(end) == b'.' && self.byte(end + 1) != b'.' {
            mark = FRACTION;
            end = self.digits_end(end + 1);
        }
        if matches!(self.byte(end), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(end + 1), b'+' | b'-'));
            if self.byte(end + 1 + sign).is_ascii_digit() {
                mark = FRACTION;
                end = self.digits_end(end + 1 + sign);
            }
        }
        let junk = self.word_end(end);
        if junk > end {
            self.at = junk;
        } else {
            self.literal(end, mark);
        }
    }

    fn dot(&mut self) {
        if self.byte(self.at + 1).is_ascii_digit() && self.byte(self.at.wrapping_sub(1)) != b'.' {
            self.number();
        } else {
            self.at += 1;
        }
    }

    /// The string whose text begins at `from`; `escapes` if a backslash quotes the next byte.
    fn string(&mut self, from: usize, escapes: bool) -> Option<()> {
        let mut end = from;
        loop {
            match self.sql.get(end)? {
                b'\'' if self.byte(end + 1) == b'\'' => end += 2,
                b'\'' => match self.continuation(end + 1) {
                    Some(next) => end = next,
                    None => break,
                },
                // In Shift-JIS, Big5 and GBK a backslash may be the second half of a letter.
                b'\\' if escapes && self.sql[end - 1] >= 0x80 => return None,
                b'\\' if escapes => end += 2,
                _ => end += 1,
            }
        }
        self.literal(end + 1, STRING);
        Some(())
    }

    /// A string goes on behind white space (and `--` comments) that holds a line end.
    fn continuation(&self, from: usize) -> Option<usize> {
        let mut at = from;
        let mut line_end = false;
        loop {
            match self.byte(at) {
                b'\n' | b'\r' => line_end = true,
                b' ' | b'\t' | 0x0b | 0x0c => {}
                b'-' if self.byte(at + 1) == b'-' => at = self.line_end(at) - 1,
                b'\'' if line_end => return Some(at + 1),
                _ => return None,
            }
            at += 1;
        }
    }

    fn line_end(&self, from: usize) -> usize {
        let rest = &self.sql[from..];
        from + rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len())
    }

    fn quoted_identifier(&mut self) -> Option<()> {
        let mut end = self.at + 1;
        loop {
            match self.sql.get(end)? {
                b'"' if self.byte(end + 1) == b'"' => end += 2,
                b'"' => break,
                _ => end += 1,
            }
        }
        self.at = end + 1;
        Some(())
    }

    /// `$1`, or a string between `$tag$` and `$tag$`.
    fn dollar(&mut self) -> Option<()> {
        let start = self.at;
        if self.byte(start + 1).is_ascii_digit() {
            self.literal(self.digits_end(start + 1), PARAMETER);
            return Some(());
        }
        let rest = &self.sql[start + 1..];
        let part = |byte: &u8| matches!(CLASS[usize::from(*byte)], Class::Word | Class::Digit);
        let tag_end = start + 1 + rest.iter().position(|byte| !part(byte))?;
        if self.sql[tag_end] != b'$' {
            return None;
        }
        let tag = &self.sql[start..=tag_end];
        let mut from = tag_end + 1;
        loop {
            let next = from + self.sql[from..].iter().position(|byte| *byte == b'$')?;
            if self.sql[next..].starts_with(tag) {
                self.literal(next + tag.len(), STRING);
                return Some(());
            }
            from = next + 1;
        }
    }

    fn minus(&mut self) {
        if self.byte(self.at + 1) == b'-' {
            self.gap(self.line_end(self.at));
        } else {
            self.at += 1;
        }
    }

    fn slash(&mut self) -> Option<()> {
        if self.byte(self.at + 1) != b'*' {
            self.at += 1;
            return Some(());
        }
        let mut end = self.at + 2;
        let mut depth = 1_usize;
        while depth > 0 {
            match (self.sql.get(end)?, self.byte(end + 1)) {
                (b'/', b'*') => (depth, end) = (depth + 1, end + 2),
                (b'*', b'/') => (depth, end) = (depth - 1, end + 2),
                _ => end += 1,
            }
        }
        self.gap(end);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::shape;

    /// Marks shown as `?`.
    fn shown(sql: &str) -> Option<String> {
        let mut out = Vec::new();
        shape(sql.as_bytes(), &mut out)?;
        let marks = out.iter().map(|b| if *b < 8 { b'?' } else { *b }).collect();
        Some(String::from_utf8(marks).unwrap())
    }

    #[test]
    fn literals_and_comments_are_taken_out() {
        for (sql, expected) in [
            ("SELECT abalance FROM a WHERE aid = 17;", "SELECT abalance FROM a WHERE aid = ?;"),
            ("  SELECT\n 'it''s',\t1.5e-3 ,.5, 1. ", "SELECT ?, ? ,?, ?"),
            (
                "SELECT E'a\\'b', e'\\\\', U&'d\\0061', b'01', X'1F', n'x'",
                "SELECT E?, e?, U&?, b?, X?, n?",
            ),
            ("SELECT $$a'b$$, $x$ $$ $y$ $x$, $1, $22", "SELECT ?, ?, ?, ?"),
            ("SELECT 'a' -- 'b'\n  'c' x", "SELECT ? x"),
            ("SELECT 'a' /* */ 'c'", "SELECT ? ?"),
            ("SELECT a/* /* x */ ' */-- y\n+b", "SELECT a +b"),
            ("SELECT 1+--2\n-3", "SELECT ?+ -?"),
            ("SELECT 1-/*x*/-2", "SELECT ?- -?"),
            ("/* a */ SELECT /* b */ 1 -- c", "SELECT ?"),
            ("SELECT \"a'b\"\"--c\", \"d  e\"", "SELECT \"a'b\"\"--c\", \"d  e\""),
            ("SELECT t1.c$1, x2::int4[1:2]", "SELECT t1.c$1, x2::int4[?:?]"),
            ("SELECT 0x1F, 1_000, 1a, te'x'", "SELECT 0x1F, 1_000, 1a, te?"),
            ("SELECT ünï, 'ü'", "SELECT ünï, ?"),
            ("", ""),
            (" -- nothing", ""),
        ] {
            assert_eq!(shown(sql).as_deref(), Some(expected), "{sql}");
        }
    }

    #[test]
    fn what_is_not_certain_has_no_shape() {
        for sql in [
            "SELECT 'a",
            "SELECT \"a",
            "SELECT $$a",
            "SELECT $a",
            "SELECT /* /* */",
            "SELECT E'a\\",
            "SELECT \u{1}",
            "SELECT U&\"d!0061\" UESCAPE '!'",
            "SELECT E'\u{e9}\\''",
            "SELECT E'a\\'",
        ] {
            assert_eq!(shown(sql), None, "{sql}");
        }
    }

    #[test]
    fn an_integer_is_not_a_fraction() {
        let of = |sql: &str| {
            let mut out = Vec::new();
            shape(sql.as_bytes(), &mut out).map(|()| out)
        };
        assert_eq!(of("FETCH 1"), of("FETCH 999999999"));
        assert_ne!(of("FETCH 1"), of("FETCH 1.0"));
        assert_ne!(of("FETCH 1"), of("FETCH 99999999999"));
        assert_ne!(of("LIMIT 1"), of("LIMIT NULL"));
        assert_ne!(of("SELECT 1"), of("SELECT '1'"));
    }
}
