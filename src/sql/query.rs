//! SELECT, INSERT, UPDATE, DELETE and MERGE: everything they touch, at any depth.

use super::analysis::{Pin, Step, Why};
use super::functions::Call;
use super::grammar::{Node, each, function_name, nodes};
use super::names::{Names, of_expression, of_relation};
use super::part::{Part, stronger};
use super::setting::{Config, same_everywhere, set_config};
use super::standby::temporary_schema;

/// SELECT, VALUES or TABLE.
pub(super) fn select(stmt: &nodes::SelectStmt, names: Names<'_>) -> Part {
    let part = look(Node::SelectStmt(stmt), names);
    match lone_set_config(stmt) {
        Some(Config::Session(step)) => Part { step, ..part },
        _ if part.step == Step::Plain && tells_process(stmt, names) => {
            part.step(Step::Pin(Pin::ProcessId))
        }
        _ => part,
    }
}

/// The process id of the connection is a column of the answer; not a part of a condition, as in
/// `pid <> pg_backend_pid()`.
fn tells_process(stmt: &nodes::SelectStmt, names: Names<'_>) -> bool {
    stmt.target_list().iter().any(|target| match target.val() {
        Node::FuncCall(call) => {
            let (schema, name) = function_name(call);
            names.call(schema, name) == Call::ProcessId
        }
        _ => false,
    })
}

/// INSERT, UPDATE, DELETE or MERGE.
pub(super) fn modify(stmt: Node<'_>, names: Names<'_>) -> Part {
    Part { primary: Some(Why::Write), ..look(stmt, names) }
}

fn look(root: Node<'_>, names: Names<'_>) -> Part {
    let mut part = Part::read();
    let anywhere = names.catalog.anywhere().unwrap_or_default();
    (part.primary, part.step) = (anywhere.effect.then_some(Why::Function), anywhere.step());
    each(root, |node| {
        let (why, step) = match node {
            Node::FuncCall(call) => function(call, names, &mut part.by_shape),
            Node::SelectStmt(select) => from_select(select),
            Node::InsertStmt(_)
            | Node::UpdateStmt(_)
            | Node::DeleteStmt(_)
            | Node::MergeStmt(_) => (Some(Why::WritingSelect), Step::Plain),
            Node::RangeVar(table) => relation(table, names),
            Node::ColumnRef(column) if !names.catalog.is_known() => {
                (of_a_sequence(column), Step::Plain)
            }
            _ => {
                let meaning = of_expression(node, names).unwrap_or_default();
                (meaning.effect.then_some(Why::Function), meaning.step())
            }
        };
        part.primary = stronger(part.primary, why);
        if rank(&step) > rank(&part.step) {
            part.step = step;
        }
    });
    part
}

/// One statement has one step: a pin says the most, because its end is proven like all else, and
/// most of all the one whose end is not.
fn rank(step: &Step) -> u8 {
    match step {
        Step::Pin(Pin::Setting) => 7,
        Step::Pin(Pin::SqlPrepare) => 6,
        Step::Pin(Pin::Sequence) => 5,
        Step::Pin(_) => 4,
        Step::Hidden => 3,
        Step::Releases | Step::Defines => 2,
        Step::Notify | Step::ListsChannels | Step::ReadsOtherwise => 1,
        _ => 0,
    }
}

fn from_select(select: &nodes::SelectStmt) -> (Option<Why>, Step) {
    if let Some(into) = select.into_clause() {
        let pin = into.rel().and_then(temporary);
        return (Some(Why::WritingSelect), pin.map_or(Step::Defines, Step::Pin));
    }
    let locks = !select.locking_clause().is_empty();
    (locks.then_some(Why::Locks), Step::Plain)
}

pub(super) fn relation(table: &nodes::RangeVar, names: Names<'_>) -> (Option<Why>, Step) {
    // The view that lists the session's own statements.
    let ours = table.schemaname().is_none_or(|schema| schema == "pg_catalog");
    let (why, step) = of_relation(table, names);
    match table.relname() {
        Some("pg_prepared_statements") if ours => (why, Step::Pin(Pin::SqlPrepare)),
        _ => (why, step),
    }
}

/// A sequence on a standby is up to 32 values ahead (`SEQ_LOG_VALS` of PostgreSQL's sequence.c).
/// Where the catalog is not known, only its columns tell it from a table.
fn of_a_sequence(column: &nodes::ColumnRef) -> Option<Why> {
    let name = column.fields().iter().next_back().and_then(|field| field.as_str());
    matches!(name, Some("last_value" | "log_cnt" | "is_called")).then_some(Why::Session)
}

/// The pin of a relation about to be created.
pub(super) fn temporary(table: &nodes::RangeVar) -> Option<Pin> {
    let persistence = u8::try_from(table.relpersistence).unwrap_or_default();
    let temporary = persistence == b't' || table.schemaname().is_some_and(temporary_schema);
    temporary.then_some(Pin::TemporaryObject)
}

fn function(call: &nodes::FuncCall, names: Names<'_>, by_shape: &mut bool) -> (Option<Why>, Step) {
    let (schema, name) = function_name(call);
    match names.call(schema, name) {
        Call::Harmless => (None, Step::Plain),
        Call::Effect | Call::ProcessId => (Some(Why::Function), Step::Plain),
        Call::Sequence => (Some(Why::Function), Step::Pin(Pin::Sequence)),
        Call::Unknown => (Some(Why::Function), Step::Hidden),
        Call::OfUser(meaning) => (meaning.effect.then_some(Why::Function), meaning.step()),
        Call::SessionLock => (Some(Why::Function), Step::Pin(Pin::AdvisoryLock)),
        Call::SessionUnlock => (Some(Why::Function), Step::Releases),
        Call::Notify => (Some(Why::Function), Step::Notify),
        Call::Channels => (Some(Why::Session), Step::ListsChannels),
        Call::Statements => (Some(Why::Session), Step::Pin(Pin::SqlPrepare)),
        Call::CurrentSetting => {
            *by_shape = false;
            ((!same_everywhere(call)).then_some(Why::Function), Step::Plain)
        }
        Call::SetConfig => match set_config(call) {
            Config::Local(step) => {
                *by_shape = false;
                (Some(Why::Function), step)
            }
            Config::Session(_) | Config::Unknown => {
                *by_shape = false;
                (Some(Why::Function), Step::Pin(Pin::Setting))
            }
        },
    }
}

/// `SELECT set_config(…)` and nothing else: then it runs exactly once, as SET does.
fn lone_set_config(select: &nodes::SelectStmt) -> Option<Config> {
    let mut targets = select.target_list().iter();
    let (Some(target), None) = (targets.next(), targets.next()) else { return None };
    let Node::FuncCall(call) = target.val() else { return None };
    let (schema, name) = function_name(call);
    let named = name == "set_config" && schema.is_none_or(|schema| schema == "pg_catalog");
    (named && is_bare(select) && over_nothing(call)).then(|| set_config(call))
}

fn is_bare(select: &nodes::SelectStmt) -> bool {
    let absent = |node: Node<'_>| matches!(node, Node::None);
    select.from_clause().is_empty()
        && absent(select.where_clause())
        && absent(select.having_clause())
        && absent(select.limit_count())
        && absent(select.limit_offset())
        && select.group_clause().is_empty()
        && select.into_clause().is_none()
        && select.with_clause().is_none()
        && select.larg().is_none()
}

fn over_nothing(call: &nodes::FuncCall) -> bool {
    call.over().is_none() && matches!(call.agg_filter(), Node::None)
}
