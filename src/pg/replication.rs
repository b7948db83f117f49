//! Replication connections: each has a server connection of its own, to which it is relayed
//! untouched, logical and physical replication and base backups alike.
//!
//! Nothing of it goes through a pool: a walsender keeps state that nobody could take over.

mod frames;
mod open;
mod pump;
mod relay;

pub(super) use open::open;
pub(super) use relay::Relay;

use crate::refusal::Refusal;
use std::sync::Arc;

/// Where replication connections go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// They are refused.
    #[default]
    Off,
    /// Whoever is the primary; the connection ends with its reign.
    Primary,
    /// The node of this name, whatever its role.
    Node(Arc<str>),
}

/// What a replication connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `replication=true`: of no database.
    Physical,
    /// `replication=database`
    Logical,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Physical => "physical",
            Kind::Logical => "logical",
        }
    }

    /// Understands the startup parameter as PostgreSQL does (`ProcessStartupPacket`).
    pub(super) fn parse(value: &str) -> Result<Option<Kind>, Refusal> {
        if value == "database" {
            return Ok(Some(Kind::Logical));
        }
        match boolean(value) {
            Some(true) => Ok(Some(Kind::Physical)),
            Some(false) => Ok(None),
            None => Err(Refusal::ReplicationValue(value.to_owned())),
        }
    }
}

/// Beginnings of the words count, as far as they are clear (`parse_bool_with_len` in `bool.c`).
fn boolean(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    let is = |word: &str, least: usize| text.len() >= least && word.starts_with(&*text);
    if is("true", 1) || is("yes", 1) || is("on", 2) || text == "1" {
        return Some(true);
    }
    (is("false", 1) || is("no", 1) || is("off", 2) || text == "0").then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_is_read_as_the_server_reads_it() {
        for (value, expected) in [
            ("database", Some(Kind::Logical)),
            ("true", Some(Kind::Physical)),
            ("T", Some(Kind::Physical)),
            ("yes", Some(Kind::Physical)),
            ("On", Some(Kind::Physical)),
            ("1", Some(Kind::Physical)),
            ("false", None),
            ("no", None),
            ("of", None),
            ("OFF", None),
            ("0", None),
        ] {
            assert_eq!(Kind::parse(value), Ok(expected), "{value}");
        }
        for wrong in ["", "o", "Database", "databases", "2", "truee", "physical"] {
            assert_eq!(Kind::parse(wrong), Err(Refusal::ReplicationValue(wrong.into())));
        }
    }
}
