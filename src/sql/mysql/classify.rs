//! From a text to its answer. The slow way: the shape cache is in front.

use super::analysis::{Analysis, Modes, Part, Step, Uses};
use super::functions::Functions;
use super::lexer::Kind;
use super::local::shows_catalog;
use super::scan::{Found, scan};
use super::session;
use super::set::set;
use super::text::{Statement, is_compound, pieces, statements};
use super::transaction;
use crate::sql::Why;
use crate::sql::part::stronger;
use std::sync::Arc;

/// An answer, and whether it is that of every text of this shape.
pub(super) struct Answer {
    pub(super) analysis: Analysis,
    pub(super) by_shape: bool,
}

/// One statement's answer.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) primary: Option<Why>,
    pub(super) part: Part,
    pub(super) by_shape: bool,
}

impl Told {
    /// What was found, with a step and the reason of the statement's own kind.
    pub(super) fn new(own: Option<Why>, step: Step, found: Found) -> Told {
        let part = Part { step, uses: found.uses };
        Told { primary: stronger(own, found.primary), part, by_shape: true }
    }

    pub(super) fn plain(own: Option<Why>, uses: Uses) -> Told {
        Told::new(own, Step::Plain, Found { primary: None, uses })
    }

    pub(super) fn step(own: Option<Why>, step: Step) -> Told {
        Told::new(own, step, Found::default())
    }

    pub(super) fn never_by_shape(self) -> Told {
        Told { by_shape: false, ..self }
    }

    pub(super) fn with(mut self, uses: Uses) -> Told {
        self.part.uses |= uses;
        self
    }
}

/// The answer for what was not understood: it may have done anything.
pub(super) fn doubtful(why: Why) -> Analysis {
    let part = Part { step: Step::Plain, uses: Uses::CODE | Uses::COMMITS };
    Analysis { primary: Some(why), parts: vec![part], ..Analysis::default() }
}

/// What the text `sql` does.
pub(super) fn classify(sql: &[u8], modes: Modes, functions: &Functions) -> Answer {
    let Ok(pieces) = pieces(sql, modes) else {
        return Answer { analysis: doubtful(Why::Unparsed), by_shape: false };
    };
    let mut answer = Answer { analysis: Analysis::default(), by_shape: true };
    for statement in statements(sql, &pieces) {
        let told = tell(&statement, functions);
        answer.analysis.primary = stronger(answer.analysis.primary, told.primary);
        answer.analysis.parts.push(told.part);
        answer.by_shape &= told.by_shape;
    }
    if answer.analysis.parts.iter().all(|part| *part == Part::default()) {
        answer.analysis.parts = Vec::new();
    }
    answer
}

fn tell(statement: &Statement<'_>, functions: &Functions) -> Told {
    if is_compound(statement) && statement.word(0) != "set" {
        return Told::plain(Some(Why::Write), Uses::CODE | Uses::COMMITS);
    }
    match statement.word(0) {
        "select" | "with" | "values" | "table" => query(statement, functions),
        "" if statement.is_mark(0, b'(') => query(statement, functions),
        "explain" | "desc" | "describe" => explain(statement, functions),
        "analyze" if !table_maintenance(statement) => explain(statement, functions),
        "show" => show(statement, functions),
        "insert" | "update" | "delete" | "replace" => write(statement, functions),
        "set" if statement.word(1) == "statement" && statement.kind(2) == Some(Kind::Word) => {
            set_statement(statement, functions)
        }
        "set" => set(statement, functions),
        "begin" | "start" | "commit" | "rollback" | "savepoint" | "release" | "xa" => {
            transaction::tell(statement)
        }
        _ => session::tell(statement, functions),
    }
}

/// A query, however many parentheses are around it.
fn query(statement: &Statement<'_>, functions: &Functions) -> Told {
    let first = (0..statement.len()).find(|at| !statement.is_mark(*at, b'('));
    let starts = first.map_or("", |at| statement.word(at));
    if !matches!(starts, "select" | "with" | "values" | "table") {
        return Told::plain(Some(Why::Doubtful), Uses::CODE);
    }
    if let Some(step) = shows_tidegate(statement) {
        return Told::step(None, step);
    }
    Told::new(None, Step::Plain, scan(statement, functions))
}

/// `SELECT @@tidegate_a [[AS] x], …` and nothing else.
fn shows_tidegate(statement: &Statement<'_>) -> Option<Step> {
    let columns = statement.from(1).list().into_iter().map(|column| {
        let asked = column.pieces.first()?;
        let ours = asked.kind == Kind::System && asked.lower.starts_with("tidegate_");
        let alias = match (column.len(), column.word(1)) {
            (1, _) => String::from_utf8_lossy(asked.raw).into_owned(),
            (2, _) => column.name(1)?.to_string(),
            (3, "as") => column.name(2)?.to_string(),
            _ => return None,
        };
        ours.then(|| (asked.lower.as_str().into(), alias.into()))
    });
    columns.collect::<Option<Vec<_>>>().map(|columns| Step::ShowTidegate(columns.into()))
}

/// EXPLAIN and MariaDB's ANALYZE need what their statement needs, executed or not.
fn explain(statement: &Statement<'_>, functions: &Functions) -> Told {
    if let Some(at) = asks_tidegate(statement) {
        let inner = tell(&statement.from(at), functions);
        let parts = if inner.part == Part::default() { Vec::new() } else { vec![inner.part] };
        let analysis = Analysis { primary: inner.primary, parts, ..Analysis::default() };
        return Told::step(None, Step::Explain(Arc::new(analysis))).never_by_shape();
    }
    let found = scan(statement, functions);
    let words = || (1..statement.len()).map(|at| statement.word(at));
    if words().any(|word| word == "connection") {
        return Told::new(Some(Why::Session), Step::Plain, found).with(Uses::CONNECTION_ID);
    }
    Told::new(None, Step::Plain, found)
}

/// `EXPLAIN FORMAT = TIDEGATE …`: where the statement in question begins.
fn asks_tidegate(statement: &Statement<'_>) -> Option<usize> {
    let asks = statement.word(1) == "format"
        && statement.is_mark(2, b'=')
        && statement.word(3) == "tidegate";
    asks.then_some(4)
}

fn table_maintenance(statement: &Statement<'_>) -> bool {
    let at = usize::from(matches!(statement.word(1), "local" | "no_write_to_binlog"));
    matches!(statement.word(1 + at), "table" | "tables" | "index" | "view")
}

fn show(statement: &Statement<'_>, functions: &Functions) -> Told {
    let skip = |at: &usize| {
        matches!(statement.word(*at), "full" | "extended" | "global" | "session" | "local")
    };
    let at = (1..statement.len()).find(|at| !skip(at)).unwrap_or(1);
    let found = scan(statement, functions);
    let session = |uses| Told::new(Some(Why::Session), Step::Plain, found).with(uses);
    match statement.word(at) {
        "warnings" | "errors" | "count" => session(Uses::DIAGNOSTICS),
        "variables" => session(Uses::SYSTEM_VARIABLES),
        "processlist" | "explain" | "analyze" => session(Uses::CONNECTION_ID),
        "procedure" | "function" | "package" if statement.word(at + 1) == "code" => {
            session(Uses::NONE)
        }
        word if shows_catalog(word) => Told::new(None, Step::Plain, found),
        _ => session(Uses::NONE),
    }
}

/// INSERT, UPDATE, DELETE, REPLACE.
fn write(statement: &Statement<'_>, functions: &Functions) -> Told {
    let found = scan(statement, functions);
    Told { primary: Some(Why::Write), ..Told::new(None, Step::Plain, found) }
}

/// `SET STATEMENT a = 1, … FOR statement` (MariaDB): what it sets ends with the statement.
fn set_statement(statement: &Statement<'_>, functions: &Functions) -> Told {
    let Some(at) = statement.find(2, "for") else {
        return Told::plain(Some(Why::Doubtful), Uses::CODE);
    };
    let values = scan(&statement.until(at), functions);
    let inner = tell(&statement.from(at + 1), functions);
    let primary = stronger(values.primary, inner.primary);
    Told { primary, ..inner }.with(values.uses)
}
