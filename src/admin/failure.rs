//! Why a command or a connection is refused, as the client reads it.

use crate::refusal::catalogue::{Number, numbered};
use pgwire::error::{ErrorInfo, PgWireError};
use thiserror::Error;

/// An error with its SQLSTATE and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub(super) struct Failure {
    fatal: bool,
    code: Code,
    message: String,
    hint: Option<String>,
}

/// A kind of failure: its SQLSTATE, and its number in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    sqlstate: &'static str,
    number: Number,
}

macro_rules! codes {
    ($($(#[$about:meta])* $name:ident = $sqlstate:literal, $number:literal;)+) => {
        $($(#[$about])* pub(super) const $name: Code =
            Code { sqlstate: $sqlstate, number: Number($number) };)+
        #[cfg(test)]
        const ALL: &[Code] = &[$($name),+];
    };
}

codes! {
    SYNTAX = "42601", 901;
    UNDEFINED_COLUMN = "42703", 902;
    UNDEFINED_OBJECT = "42704", 903;
    NOT_SUPPORTED = "0A000", 904;
    CONFIG = "F0000", 905;
    PROTOCOL = "08P01", 906;
    /// `object_not_in_prerequisite_state`
    NOT_NOW = "55000", 907;
    INTERNAL = "XX000", 908;
    TOO_MANY = "53300", 909;
    LATE = "08006", 910;
    PASSWORD = "28P01", 911;
    LOGIN = "28000", 912;
    DATABASE = "3D000", 913;
    ENDING = "57P01", 914;
    READ_ONLY = "42501", 915;
}

impl Failure {
    /// The command fails, the connection stays.
    pub(super) fn error(code: Code, message: impl Into<String>) -> Failure {
        Failure { fatal: false, code, message: message.into(), hint: None }
    }
    /// The connection ends.
    pub(super) fn fatal(code: Code, message: impl Into<String>) -> Failure {
        Failure { fatal: true, code, message: message.into(), hint: None }
    }
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
    /// For whoever does not speak PostgreSQL's protocol: SQLSTATE, number, message, hint.
    pub(super) fn told(self) -> (&'static str, Number, String, Option<String>) {
        (self.code.sqlstate, self.code.number, self.message, self.hint)
    }
    #[cfg(test)]
    pub(super) fn parts(&self) -> (&str, &str, &str) {
        (self.code.sqlstate, &self.message, self.hint.as_deref().unwrap_or(""))
    }
}

impl From<Failure> for ErrorInfo {
    fn from(failure: Failure) -> ErrorInfo {
        let severity = if failure.fatal { "FATAL" } else { "ERROR" };
        let mut info = ErrorInfo::new(
            severity.to_string(),
            failure.code.sqlstate.to_string(),
            failure.message,
        );
        info.hint =
            Some(numbered(failure.hint.as_deref().unwrap_or_default(), failure.code.number));
        info.severity_nonlocalized = Some(severity.to_string());
        info
    }
}

impl From<Failure> for PgWireError {
    fn from(failure: Failure) -> PgWireError {
        PgWireError::UserError(Box::new(failure.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::catalogue;

    #[test]
    fn every_failure_is_in_the_catalogue_and_the_other_way_round() {
        let ours = |entry: &&catalogue::Entry| (901..950).contains(&entry.number.0);
        let known: Vec<_> = catalogue::entries().filter(ours).collect();
        assert_eq!(known.len(), ALL.len());
        for code in ALL {
            let entry = known.iter().find(|entry| entry.number == code.number);
            assert_eq!(entry.map(|entry| entry.sqlstate), Some(code.sqlstate), "{}", code.number);
        }
    }
}
