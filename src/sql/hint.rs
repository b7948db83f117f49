//! What a comment in front of a statement asks of the proxy:
//!
//! ```sql
//! /* tidegate: consistency=strong, route=reports */ SELECT …
//! -- tidegate: route=primary
//! SELECT …
//! ```
//!
//! The names are those of the parameters that SET changes for a session, without `tidegate.`.

/// Names and values in their order, as they stand there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint(pub Vec<(Box<str>, Box<str>)>);

const MARK: &[u8] = b"tidegate:";

/// The hints of all comments that a text begins with; `None` when there are none, as usual.
pub fn hint(sql: &[u8]) -> Option<Hint> {
    let mut rest = sql.trim_ascii_start();
    let mut found: Option<Hint> = None;
    while let Some((comment, after)) = comment(rest) {
        let comment = comment.trim_ascii_start();
        if let Some(said) = comment.strip_prefix(MARK) {
            found.get_or_insert_default().0.extend(words(said));
        }
        rest = after.trim_ascii_start();
    }
    found
}

/// The inside of the comment that `rest` begins with, and what follows it.
fn comment(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    // Where `#` begins no comment, it begins no statement either.
    if let Some(line) = rest.strip_prefix(b"--").or_else(|| rest.strip_prefix(b"#")) {
        let end = line.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(line.len());
        return Some(line.split_at(end));
    }
    let inside = rest.strip_prefix(b"/*")?;
    let (mut depth, mut at) = (1_usize, 0);
    while depth > 0 {
        match inside.get(at..at + 2)? {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    Some((&inside[..at - 2], &inside[at..]))
}

/// `name=value` pairs with commas or spaces between; a name without a value has an empty one.
fn words(said: &[u8]) -> Vec<(Box<str>, Box<str>)> {
    let text = String::from_utf8_lossy(said);
    let pairs = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let pair = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        (name.to_ascii_lowercase().into(), value.trim_matches(['\'', '"']).into())
    };
    pairs.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(sql: &str) -> Option<Vec<(String, String)>> {
        let own = |(name, value): &(Box<str>, Box<str>)| (name.to_string(), value.to_string());
        hint(sql.as_bytes()).map(|hint| hint.0.iter().map(own).collect())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn a_comment_in_front_says_what_it_says() {
        let both = vec![pair("consistency", "strong"), pair("route", "b")];
        for sql in [
            "/* tidegate: consistency=strong, route=b */ SELECT 1",
            "  /*tidegate:consistency=strong route='b'*/SELECT 1",
            "-- tidegate: Consistency=strong,route=b\nSELECT 1",
            "# tidegate: consistency=strong, route=b\nSELECT 1",
            "/* by us */ /* tidegate: consistency=strong */ -- tidegate: route=b",
            "/* /* nested */ */ /* tidegate: consistency=strong,route=b */",
        ] {
            assert_eq!(pairs(sql), Some(both.clone()), "{sql}");
        }
        assert_eq!(pairs("/* tidegate: fast */ SELECT 1"), Some(vec![pair("fast", "")]));
        assert_eq!(pairs("/* tidegate: */"), Some(vec![]));
    }

    #[test]
    fn other_comments_say_nothing() {
        for sql in [
            "SELECT 1",
            "SELECT /* tidegate: route=primary */ 1",
            "/* not tidegate: route=primary */ SELECT 1",
            "/* tidegate: route=primary",
            "/* Tidegate is fine */ SELECT 1",
            "",
            "/",
            "-",
        ] {
            assert_eq!(pairs(sql), None, "{sql}");
        }
    }
}
