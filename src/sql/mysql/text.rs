//! The statements of a text, as pieces that can be asked for their words.

use super::analysis::Modes;
use super::lexer::{Doubt, Kind, Token, tokens};

/// A token with what it says.
#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    pub(super) kind: Kind,
    /// As it stands in the text.
    pub(super) raw: &'a [u8],
    /// Words, names and variables: without quotes and `@`, as written.
    pub(super) name: String,
    /// The same in lower case.
    pub(super) lower: String,
    pub(super) spaced: bool,
    /// Where it starts and ends in the text.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// One statement of a text.
#[derive(Clone, Copy)]
pub(super) struct Statement<'a> {
    pub(super) text: &'a [u8],
    pub(super) pieces: &'a [Piece<'a>],
}

/// All pieces of a text.
pub(super) fn pieces(text: &[u8], modes: Modes) -> Result<Vec<Piece<'_>>, Doubt> {
    let tokens = tokens(text, modes)?;
    Ok(tokens.into_iter().map(|token| piece(text, token)).collect())
}

fn piece(text: &[u8], token: Token) -> Piece<'_> {
    let Token { kind, start, end, spaced } = token;
    let raw = &text[start..end];
    let name = match kind {
        Kind::Word => String::from_utf8_lossy(raw).into_owned(),
        Kind::Name => unquoted(raw),
        Kind::User => unquoted(&raw[1..]),
        Kind::System => unquoted(&raw[2..]),
        _ => String::new(),
    };
    let lower = name.to_lowercase();
    Piece { kind, raw, name, lower, spaced, start, end }
}

fn unquoted(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    match text.chars().next() {
        Some(quote @ ('`' | '"' | '\'')) => {
            let inner = &text[1..text.len() - 1];
            inner.replace(&format!("{quote}{quote}"), &quote.to_string())
        }
        _ => text.into_owned(),
    }
}

impl<'a> Statement<'a> {
    /// The keyword or unquoted name at `at`, in lower case; empty for anything else.
    pub(super) fn word(&self, at: usize) -> &'a str {
        match self.pieces.get(at) {
            Some(Piece { kind: Kind::Word, lower, .. }) => lower,
            _ => "",
        }
    }

    /// The words from `at` on are these.
    pub(super) fn words(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.word(at + n) == *word)
    }

    /// The name at `at`, quoted or not.
    pub(super) fn name(&self, at: usize) -> Option<&'a str> {
        let piece = self.pieces.get(at)?;
        matches!(piece.kind, Kind::Word | Kind::Name).then_some(piece.name.as_str())
    }

    pub(super) fn kind(&self, at: usize) -> Option<Kind> {
        self.pieces.get(at).map(|piece| piece.kind)
    }

    pub(super) fn is_mark(&self, at: usize, mark: u8) -> bool {
        self.kind(at) == Some(Kind::Mark(mark))
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// It from `at` on.
    pub(super) fn from(&self, at: usize) -> Statement<'a> {
        Statement { text: self.text, pieces: self.pieces.get(at..).unwrap_or_default() }
    }

    /// It up to `at`.
    pub(super) fn until(&self, at: usize) -> Statement<'a> {
        Statement { text: self.text, pieces: &self.pieces[..at.min(self.len())] }
    }

    /// Its parts between the commas outside parentheses.
    pub(super) fn list(&self) -> Vec<Statement<'a>> {
        let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
        for (at, piece) in self.pieces.iter().enumerate() {
            match piece.kind {
                Kind::Mark(b'(') => depth += 1,
                Kind::Mark(b')') => depth = depth.saturating_sub(1),
                Kind::Mark(b',') if depth == 0 => {
                    parts.push(self.until(at).from(start));
                    start = at + 1;
                }
                _ => {}
            }
        }
        parts.push(self.from(start));
        parts
    }

    /// The first place from `at` on with this word outside parentheses.
    pub(super) fn find(&self, at: usize, word: &str) -> Option<usize> {
        let mut depth = 0_usize;
        (at..self.len()).find(|n| {
            match self.kind(*n) {
                Some(Kind::Mark(b'(')) => depth += 1,
                Some(Kind::Mark(b')')) => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && self.word(*n) == word
        })
    }

    /// The parenthesis that closes the one at `open`.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        (open..self.len()).find(|n| {
            match self.kind(*n) {
                Some(Kind::Mark(b'(')) => depth += 1,
                Some(Kind::Mark(b')')) => depth = depth.saturating_sub(1),
                _ => return false,
            }
            depth == 0
        })
    }

    /// The bytes from its first piece to its last.
    pub(super) fn written(&self) -> &'a [u8] {
        match (self.pieces.first(), self.pieces.last()) {
            (Some(first), Some(last)) => &self.text[first.start..last.end],
            _ => &[],
        }
    }
}

/// The statements of a text: the server parses one, and goes on behind its semicolon. A
/// statement that may hold semicolons itself takes all the rest.
pub(super) fn statements<'a>(text: &'a [u8], pieces: &'a [Piece<'a>]) -> Vec<Statement<'a>> {
    let mut rest = Statement { text, pieces };
    let mut all = Vec::new();
    while rest.len() > 0 {
        let semicolon = (0..rest.len()).find(|at| rest.is_mark(*at, b';'));
        let end = semicolon.filter(|_| !is_compound(&rest)).unwrap_or(rest.len());
        if end > 0 {
            all.push(rest.until(end));
        }
        rest = rest.from(end + 1);
    }
    all
}

/// Whether a statement may have others inside: stored programs, and MariaDB's blocks.
pub(super) fn is_compound(statement: &Statement<'_>) -> bool {
    match statement.word(0) {
        "begin" => statement.word(1) == "not",
        "if" | "case" | "loop" | "while" | "repeat" | "for" | "declare" => true,
        "create" | "alter" => (1..statement.len().min(16)).any(|at| {
            let word = statement.word(at);
            matches!(word, "procedure" | "function" | "trigger" | "event" | "package" | "library")
        }),
        "set" => match statement.word(1) {
            "statement" => {
                statement.find(2, "for").is_some_and(|at| is_compound(&statement.from(at + 1)))
            }
            _ => false,
        },
        // A label.
        _ => statement.is_mark(1, b':'),
    }
}
