//! SET: what it assigns, in the words of [`Assignment`].

use super::analysis::{Assignment, Isolation, Scope, Step, Value};
use super::classify::Told;
use super::functions::Functions;
use super::lexer::Kind;
use super::scan::{Found, scan};
use super::text::Statement;
use crate::sql::Why;

pub(super) fn set(statement: &Statement<'_>, functions: &Functions) -> Told {
    let rest = statement.from(1);
    let assignments = match transaction(&rest) {
        Some(assignment) => vec![assignment],
        None => several(&rest),
    };
    let ours = |assignment: &Assignment| matches!(assignment, Assignment::User { name, .. } if name.starts_with("tidegate_"));
    if assignments.iter().all(ours) {
        return Told::step(None, Step::SetTidegate(assignments.into())).never_by_shape();
    }
    let mut found = Found::default();
    for part in rest.list() {
        // `@a := 1` is not an assignment inside an expression, nor is `@a` read.
        let value = assignment_mark(&part).map_or(part, |at| part.from(at + 1));
        let inner = scan(&value, functions);
        found.add(inner.primary, inner.uses);
    }
    // A variable may hold an id or a position that later statements answer.
    let step = Step::Set(assignments.into());
    Told::new(Some(Why::Session), step, found).never_by_shape()
}

/// `[SESSION | GLOBAL] TRANSACTION …`, whose own list has commas, too.
fn transaction(rest: &Statement<'_>) -> Option<Assignment> {
    let (scope, at) = scope_word(rest, 0);
    if rest.word(at) != "transaction" || assignment_mark(&rest.from(at)) == Some(1) {
        return None;
    }
    let (mut isolation, mut read_only) = (None, None);
    for mode in rest.from(at + 1).list() {
        match (mode.word(0), mode.word(1)) {
            ("read", "only") => read_only = Some(true),
            ("read", "write") => read_only = Some(false),
            ("isolation", "level") => isolation = level(mode.word(2), mode.word(3)),
            _ => {}
        }
    }
    Some(Assignment::Transaction { scope: scope.unwrap_or(Scope::Unsaid), isolation, read_only })
}

fn level(first: &str, second: &str) -> Option<Isolation> {
    Some(match (first, second) {
        ("read", "uncommitted") => Isolation::ReadUncommitted,
        ("read", "committed") => Isolation::ReadCommitted,
        ("repeatable", "read") => Isolation::RepeatableRead,
        ("serializable", _) => Isolation::Serializable,
        _ => return None,
    })
}

/// The scope that is written at `at`, and where to go on.
fn scope_word(part: &Statement<'_>, at: usize) -> (Option<Scope>, usize) {
    match part.word(at) {
        "global" | "persist" | "persist_only" => (Some(Scope::Global), at + 1),
        "session" | "local" => (Some(Scope::Session), at + 1),
        _ => (None, at),
    }
}

fn several(rest: &Statement<'_>) -> Vec<Assignment> {
    // A scope holds for what follows without one, too (`lex->option_type` of the servers).
    let mut scope = Scope::Unsaid;
    rest.list().iter().map(|part| one(part, &mut scope)).collect()
}

/// Where `=` or `:=` stands.
fn assignment_mark(part: &Statement<'_>) -> Option<usize> {
    let is_mark = |at: &usize| matches!(part.kind(*at), Some(Kind::Assign | Kind::Mark(b'=')));
    (0..part.len()).find(is_mark)
}

fn one(part: &Statement<'_>, sticky: &mut Scope) -> Assignment {
    let mark = assignment_mark(part);
    match (part.word(0), part.word(1)) {
        ("names", _) if mark != Some(1) => return names(part),
        ("charset", _) if mark != Some(1) => return Assignment::CharacterSet(text(part, 1)),
        ("character" | "char", "set") => return Assignment::CharacterSet(text(part, 2)),
        ("role", _) if mark != Some(1) => {
            return Assignment::Role(part.from(1).written().into());
        }
        ("password", _) | ("default", "role") | ("resource", "group") => return Assignment::Other,
        _ => {}
    }
    let Some(mark) = mark else { return Assignment::Other };
    let value_of = |words| value(&part.from(mark + 1), words);
    match part.pieces[0].kind {
        Kind::User => {
            Assignment::User { name: part.pieces[0].lower.as_str().into(), value: value_of(false) }
        }
        Kind::System => {
            let first = part.pieces[0].lower.as_str();
            let (scope, at) = match first {
                "global" | "persist" | "persist_only" => (Scope::Global, 2),
                "session" | "local" => (Scope::Session, 2),
                _ => (Scope::Unsaid, 0),
            };
            Assignment::Variable { scope, name: dotted(part, at, mark), value: value_of(true) }
        }
        _ => {
            let (written, at) = scope_word(part, 0);
            *sticky = written.unwrap_or(*sticky);
            // `SET autocommit = 0` and the like mean the session.
            let scope = match *sticky {
                Scope::Unsaid => Scope::Session,
                said => said,
            };
            Assignment::Variable { scope, name: dotted(part, at, mark), value: value_of(true) }
        }
    }
}

/// The name between `at` and the mark, with its dots.
fn dotted(part: &Statement<'_>, at: usize, mark: usize) -> Box<str> {
    let pieces = &part.pieces[at.min(mark)..mark];
    let words = pieces.iter().filter(|piece| piece.kind != Kind::Mark(b'.'));
    words.map(|piece| piece.lower.as_str()).collect::<Vec<_>>().join(".").into()
}

/// `NAMES x [COLLATE y]`
fn names(part: &Statement<'_>) -> Assignment {
    let collate = part.find(2, "collate").and_then(|at| text(part, at + 1));
    Assignment::Names { charset: text(part, 1), collation: collate }
}

/// A character set's name, quoted or not; `None` for DEFAULT.
fn text(part: &Statement<'_>, at: usize) -> Option<Box<str>> {
    let piece = part.pieces.get(at)?;
    let text = match piece.kind {
        Kind::String => decoded(piece.raw)?,
        _ => piece.lower.clone(),
    };
    (text != "default").then(|| text.to_lowercase().into())
}

/// `words`: a bare word is a value, as in `SET sql_mode = ANSI`.
fn value(written: &Statement<'_>, words: bool) -> Value {
    let meaning = match written.pieces {
        [one] => match one.kind {
            Kind::Word if one.lower == "default" && words => return Value::Default,
            Kind::Word if words => Some(Some(one.lower.clone())),
            Kind::Word if matches!(one.lower.as_str(), "true" | "false") => {
                Some(Some(one.lower.clone()))
            }
            Kind::Word if one.lower == "null" => Some(None),
            Kind::Number => Some(Some(String::from_utf8_lossy(one.raw).into_owned())),
            Kind::String => Some(decoded(one.raw)),
            Kind::Coded => Some(None),
            _ => None,
        },
        [sign, number] if number.kind == Kind::Number => match sign.kind {
            Kind::Mark(mark @ (b'-' | b'+')) => {
                let sign = if mark == b'-' { "-" } else { "" };
                Some(Some(format!("{sign}{}", String::from_utf8_lossy(number.raw))))
            }
            _ => None,
        },
        _ => None,
    };
    match meaning {
        Some(meaning) => Value::Literal {
            written: written.written().into(),
            meaning: meaning.map(String::into_boxed_str),
        },
        None => Value::Computed,
    }
}

/// What a string without escapes means; `None` when only the server can say.
fn decoded(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?;
    let quote = text.chars().next()?;
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    let doubled: String = [quote, quote].iter().collect();
    (!inner.contains('\\')).then(|| inner.replace(&doubled, &quote.to_string()))
}
