//! Every error that a client of ours can see, by a number that stays the same: what it means and what
//! to do. `tidegate explain TG0123` prints one, `tidegate explain --errors` all of them.
//!
//! A number is never used for another error, even when its own is gone.

use super::{doors, table};
use std::fmt::{self, Display, Write};

/// `TG0123`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u16);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TG{:04}", self.0)
    }
}

/// An error and its cure.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub number: Number,
    /// What a PostgreSQL client gets; empty: there is none for it.
    pub sqlstate: &'static str,
    /// What a MySQL or MariaDB client gets; 0: there is none for it.
    pub errno: u16,
    /// What a program gets over HTTP; 0: there is none for it.
    pub status: u16,
    /// The message, with … for what differs.
    pub message: &'static str,
    pub cause: &'static str,
    pub cure: &'static str,
}

/// All of them, by number.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    table::ENTRIES.iter().chain(doors::ENTRIES)
}

/// `TG0123`, `tg123` or `123`.
pub fn find(text: &str) -> Option<&'static Entry> {
    let text = text.trim().to_ascii_uppercase();
    let digits = text.strip_prefix("TG").unwrap_or(&text);
    let number: u16 = digits.parse().ok()?;
    entries().find(|entry| entry.number.0 == number)
}

/// A hint that ends with the number, which stands alone where there is no hint.
pub fn numbered(hint: &str, number: Number) -> String {
    if hint.is_empty() { format!("({number})") } else { format!("{hint} ({number})") }
}

impl Entry {
    fn codes(&self) -> String {
        let mut codes = Vec::new();
        if !self.sqlstate.is_empty() {
            codes.push(format!("SQLSTATE {}", self.sqlstate));
        }
        if self.errno != 0 {
            codes.push(format!("MySQL {}", self.errno));
        }
        if self.status != 0 {
            codes.push(format!("HTTP {}", self.status));
        }
        codes.join(", ")
    }
}

/// For a terminal.
impl Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { number, message, cause, cure, .. } = self;
        writeln!(f, "{number}: {message}\n{}\n", self.codes())?;
        writeln!(f, "cause: {cause}")?;
        writeln!(f, "cure:  {cure}")
    }
}

/// All errors as one page.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Errors of Tidegate\n\n\
         Errors that Tidegate itself makes carry a number: at the end of the hint towards clients of\n\
         PostgreSQL's protocol, at the end of the message towards those of MySQL's, which has no\n\
         hints; over HTTP it is `number`. An error without a number is the database server's own.\n\
         `tidegate explain TG0101` prints what stands here.\n",
    );
    for entry in entries() {
        let Entry { number, message, cause, cure, .. } = entry;
        let _ = write!(
            page,
            "\n## {number}\n`{message}`  \n{}\n\n**Cause.** {cause}\n\n**Cure.** {cure}\n",
            entry.codes()
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_order_and_none_is_used_twice() {
        let all: Vec<_> = entries().collect();
        assert!(all.windows(2).all(|pair| pair[0].number < pair[1].number));
        let coded = |e: &&Entry| e.sqlstate.len() == 5 || e.errno != 0 || e.status != 0;
        assert!(all.iter().all(coded));
        assert!(all.iter().all(|e| e.cause.ends_with('.') && e.cure.ends_with('.')));
    }

    #[test]
    fn an_error_is_found_however_its_number_is_written() {
        for text in ["TG0101", "tg0101", " 101", "TG101"] {
            assert_eq!(find(text).map(|entry| entry.number), Some(Number(101)), "{text}");
        }
        assert!(find("TG").is_none() && find("SELECT 1").is_none() && find("TG9999").is_none());
        assert_eq!(numbered("", Number(7)), "(TG0007)");
    }
}
