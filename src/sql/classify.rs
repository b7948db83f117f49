//! From a statement text to its answer, by the grammar. The slow way: the shape cache is in front.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::analysis::{Analysis, Pin, Step, Why};
use super::grammar::{Node, nodes, parse};
use super::names::Names;
use super::part::{Part, stronger};
use super::query::{modify, relation, select, temporary};
use super::setting::{set, show};
use super::transaction::transaction;

/// An answer, and whether it is that of every text of this shape.
pub(super) struct Answer {
    pub(super) analysis: Analysis,
    pub(super) by_shape: bool,
}

/// What the text `sql` does.
pub(super) fn classify(sql: &[u8], names: Names<'_>) -> Answer {
    let (text, exact) = readable(sql);
    // The grammar is C and its tree walker panics on trees it does not know; whatever happens
    // there must not take a session down.
    let answer =
        text.and_then(|text| catch_unwind(AssertUnwindSafe(|| whole(&text, names))).ok().flatten());
    match answer {
        Some(answer) if exact => answer,
        // Names and values were read in a wrong encoding: nothing may be replayed from them.
        Some(Answer { mut analysis, .. }) => {
            if !analysis.steps.is_empty() {
                analysis.steps = vec![Step::Hidden];
            }
            Answer { analysis, by_shape: false }
        }
        // If the server understands what we do not, the session may be anything afterwards.
        None => Answer {
            analysis: Analysis {
                primary: Some(Why::Unparsed),
                steps: vec![Step::Hidden],
                ..Analysis::default()
            },
            by_shape: false,
        },
    }
}

/// The text as UTF-8, and whether that is what it means. Other client encodings are read as
/// Latin-1: each ASCII byte stays in its place, and the grammar looks at no others. Only where
/// a backslash might be half of a letter (Shift-JIS, Big5, GBK) there is no text.
fn readable(sql: &[u8]) -> (Option<Cow<'_, str>>, bool) {
    match std::str::from_utf8(sql) {
        Ok(text) => (Some(text.into()), true),
        Err(_) if sql.contains(&b'\\') => (None, false),
        Err(_) => (Some(sql.iter().map(|byte| char::from(*byte)).collect()), false),
    }
}

fn whole(text: &str, names: Names<'_>) -> Option<Answer> {
    let tree = parse(text)?;
    let mut answer = Answer { analysis: Analysis::default(), by_shape: true };
    for stmt in tree.stmts() {
        let part = statement(stmt, text, names);
        answer.analysis.primary = stronger(answer.analysis.primary, part.primary);
        answer.analysis.steps.push(part.step);
        answer.by_shape &= part.by_shape;
    }
    if answer.analysis.steps.iter().all(|step| *step == Step::Plain) {
        answer.analysis.steps = Vec::new();
    }
    Some(answer)
}

fn statement(stmt: Node<'_>, text: &str, names: Names<'_>) -> Part {
    match stmt {
        Node::SelectStmt(_)
        | Node::InsertStmt(_)
        | Node::UpdateStmt(_)
        | Node::DeleteStmt(_)
        | Node::MergeStmt(_)
        | Node::CreateTableAsStmt(_)
        | Node::ExecuteStmt(_) => inner(stmt, names),
        Node::ExplainStmt(stmt) => explain(stmt, names),
        Node::CopyStmt(stmt) => copy(stmt, names),
        Node::TransactionStmt(stmt) => transaction(stmt),
        Node::ConstraintsSetStmt(_) => Part::primary(Why::Transaction),
        Node::DeclareCursorStmt(stmt) => declare(stmt, names),
        // They need a cursor, which lives in a transaction, or WITH HOLD in a pinned session.
        Node::FetchStmt(_) => Part::read(),
        Node::ClosePortalStmt(_) => Part::read().step(Step::Releases),
        Node::LockStmt(_) => Part::primary(Why::Locks),
        Node::DoStmt(_) | Node::CallStmt(_) => Part::primary(Why::Function).step(Step::Hidden),
        _ => session_statement(stmt, text),
    }
}

fn session_statement(stmt: Node<'_>, text: &str) -> Part {
    let session = |step| Part::primary(Why::Session).step(step);
    match stmt {
        Node::VariableSetStmt(stmt) => set(stmt),
        Node::VariableShowStmt(stmt) => show(stmt),
        Node::DiscardStmt(stmt) => session(discard(stmt)),
        Node::DeallocateStmt(stmt) => session(match stmt.name() {
            Some(name) => Step::Deallocate(name.into()),
            None => Step::DeallocateAll,
        }),
        // Its body runs at each EXECUTE, on the same, pinned connection.
        Node::PrepareStmt(_) => session(Step::Pin(Pin::SqlPrepare)),
        Node::ListenStmt(stmt) => {
            session(Step::Listen(stmt.conditionname().unwrap_or_default().into()))
        }
        Node::UnlistenStmt(stmt) => session(match stmt.conditionname() {
            Some(channel) => Step::Unlisten(channel.into()),
            None => Step::UnlistenAll,
        }),
        Node::NotifyStmt(_) => Part::primary(Why::Write).step(Step::Notify),
        Node::LoadStmt(_) => session(Step::Pin(Pin::Load)),
        _ => definition(stmt, text),
    }
}

/// Statements that leave the columns of every table as they are.
fn spares_columns(stmt: Node<'_>) -> bool {
    matches!(
        stmt,
        Node::VacuumStmt(_)
            | Node::ClusterStmt(_)
            | Node::IndexStmt(_)
            | Node::ReindexStmt(_)
            | Node::GrantStmt(_)
            | Node::GrantRoleStmt(_)
            | Node::CommentStmt(_)
            | Node::TruncateStmt(_)
            | Node::RefreshMatViewStmt(_)
            | Node::CheckPointStmt(_)
            | Node::CreateStatsStmt(_)
            | Node::AlterSystemStmt(_)
    )
}

/// Whatever is left changes the database or its server.
fn definition(stmt: Node<'_>, text: &str) -> Part {
    let pin = match stmt {
        Node::CreateStmt(stmt) => stmt.relation().and_then(temporary),
        Node::ViewStmt(stmt) => stmt.view().and_then(temporary),
        Node::CreateSeqStmt(stmt) => stmt.sequence().and_then(temporary),
        _ => None,
    };
    // Types, functions and others become temporary by their schema alone.
    let mentioned = text.to_ascii_lowercase().contains("pg_temp");
    let part = Part::primary(Why::Write).never_by_shape();
    let step = match spares_columns(stmt) {
        true => Step::Plain,
        false => Step::Defines,
    };
    match stmt {
        Node::DropdbStmt(stmt) => {
            part.step(Step::Empties(stmt.dbname().unwrap_or_default().into()))
        }
        Node::RenameStmt(stmt) if stmt.rename_type == nodes::ObjectType::OBJECT_DATABASE => {
            part.step(Step::Empties(stmt.subname().unwrap_or_default().into()))
        }
        Node::DropStmt(_) => part.step(step),
        _ => part.step(step).pin(pin.or(mentioned.then_some(Pin::TemporaryObject))),
    }
}

fn discard(stmt: &nodes::DiscardStmt) -> Step {
    use nodes::DiscardMode;
    match stmt.target {
        DiscardMode::DISCARD_ALL => Step::DiscardAll,
        DiscardMode::DISCARD_TEMP => Step::DiscardTemp,
        _ => Step::DiscardOther,
    }
}

/// A statement that may stand inside another one.
fn inner(stmt: Node<'_>, names: Names<'_>) -> Part {
    match stmt {
        Node::SelectStmt(stmt) => select(stmt, names),
        Node::InsertStmt(_) | Node::UpdateStmt(_) | Node::DeleteStmt(_) | Node::MergeStmt(_) => {
            modify(stmt, names)
        }
        Node::CreateTableAsStmt(stmt) => create_as(stmt, names),
        Node::DeclareCursorStmt(stmt) => declare(stmt, names),
        Node::ExecuteStmt(_) => Part::primary(Why::Session).pin(Some(Pin::SqlPrepare)),
        _ => Part::primary(Why::Doubtful),
    }
}

/// CREATE TABLE … AS, CREATE MATERIALIZED VIEW.
fn create_as(stmt: &nodes::CreateTableAsStmt, names: Names<'_>) -> Part {
    let query = inner(stmt.query(), names);
    let target = stmt.into().and_then(|into| into.rel()).and_then(temporary);
    let part = replayable_as_pin(Part { primary: Some(Why::Write), ..query });
    match part.step {
        Step::Plain | Step::Notify | Step::ListsChannels => {
            part.step(target.map_or(Step::Defines, Step::Pin))
        }
        // It ends with a proof, which finds the temporary table, too.
        Step::Pin(Pin::SqlPrepare) => part,
        _ => part.pin(target),
    }
}

/// EXPLAIN needs what its statement needs, executed or not: a plan alone is rarely worth a risk.
fn explain(stmt: &nodes::ExplainStmt, names: Names<'_>) -> Part {
    let part = replayable_as_pin(inner(stmt.query(), names));
    match asks_proxy(stmt) {
        true => {
            let (primary, steps) = (part.primary, vec![part.step]);
            let explained = Analysis { primary, steps, ..Analysis::default() };
            Part { primary: None, step: Step::Explain(Arc::new(explained)), ..part }
        }
        false => part,
    }
}

/// EXPLAIN (TIDEGATE): PostgreSQL has no such option.
fn asks_proxy(stmt: &nodes::ExplainStmt) -> bool {
    stmt.options().iter().any(|option| option.defname() == Some("tidegate"))
}

/// Within EXPLAIN and the like nobody knows whether a `set_config` ran.
fn replayable_as_pin(part: Part) -> Part {
    match part.step {
        Step::Set { .. } => part.step(Step::Pin(Pin::Setting)),
        _ => part,
    }
}

fn copy(stmt: &nodes::CopyStmt, names: Names<'_>) -> Part {
    if stmt.is_from || stmt.is_program || stmt.filename().is_some() {
        return Part::primary(Why::Write);
    }
    match stmt.relation() {
        Some(table) => {
            let (primary, step) = relation(table, names);
            Part { primary, ..Part::read() }.step(step)
        }
        None => replayable_as_pin(inner(stmt.query(), names)),
    }
}

fn declare(stmt: &nodes::DeclareCursorStmt, names: Names<'_>) -> Part {
    // CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h
    const HOLD: i32 = 0x20;
    let part = replayable_as_pin(inner(stmt.query(), names));
    if stmt.options & HOLD == 0 {
        return part;
    }
    let primary = stronger(Some(Why::Session), part.primary);
    Part { primary, ..part }.pin(Some(Pin::HoldCursor))
}
