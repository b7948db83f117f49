//! Why something was not done, as a program reads it: with its number in the catalogue of errors.

use crate::refusal::catalogue::Number;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// `TG0951`
    pub number: String,
    pub error: String,
    /// SQLSTATE, where the console said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What these pages themselves refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The request has no token that opens anything.
    Stranger,
    /// Without a token nobody commands.
    NoToken,
    NoLogin,
    WrongToken,
    NoRandom,
    NothingHere,
    /// Another method is for this page.
    Method,
    /// The body or the query, and why it was not understood.
    Malformed(String),
}

impl Fault {
    pub(super) fn number(&self) -> Number {
        Number(match self {
            Fault::Stranger => 951,
            Fault::NoToken => 952,
            Fault::NoLogin => 953,
            Fault::WrongToken => 954,
            Fault::NoRandom => 955,
            Fault::NothingHere => 956,
            Fault::Method => 957,
            Fault::Malformed(_) => 958,
        })
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Fault::Stranger | Fault::WrongToken => StatusCode::UNAUTHORIZED,
            Fault::NoToken | Fault::NoLogin => StatusCode::FORBIDDEN,
            Fault::NoRandom => StatusCode::INTERNAL_SERVER_ERROR,
            Fault::NothingHere => StatusCode::NOT_FOUND,
            Fault::Method => StatusCode::METHOD_NOT_ALLOWED,
            Fault::Malformed(_) => StatusCode::BAD_REQUEST,
        }
    }

    fn says(&self) -> (&str, &'static str) {
        match self {
            Fault::Stranger => (
                "a valid bearer token is required",
                "send \"Authorization: Bearer TOKEN\", with the token of http.token",
            ),
            Fault::NoToken => ("commands need a token", "set http.token_file, or use the console"),
            Fault::NoLogin => ("no token is configured", "set http.token_file to allow logins"),
            Fault::WrongToken => ("this is not the token", "it is the one of http.token_file"),
            Fault::NoRandom => ("no random numbers", "look at the machine's log"),
            Fault::NothingHere => (
                "nothing is served here",
                "/, /metrics, /healthz, /readyz, /api/v1/overview and /api/v1/status are",
            ),
            Fault::Method => (
                "this page takes no such method",
                "POST for /api/v1/login, logout and command, GET for the others",
            ),
            Fault::Malformed(why) => (why, "send what docs/operations.md shows"),
        }
    }
}

impl From<&Fault> for Problem {
    fn from(fault: &Fault) -> Problem {
        let (error, hint) = fault.says();
        let (error, hint) = (error.to_owned(), Some(hint.to_owned()));
        Problem { number: fault.number().to_string(), error, code: None, hint }
    }
}

impl From<JsonRejection> for Fault {
    fn from(why: JsonRejection) -> Fault {
        Fault::Malformed(why.body_text())
    }
}

impl From<QueryRejection> for Fault {
    fn from(why: QueryRejection) -> Fault {
        Fault::Malformed(why.body_text())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.status(), Json(Problem::from(&self))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::catalogue;

    #[test]
    fn every_fault_is_in_the_catalogue_and_the_other_way_round() {
        let malformed = Fault::Malformed("x".into());
        let all = [
            Fault::Stranger,
            Fault::NoToken,
            Fault::NoLogin,
            Fault::WrongToken,
            Fault::NoRandom,
            Fault::NothingHere,
            Fault::Method,
            malformed,
        ];
        let known: Vec<_> =
            catalogue::entries().filter(|entry| (951..970).contains(&entry.number.0)).collect();
        assert_eq!(known.len(), all.len());
        for fault in all {
            let entry = known.iter().find(|entry| entry.number == fault.number());
            let entry = entry.unwrap_or_else(|| panic!("{fault:?}"));
            assert_eq!(entry.status, fault.status().as_u16(), "{fault:?}");
            let said = Problem::from(&fault).error;
            assert!(entry.message.split('…').all(|part| said.contains(part.trim())), "{said}");
        }
    }
}
