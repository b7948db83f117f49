//! psql's scripts as statements: what of psql's own language the regression files need.

use std::collections::HashMap;

/// One piece of a script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Statement(String),
    /// COPY … FROM STDIN and its rows.
    CopyIn(String, String),
    /// `\c`: a new session.
    Reconnect,
}

/// Variables that psql has, from its environment or set by the script.
pub(crate) type Variables = HashMap<String, String>;

/// The pieces of a script, in order. `environment` answers `\getenv`.
pub(crate) fn pieces(script: &str, environment: &Variables) -> Vec<Piece> {
    let mut reader = Reader { variables: Variables::new(), environment, pieces: Vec::new() };
    let mut text = String::new();
    let mut lines = script.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let between = text.trim().is_empty();
        if between && line.trim_start().starts_with('\\') {
            reader.command(line.trim());
            continue;
        }
        text.push_str(line);
        while let Some((end, command)) = statement_end(&text) {
            let rest = text.split_off(end);
            let statement = reader.substitute(&std::mem::replace(&mut text, rest));
            if command {
                // \gset, \g, \gexec … : the statement is what stands before it.
                text.clear();
            }
            if copies_in(&statement) {
                let rows: String = lines.by_ref().take_while(|l| l.trim_end() != "\\.").collect();
                reader.pieces.push(Piece::CopyIn(statement, rows));
            } else if !statement.trim().is_empty() {
                reader.pieces.push(Piece::Statement(statement));
            }
        }
    }
    if !text.trim().is_empty() {
        let last = reader.substitute(&text);
        reader.pieces.push(Piece::Statement(last));
    }
    reader.pieces
}

fn copies_in(statement: &str) -> bool {
    let lower = statement.to_ascii_lowercase();
    lower.trim_start().starts_with("copy") && lower.contains("from stdin")
}

struct Reader<'a> {
    variables: Variables,
    environment: &'a Variables,
    pieces: Vec<Piece>,
}

impl Reader<'_> {
    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["\\getenv", name, from] => {
                let value = self.environment.get(from).cloned().unwrap_or_default();
                self.variables.insert(name.to_owned(), value);
            }
            ["\\set", name, ..] => {
                let value = words[2..].iter().map(|word| self.part(word)).collect();
                self.variables.insert(name.to_owned(), value);
            }
            ["\\c" | "\\connect", ..] => self.pieces.push(Piece::Reconnect),
            _ => {}
        }
    }

    fn part(&self, word: &str) -> String {
        match word.strip_prefix(':') {
            Some(name) => self.variables.get(name).cloned().unwrap_or_default(),
            None => word.trim_matches('\'').to_owned(),
        }
    }

    /// With the values of `:name`, `:'name'` and `:"name"`.
    fn substitute(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.variables {
            text = text.replace(&format!(":'{name}'"), &format!("'{value}'"));
            text = text.replace(&format!(":\"{name}\""), &format!("\"{value}\""));
            text = text.replace(&format!(":{name}"), value);
        }
        text
    }
}

/// Where the first statement of the text ends, and whether a command of psql's ends it.
fn statement_end(text: &str) -> Option<(usize, bool)> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut atomic) = (0, 0_usize, 0_usize);
    let mut before = String::new();
    while at < bytes.len() {
        match bytes[at] {
            b'\'' => {
                let escapes = at > 0 && matches!(bytes[at - 1], b'e' | b'E');
                at = quoted_end(bytes, at, escapes)?;
            }
            b'"' => at = quoted_end(bytes, at, false)?,
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at += text[at..].find('\n')?;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = comment_end(bytes, at)?,
            b'$' => at = dollar_end(text, at)?,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b';' if depth == 0 && atomic == 0 => return Some((at + 1, false)),
            b'\\' => return Some((at, true)),
            b if b.is_ascii_alphabetic() => {
                let word = text[at..].split(|c: char| !c.is_alphanumeric() && c != '_').next();
                let word = word.unwrap_or_default();
                // The body of a function in BEGIN ATOMIC … END holds semicolons.
                let lower = word.to_ascii_lowercase();
                match lower.as_str() {
                    "atomic" if before == "begin" => atomic = 1,
                    "case" if atomic > 0 => atomic += 1,
                    "end" if atomic > 0 => atomic -= 1,
                    _ => {}
                }
                before = lower;
                at += word.len().max(1);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The position of the quote that ends the one at `start`.
fn quoted_end(bytes: &[u8], start: usize, escapes: bool) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' if escapes => at += 2,
            quote if quote == bytes[start] => match bytes.get(at + 1) {
                Some(next) if *next == quote => at += 2,
                _ => return Some(at),
            },
            _ => at += 1,
        }
    }
}

/// The last position of the comment at `start`.
fn comment_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match bytes.get(at..at + 2)? {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at - 1);
        }
    }
}

/// The last position of the string in dollar quotes at `start`, or `start` if there is none.
fn dollar_end(text: &str, start: usize) -> Option<usize> {
    let rest = &text[start + 1..];
    let tag = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let inside = start > 0 && text.as_bytes()[start - 1].is_ascii_alphanumeric();
    let digit = rest.starts_with(|c: char| c.is_ascii_digit());
    if inside || digit || !rest[tag..].starts_with('$') {
        return Some(start);
    }
    let mark = &text[start..start + tag + 2];
    let from = start + mark.len();
    Some(from + text[from..].find(mark)? + mark.len() - 1)
}

#[test]
fn a_script_is_split_as_psql_splits_it() {
    let environment = Variables::from([("DIR".to_owned(), "/x".to_owned())]);
    let script = "\\getenv dir DIR\n\\set file :dir '/a.data'\nSELECT ';', $a$;$a$ -- ;\n, 1; \
                  SELECT 2;\nCOPY t FROM :'file';\nCOPY t FROM stdin;\n1\n2\n\\.\n\
                  SELECT 3 AS a \\gset\nSELECT E'\\';', (1;2);\n\\c -\n\
                  CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;\n";
    let statement = |text: &str| Piece::Statement(text.to_owned());
    let trimmed: Vec<Piece> = pieces(script, &environment)
        .into_iter()
        .map(|piece| match piece {
            Piece::Statement(text) => Piece::Statement(text.trim().to_owned()),
            Piece::CopyIn(text, rows) => Piece::CopyIn(text.trim().to_owned(), rows),
            other => other,
        })
        .collect();
    assert_eq!(
        trimmed,
        [
            statement("SELECT ';', $a$;$a$ -- ;\n, 1;"),
            statement("SELECT 2;"),
            statement("COPY t FROM '/x/a.data';"),
            Piece::CopyIn("COPY t FROM stdin;".into(), "1\n2\n".into()),
            statement("SELECT 3 AS a"),
            statement("SELECT E'\\';', (1;2);"),
            Piece::Reconnect,
            statement("CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;"),
        ]
    );
}
