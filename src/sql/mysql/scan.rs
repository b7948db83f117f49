//! What the expressions of a statement do, at any depth: every token is looked at.
//!
//! In this dialect a query has an effect only by what can be seen in its tokens: a word (INTO,
//! FOR UPDATE, LOCK …), an assignment, or a call, which always has a parenthesis behind its name.

use super::analysis::Uses;
use super::functions::{Call, Functions};
use super::lexer::Kind;
use super::local::{local_schema, local_table, variable_is_everywhere};
use super::text::Statement;
use crate::sql::Why;
use crate::sql::part::stronger;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) primary: Option<Why>,
    pub(super) uses: Uses,
}

impl Found {
    pub(super) fn add(&mut self, primary: Option<Why>, uses: Uses) {
        self.primary = stronger(self.primary, primary);
        self.uses |= uses;
    }
}

pub(super) fn scan(statement: &Statement<'_>, functions: &Functions) -> Found {
    let mut found = Found::default();
    for (at, piece) in statement.pieces.iter().enumerate() {
        match piece.kind {
            Kind::Word => {
                let part_of_name = at > 0 && statement.is_mark(at - 1, b'.');
                if !part_of_name {
                    word(statement, at, &mut found);
                }
                name(statement, at, functions, &mut found);
            }
            Kind::Name => name(statement, at, functions, &mut found),
            Kind::User => found.add(None, Uses::READS_VARIABLES),
            Kind::System => system_variable(statement, at, &mut found),
            Kind::Assign => {
                let both = Uses::ASSIGNS_VARIABLES | Uses::READS_VARIABLES;
                found.add(Some(Why::WritingSelect), both);
            }
            // Nothing that reads has a semicolon inside.
            Kind::Mark(b';') => found.add(Some(Why::Doubtful), Uses::CODE),
            _ => {}
        }
    }
    found
}

/// A keyword that makes something else of a query.
fn word(statement: &Statement<'_>, at: usize, found: &mut Found) {
    let next = statement.word(at + 1);
    let (why, uses) = match statement.word(at) {
        "into" if statement.kind(at + 1) == Some(Kind::User) => {
            (Why::WritingSelect, Uses::ASSIGNS_VARIABLES)
        }
        "into" => (Why::WritingSelect, Uses::NONE),
        "for" if matches!(next, "update" | "share") => (Why::Locks, Uses::NONE),
        "lock" => (Why::Locks, Uses::NONE),
        "procedure" => (Why::Doubtful, Uses::NONE),
        "sql_calc_found_rows" => (Why::Session, Uses::CALC_FOUND_ROWS),
        "next" if statement.words(at, &["next", "value", "for"]) => (Why::Function, Uses::NONE),
        "previous" if statement.words(at, &["previous", "value", "for"]) => {
            (Why::Session, Uses::SEQUENCE)
        }
        "update" if at > 0 && statement.word(at - 1) == "for" => return,
        "insert" | "replace" | "update" | "delete" if !statement.is_mark(at + 1, b'(') => {
            (Why::Write, Uses::NONE)
        }
        _ => return,
    };
    found.add(Some(why), uses);
}

/// A word or name: a table of the server's state, or a call.
fn name(statement: &Statement<'_>, at: usize, functions: &Functions, found: &mut Found) {
    let piece = &statement.pieces[at];
    if local_table(&piece.lower) || (local_schema(&piece.lower) && statement.is_mark(at + 1, b'.'))
    {
        found.add(Some(Why::Session), Uses::NONE);
    }
    if statement.is_mark(at + 1, b'(') && !is_list_of_columns(statement, at) {
        let Call { primary, uses } = call(statement, at, functions);
        found.add(primary, uses);
    }
}

fn call(statement: &Statement<'_>, at: usize, functions: &Functions) -> Call {
    let piece = &statement.pieces[at];
    let qualified = at >= 2 && statement.is_mark(at - 1, b'.');
    if qualified {
        let schema = &statement.pieces[at - 2].lower;
        return functions.of_the_user(Some(schema), &piece.lower);
    }
    if piece.kind == Kind::Name {
        return functions.of_the_user(None, &piece.lower);
    }
    let none = Call { primary: None, uses: Uses::NONE };
    if Functions::is_no_call(&piece.lower) {
        return none;
    }
    let before = at.checked_sub(1).map_or("", |before| statement.word(before));
    if piece.lower == "json_table" && matches!(before, "from" | "join") {
        return none;
    }
    let bare = statement.is_mark(at + 2, b')');
    functions.call(&piece.lower, !statement.pieces[at + 1].spaced, bare)
}

/// `name (a, b) AS (…)` in a WITH list, `(…) name (a, b)`, and the target of an INSERT: no call can
/// stand in either place. Behind AS stands an alias or a type.
fn is_list_of_columns(statement: &Statement<'_>, at: usize) -> bool {
    let before = at.checked_sub(1);
    if before.is_some_and(|b| statement.is_mark(b, b')') || statement.word(b) == "as") {
        return true;
    }
    if is_target_of_insert(statement, at) {
        return true;
    }
    let defines =
        |close: usize| statement.word(close + 1) == "as" && statement.is_mark(close + 2, b'(');
    statement.closing(at + 1).is_some_and(defines)
}

/// `INSERT [IGNORE …] [INTO] [schema.]name (a, b)`
fn is_target_of_insert(statement: &Statement<'_>, at: usize) -> bool {
    const BEFORE: [&str; 7] =
        ["into", "insert", "replace", "ignore", "low_priority", "high_priority", "delayed"];
    let first = if at >= 2 && statement.is_mark(at - 1, b'.') { at - 2 } else { at };
    let before = first.checked_sub(1).map_or("", |before| statement.word(before));
    matches!(statement.word(0), "insert" | "replace") && BEFORE.contains(&before)
}

/// `@@[scope.]name`
fn system_variable(statement: &Statement<'_>, at: usize, found: &mut Found) {
    let first = statement.pieces[at].lower.as_str();
    let after = statement.is_mark(at + 1, b'.').then(|| statement.name(at + 2)).flatten();
    let (scope, name) = match (first, after) {
        ("global" | "session" | "local", Some(name)) => (first, name.to_lowercase()),
        // A key cache or a component in front.
        (_, Some(name)) => ("", format!("{first}.{}", name.to_lowercase())),
        (_, None) => ("", first.to_string()),
    };
    let uses = match name.as_str() {
        "identity" | "last_insert_id" => Uses::LAST_INSERT_ID,
        "warning_count" | "error_count" => Uses::DIAGNOSTICS,
        "pseudo_thread_id" => Uses::CONNECTION_ID,
        _ => Uses::NONE,
    };
    let everywhere = scope != "global" && variable_is_everywhere(&name);
    let primary = (!everywhere).then_some(Why::Session);
    found.add(primary, uses | Uses::SYSTEM_VARIABLES);
}
