//! PgBouncer's userlist.txt: `"user" "secret"` a line, `""` for a quote inside quotes, comment
//! lines begin with `;`, whatever follows the second string is ignored.

use super::super::secret::Secret;

/// One line that names a user.
#[derive(Debug)]
pub(super) struct Entry {
    /// From 1.
    pub(super) line: usize,
    pub(super) user: String,
    pub(super) secret: Secret,
}

/// Why a line cannot be read. Never shows the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("expected a user name in double quotes")]
    NoUser,
    #[error("expected a secret in double quotes after the user name")]
    NoSecret,
    #[error("the quotes are not closed on the same line")]
    Unclosed,
    #[error("the user name is empty")]
    EmptyUser,
    #[error("a zero byte")]
    Zero,
}

/// All entries in order; the number of the line with an error.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, (usize, LineError)> {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        let entry = parse_line(line).map_err(|error| (index + 1, error))?;
        entries.push(Entry { line: index + 1, user: entry.0, secret: entry.1 });
    }
    Ok(entries)
}

fn parse_line(line: &str) -> Result<(String, Secret), LineError> {
    let (user, rest) = quoted(line, LineError::NoUser)?;
    let (secret, _ignored) = quoted(rest.trim_start(), LineError::NoSecret)?;
    if user.is_empty() {
        return Err(LineError::EmptyUser);
    }
    if user.contains('\0') || secret.contains('\0') {
        return Err(LineError::Zero);
    }
    Ok((user, Secret::new(secret)))
}

/// Takes a quoted string off the front.
fn quoted(text: &str, missing: LineError) -> Result<(String, &str), LineError> {
    let mut rest = text.strip_prefix('"').ok_or(missing)?;
    let mut out = String::with_capacity(rest.len());
    loop {
        let (part, after) = rest.split_once('"').ok_or(LineError::Unclosed)?;
        out.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                out.push('"');
                rest = more;
            }
            None => return Ok((out, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, Vec<u8>) {
        let entries = parse(text).expect("a valid line");
        (entries[0].user.clone(), entries[0].secret.expose().to_vec())
    }

    #[test]
    fn quotes_spaces_comments_and_trailing_text_are_read_as_pgbouncer_does() {
        assert_eq!(one(r#""ann" "pw""#), ("ann".into(), b"pw".to_vec()));
        assert_eq!(one(r#"  "a ""b""" "p""w" anything"#), (r#"a "b""#.into(), br#"p"w"#.to_vec()));
        assert_eq!(one("\"ann\"\t\"\" \"x\""), ("ann".into(), Vec::new()));
        assert_eq!(one("\"ann\"\"pw\" \"x\""), ("ann\"pw".into(), b"x".to_vec()));
        assert_eq!(one("; \"no\" \"no\"\r\n\r\n\"ann\" \";\"\r\n"), ("ann".into(), b";".to_vec()));
    }

    #[test]
    fn a_broken_line_is_named() {
        for (text, line, error) in [
            ("ann pw", 1, LineError::NoUser),
            ("\n\"ann\"", 2, LineError::NoSecret),
            ("\"ann\" pw", 1, LineError::NoSecret),
            ("\"ann", 1, LineError::Unclosed),
            ("\"ann\" \"pw\"\"", 1, LineError::Unclosed),
            ("\"\" \"pw\"", 1, LineError::EmptyUser),
            ("\"ann\" \"p\0w\"", 1, LineError::Zero),
        ] {
            assert_eq!(parse(text).expect_err(text), (line, error), "{text}");
        }
    }
}
