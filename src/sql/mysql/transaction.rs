//! BEGIN, COMMIT and their kin, XA.

use super::analysis::{Ending, Step, Uses};
use super::classify::Told;
use super::lexer::Kind;
use super::text::Statement;
use crate::sql::Why;

/// What ends a transaction, and savepoints, may run wherever the transaction is: outside one they
/// do nothing.
pub(super) fn tell(statement: &Statement<'_>) -> Told {
    let anywhere = |step| Told::step(None, step);
    match statement.word(0) {
        "begin" => begin(None, false),
        "start" if statement.word(1) == "transaction" => start(statement),
        "commit" => anywhere(Step::Commit(ending(statement))),
        "savepoint" => anywhere(Step::Savepoint(name(statement, 1))),
        "release" if statement.word(1) == "savepoint" => {
            anywhere(Step::Release(name(statement, 2)))
        }
        "rollback" => match statement.find(1, "to") {
            Some(to) => {
                let at = to + 1 + usize::from(is_savepoint_word(statement, to + 1));
                anywhere(Step::RollbackTo(name(statement, at)))
            }
            None => anywhere(Step::Rollback(ending(statement))),
        },
        "xa" => xa(statement),
        // START SLAVE and the like.
        _ => Told::plain(Some(Why::Write), Uses::COMMITS),
    }
}

/// `TO SAVEPOINT x`, not `TO savepoint`.
fn is_savepoint_word(statement: &Statement<'_>, at: usize) -> bool {
    statement.word(at) == "savepoint" && statement.name(at + 1).is_some()
}

/// Savepoints are compared without regard to case.
fn name(statement: &Statement<'_>, at: usize) -> Box<str> {
    statement.name(at).unwrap_or_default().to_lowercase().into()
}

fn begin(read_only: Option<bool>, snapshot: bool) -> Told {
    let own = (read_only != Some(true)).then_some(Why::Transaction);
    Told::step(own, Step::Begin { read_only, snapshot })
}

/// `START TRANSACTION [READ ONLY | READ WRITE | WITH CONSISTENT SNAPSHOT], …`
fn start(statement: &Statement<'_>) -> Told {
    let has = |words: &[&str]| (2..statement.len()).any(|at| statement.words(at, words));
    let read_only = match (has(&["read", "only"]), has(&["read", "write"])) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    };
    begin(read_only, has(&["consistent", "snapshot"]))
}

/// `[WORK] [AND [NO] CHAIN] [[NO] RELEASE]`
fn ending(statement: &Statement<'_>) -> Ending {
    let said = |word: &str| {
        let at = statement.find(1, word)?;
        Some(statement.word(at - 1) != "no")
    };
    Ending { chain: said("chain"), release: said("release") }
}

fn xa(statement: &Statement<'_>) -> Told {
    let step = match statement.word(1) {
        "start" | "begin" => Step::XaStart,
        "commit" | "rollback" => Step::XaEnd,
        _ => Step::XaOther,
    };
    Told::step(Some(Why::Transaction), step)
}

/// The number of a KILL: `KILL [HARD | SOFT] [CONNECTION | QUERY [ID] | USER] n`.
pub(super) fn kill(statement: &Statement<'_>) -> Told {
    let mut at = 1 + usize::from(matches!(statement.word(1), "hard" | "soft"));
    let query = statement.word(at) == "query";
    at += usize::from(query || statement.word(at) == "connection");
    let number = statement.pieces.get(at).filter(|piece| piece.kind == Kind::Number);
    let number = number.filter(|_| statement.len() == at + 1);
    let id = number.and_then(|piece| std::str::from_utf8(piece.raw).ok()?.parse().ok());
    Told::step(Some(Why::Session), Step::Kill { query, id }).never_by_shape()
}
