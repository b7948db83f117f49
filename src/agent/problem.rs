//! Refusals as a caller reads them: with their number in the catalogue of errors, and a hint.

use super::obey::refused;
use crate::orders::{Refused, Why};
use crate::refusal::catalogue::Number;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request was not carried out.
#[derive(Clone, Debug)]
pub(super) enum Problem {
    Refused(Refused),
    /// The caller has no token that opens anything.
    Stranger,
    NothingHere,
}

#[derive(Serialize)]
struct Told {
    number: String,
    #[serde(flatten)]
    refused: Refused,
}

impl Problem {
    fn number(&self) -> Number {
        Number(match self {
            Problem::Refused(refused) => match refused.why {
                Why::OldTerm => 971,
                Why::NotAllowed => 972,
                Why::Busy => 973,
                Why::Failed => 974,
                Why::Nonsense => 975,
            },
            Problem::Stranger => 976,
            Problem::NothingHere => 977,
        })
    }

    fn status(&self) -> StatusCode {
        match self {
            Problem::Refused(refused) => match refused.why {
                Why::OldTerm | Why::NotAllowed | Why::Busy => StatusCode::CONFLICT,
                Why::Failed => StatusCode::INTERNAL_SERVER_ERROR,
                Why::Nonsense => StatusCode::BAD_REQUEST,
            },
            Problem::Stranger => StatusCode::UNAUTHORIZED,
            Problem::NothingHere => StatusCode::NOT_FOUND,
        }
    }

    /// What is said, with a hint in any case.
    fn told(self) -> Told {
        let number = self.number().to_string();
        let (mut refused, hint) = match self {
            Problem::Refused(refused) => {
                let hint = match refused.why {
                    Why::OldTerm => "another proxy may keep the term now: SHOW TERM on each",
                    Why::NotAllowed => "SHOW TERM and SHOW NODES tell who reigns",
                    Why::Busy => "ask for the status until it is over",
                    Why::Failed => "the agent's log has more; the order may be given again",
                    Why::Nonsense => "let proxy and agents be of one version",
                };
                (refused, hint)
            }
            Problem::Stranger => (
                refused(Why::NotAllowed, "a valid bearer token is required"),
                "nodes.agent.token_file of the proxy and the agent's token_file hold the same",
            ),
            Problem::NothingHere => (
                refused(Why::Nonsense, "nothing is served here"),
                "GET /v1/status, and orders below /v1/, which are posted",
            ),
        };
        refused.hint.get_or_insert_with(|| hint.to_owned());
        Told { number, refused }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        Problem::Refused(refused)
    }
}

impl From<JsonRejection> for Problem {
    fn from(why: JsonRejection) -> Problem {
        Problem::Refused(refused(Why::Nonsense, why.body_text()))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = Json(self.clone().told());
        match self {
            Problem::Stranger => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"tidegate agent\"")];
                (status, challenge, body).into_response()
            }
            _ => (status, body).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::catalogue;

    #[test]
    fn every_problem_is_in_the_catalogue_and_the_other_way_round() {
        let whys = [Why::OldTerm, Why::NotAllowed, Why::Busy, Why::Failed, Why::Nonsense];
        let refusals = whys.map(|why| Problem::Refused(refused(why, "it was said why")));
        let all = refusals.into_iter().chain([Problem::Stranger, Problem::NothingHere]);
        let all: Vec<Problem> = all.collect();
        let known: Vec<_> =
            catalogue::entries().filter(|entry| (971..990).contains(&entry.number.0)).collect();
        assert_eq!(known.len(), all.len());
        for problem in all {
            let entry = known.iter().find(|entry| entry.number == problem.number());
            let status = problem.status().as_u16();
            assert_eq!(entry.map(|entry| entry.status), Some(status), "{problem:?}");
            let json = serde_json::to_value(problem.told()).unwrap();
            assert!(json["hint"].is_string() && json["why"].is_string(), "{json}");
            // A proxy reads it as what it knows.
            assert!(serde_json::from_value::<Refused>(json).is_ok());
        }
    }
}
