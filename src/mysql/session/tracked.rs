//! What the server tells of a session by session tracking, and what of that the client gets.

use super::pins::Pins;
use crate::mysql::registry::Pin;
use crate::mysql::wire::WireError;
use crate::mysql::wire::track::{Change, changes, put_variable};
use bytes::BytesMut;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Session variables by name, as the server writes their values.
pub(in crate::mysql) type Variables = BTreeMap<Box<str>, Box<str>>;

/// Switches on what we need to be told. The names are the same for MySQL and MariaDB.
pub(in crate::mysql) const SETUP: &str = "SET SESSION session_track_system_variables = '*', \
    session_track_state_change = ON, session_track_transaction_info = 'CHARACTERISTICS'";

/// What servers tell of by themselves, unless they are asked for more.
const BY_DEFAULT: [&str; 5] = [
    "autocommit",
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "time_zone",
];

/// Told like the others, but nobody can set them, or they belong to a statement.
const NOT_OF_THE_SESSION: [&str; 8] = [
    "error_count",
    "gtid_executed",
    "gtid_owned",
    "identity",
    "insert_id",
    "last_insert_id",
    "timestamp",
    "warning_count",
];

/// What is known of a session by its server's word.
#[derive(Clone, Debug, Default)]
pub(in crate::mysql) struct Tracked {
    /// What differs from a fresh connection of its pool.
    pub(in crate::mysql) variables: Arc<Variables>,
    /// The schema, where it is not the pool's any more.
    pub(in crate::mysql) schema: Option<Box<str>>,
    /// The next transaction has properties of its own.
    pub(in crate::mysql) characteristics: bool,
    /// The last command's transaction, where the server tells of it.
    pub(super) gtid: Option<Box<str>>,
}

impl Tracked {
    /// Takes in what came with an OK packet. `pins`: what is known already to stay behind.
    pub(super) fn hear(&mut self, track: &[u8], pins: &mut Pins) -> Result<(), WireError> {
        let (mut state, mut explained) = (false, !pins.is_empty());
        for told in changes(track)? {
            match told.change {
                Change::Variable { name, value } => {
                    explained = true;
                    self.variable(name, value, pins);
                }
                Change::Schema(name) => {
                    explained = true;
                    match std::str::from_utf8(name) {
                        // Without any, its schema was dropped: nobody can be brought there.
                        Ok("") | Err(_) => pins.add(Pin::Setting),
                        Ok(name) => self.schema = Some(name.into()),
                    }
                }
                Change::State(changed) => state |= changed,
                Change::Characteristics(text) => self.characteristics = !text.is_empty(),
                Change::Transaction(_) | Change::Gtids(_) | Change::Other => {}
            }
        }
        if state && !explained {
            // Something is left there of which nothing was seen.
            pins.add(Pin::Code);
        }
        Ok(())
    }

    fn variable(&mut self, name: &[u8], value: &[u8], pins: &mut Pins) {
        let plain = |bytes: &[u8]| bytes.is_ascii() && !bytes.contains(&b'\\');
        let text = std::str::from_utf8(name).ok().zip(std::str::from_utf8(value).ok());
        match text.filter(|_| plain(name) && plain(value)) {
            Some((name, _)) if name.starts_with("session_track") => pins.add(Pin::Setting),
            Some(("last_gtid", gtid)) => self.gtid = Some(gtid.into()).filter(|_| !gtid.is_empty()),
            Some((name, _)) if NOT_OF_THE_SESSION.contains(&name) => {}
            Some((name, value)) => {
                if self.variables.get(name).map(|v| &**v) != Some(value) {
                    Arc::make_mut(&mut self.variables).insert(name.into(), value.into());
                }
            }
            // It cannot be said again whatever the modes and character sets are.
            None => pins.add(Pin::Setting),
        }
    }
}

/// What a client that tracks its session gets of it: what a server tells without being asked.
pub(super) fn for_the_client(track: &[u8]) -> Result<BytesMut, WireError> {
    let mut out = BytesMut::new();
    for told in changes(track)? {
        match told.change {
            Change::Variable { name, value } if BY_DEFAULT.iter().any(|n| n.as_bytes() == name) => {
                put_variable(&mut out, name, value);
            }
            Change::Schema(_) => out.extend_from_slice(told.bytes),
            _ => {}
        }
    }
    Ok(out)
}

/// The statement that makes `wanted` of a connection that has `there`; `None`: nothing to say.
/// Every variable that is there is among the wanted ones.
pub(in crate::mysql) fn assign(wanted: &Variables, there: &Variables) -> Option<String> {
    let missing = wanted.iter().filter(|(name, value)| there.get(*name) != Some(value));
    // In the order of their names: character sets before the collation that belongs to them.
    let parts: Vec<String> =
        missing.map(|(name, value)| format!("{name} = {}", literal(name, value))).collect();
    (!parts.is_empty()).then(|| format!("SET SESSION {}", parts.join(", ")))
}

fn literal(name: &str, value: &str) -> String {
    let number = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = |c: char| c.is_ascii_digit() || c == '.';
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(plain)
    };
    match value {
        "" if name == "character_set_results" => "NULL".into(),
        value if number(value) => value.into(),
        value => format!("'{}'", value.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(all: &[(&str, &str)]) -> BytesMut {
        let mut out = BytesMut::new();
        all.iter()
            .for_each(|(name, value)| put_variable(&mut out, name.as_bytes(), value.as_bytes()));
        out
    }

    #[test]
    fn variables_are_remembered_and_said_again_where_they_differ() {
        let (mut tracked, mut pins) = (Tracked::default(), Pins::default());
        let all = told(&[("time_zone", "+01:00"), ("wait_timeout", "100"), ("sql_mode", "")]);
        tracked.hear(&all, &mut pins).expect("changes");
        assert!(pins.is_empty());
        let there = Variables::from([("time_zone".into(), "+01:00".into())]);
        let said = assign(&tracked.variables, &there);
        assert_eq!(said.as_deref(), Some("SET SESSION sql_mode = '', wait_timeout = 100"));
        assert_eq!(assign(&tracked.variables, &tracked.variables), None);
    }

    #[test]
    fn what_is_not_explained_pins() {
        let (mut tracked, mut pins) = (Tracked::default(), Pins::default());
        tracked.hear(b"\x02\x011", &mut pins).expect("changes");
        assert_eq!(pins.first(), Pin::Code);
        let mut pins = Pins::default();
        tracked.hear(&told(&[("init", "a\\b")]), &mut pins).expect("changes");
        assert_eq!(pins.first(), Pin::Setting);
    }

    #[test]
    fn a_client_hears_what_a_server_tells_by_itself() {
        let mut all = told(&[("time_zone", "SYSTEM"), ("wait_timeout", "1")]);
        all.extend_from_slice(b"\x01\x02\x01s\x02\x011");
        let mut expected = told(&[("time_zone", "SYSTEM")]);
        expected.extend_from_slice(b"\x01\x02\x01s");
        assert_eq!(for_the_client(&all), Ok(expected));
    }
}
