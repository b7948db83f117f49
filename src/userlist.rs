//! The form of PgBouncer's `userlist.txt`: `"name" "password"` in each line, `;` starts a comment.
//!
//! Source: pgbouncer.org/config.html, "Authentication file format".

use zeroize::Zeroizing;

/// A line that is neither empty nor a comment.
#[derive(Debug)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// Name and password; `None`: the line has another form. It may hold a password all the same.
    pub user: Option<(String, Zeroizing<String>)>,
}

pub fn lines(text: &str) -> impl Iterator<Item = Line> {
    let numbered = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim_start()));
    let told = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with(';'));
    told.map(|(number, line)| {
        let user = quoted(line).and_then(|(name, rest)| {
            let (password, _) = quoted(rest)?;
            Some((name, Zeroizing::new(password)))
        });
        Line { number, user }
    })
}

/// An md5 hash proves nothing to SCRAM.
pub fn is_md5(password: &str) -> bool {
    let hash = password.strip_prefix("md5");
    hash.is_some_and(|h| h.len() == 32 && h.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Takes a quoted text, in which `""` is a quote, off the front.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.trim_start().strip_prefix('"')?;
    let mut found = String::new();
    loop {
        let end = rest.find('"')?;
        found.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                found.push('"');
                rest = after;
            }
            None => return Some((found, rest)),
        }
    }
}
