//! The name of a backup: the second at which it began.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Such as `20261122T030000Z`; the order of the names is the order of the backups.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(String);

const FORM: &str = "%Y%m%dT%H%M%SZ";

impl BackupId {
    pub fn at(time: Timestamp) -> BackupId {
        BackupId(time.strftime(FORM).to_string())
    }

    /// `None`: it is no name of a backup.
    pub fn parse(text: &str) -> Option<BackupId> {
        let time = jiff::civil::DateTime::strptime(FORM, text).ok()?;
        let time = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let id = BackupId::at(time);
        (id.0 == text).then_some(id)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for BackupId {
    type Error = String;
    fn try_from(text: String) -> Result<BackupId, String> {
        BackupId::parse(&text).ok_or_else(|| format!("{text:?} is no name of a backup"))
    }
}

impl std::convert::From<BackupId> for String {
    fn from(id: BackupId) -> String {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_nothing_else_is_a_name() {
        let id = BackupId::at("2026-11-22T03:00:00Z".parse().unwrap());
        assert_eq!(id.as_str(), "20261122T030000Z");
        assert_eq!(BackupId::parse("20261122T030000Z"), Some(id));
        for wrong in ["", "../x", "20261122T030000", "20261322T030000Z", "2026112T0030000Z"] {
            assert_eq!(BackupId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_sort_by_time() {
        let at = |text: &str| BackupId::at(text.parse().unwrap());
        assert!(at("2026-11-22T03:00:00Z") < at("2026-11-22T03:00:01Z"));
        assert!(at("2026-12-31T23:59:59Z") < at("2027-01-01T00:00:00Z"));
    }
}
