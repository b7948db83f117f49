//! Files of sections with `key = value`: PgBouncer's and MaxScale's.

/// One setting, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// From 1.
    pub(super) line: usize,
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
}

/// A line that is neither a section nor a setting nor a comment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
}

/// Reads a file. `;` and `#` start a comment at the beginning of a line only, since both may stand in
/// a password. A line like `%include FILE` is a setting `%include`.
pub(super) fn read(text: &str) -> Result<Vec<Setting>, BadLine> {
    let (mut found, mut section) = (Vec::new(), String::new());
    for (number, line) in text.lines().enumerate() {
        let (number, line) = (number + 1, line.trim());
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().filter(|_| name.contains(']'));
            section = name.ok_or(BadLine { line: number })?.trim().to_owned();
            continue;
        }
        let (key, value) = match line.strip_prefix("%include") {
            Some(file) => ("%include", file),
            None => line.split_once('=').ok_or(BadLine { line: number })?,
        };
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        found.push(Setting { line: number, section: section.clone(), key, value });
    }
    Ok(found)
}

/// `key=value key='a value'`, in which `''` is a quote: a connection string.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let (mut found, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('\'') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        found.push((key.trim().to_owned(), value));
        rest = left.trim_start();
    }
    Some(found)
}

/// The text up to the closing quote, and what follows it.
fn unquoted(mut rest: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    loop {
        let end = rest.find('\'')?;
        text.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                text.push('\'');
                rest = after;
            }
            None => return Some((text, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_know_their_section_and_line() {
        let text = "; c\n[a b]\nx=1 ; no comment\n\n# c\n%include /etc/x.ini\n";
        let read = read(text).unwrap();
        assert_eq!(
            (read[0].line, &*read[0].section, &*read[0].value),
            (3, "a b", "1 ; no comment")
        );
        assert_eq!((read[1].line, &*read[1].key, &*read[1].value), (6, "%include", "/etc/x.ini"));
        assert_eq!(super::read("[a]\nnothing"), Err(BadLine { line: 2 }));
    }

    #[test]
    fn connection_strings_are_split_as_libpq_does() {
        let read = pairs("host = h  password='it''s  x' port=1").unwrap();
        let want = [("host", "h"), ("password", "it's  x"), ("port", "1")];
        assert_eq!(read, want.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(pairs("host='open"), None);
        assert_eq!(pairs(""), Some(vec![]));
    }
}
