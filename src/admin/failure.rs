//! Why a command or a connection is refused, as the client reads it.

use pgwire::error::{ErrorInfo, PgWireError};
use thiserror::Error;

/// An error with its SQLSTATE and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub(super) struct Failure {
    fatal: bool,
    code: &'static str,
    message: String,
    hint: Option<String>,
}

pub(super) const SYNTAX: &str = "42601";
pub(super) const UNDEFINED_COLUMN: &str = "42703";
pub(super) const UNDEFINED_OBJECT: &str = "42704";
pub(super) const NOT_SUPPORTED: &str = "0A000";
pub(super) const CONFIG: &str = "F0000";
pub(super) const PROTOCOL: &str = "08P01";
/// `object_not_in_prerequisite_state`
pub(super) const NOT_NOW: &str = "55000";
pub(super) const INTERNAL: &str = "XX000";

impl Failure {
    /// The command fails, the connection stays.
    pub(super) fn error(code: &'static str, message: impl Into<String>) -> Failure {
        Failure { fatal: false, code, message: message.into(), hint: None }
    }
    /// The connection ends.
    pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> Failure {
        Failure { fatal: true, code, message: message.into(), hint: None }
    }
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
    #[cfg(test)]
    pub(super) fn parts(&self) -> (&str, &str, &str) {
        (self.code, &self.message, self.hint.as_deref().unwrap_or(""))
    }
}

impl From<Failure> for ErrorInfo {
    fn from(failure: Failure) -> ErrorInfo {
        let severity = if failure.fatal { "FATAL" } else { "ERROR" };
        let mut info =
            ErrorInfo::new(severity.to_string(), failure.code.to_string(), failure.message);
        info.hint = failure.hint;
        info.severity_nonlocalized = Some(severity.to_string());
        info
    }
}

impl From<Failure> for PgWireError {
    fn from(failure: Failure) -> PgWireError {
        PgWireError::UserError(Box::new(failure.into()))
    }
}
