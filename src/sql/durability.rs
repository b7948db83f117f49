//! Whether a statement has commits wait for less than the standbys that the cluster counts on:
//! `synchronous_commit`, by whatever means a text can set it.
//!
//! What a function of the user's does inside is not looked into.

use super::grammar::{ConstValue, Node, each, function_name, nodes, parse};
use super::setting::{constant, flatten};
use std::panic::{AssertUnwindSafe, catch_unwind};

const NAME: &str = "synchronous_commit";

/// Values by which a commit does not wait until its log is on a standby's disk.
const WEAK: [&str; 6] = ["off", "false", "no", "0", "local", "remote_write"];

/// Whether this value of `synchronous_commit` is too weak.
pub fn is_weak_commit(value: &str) -> bool {
    WEAK.iter().any(|weak| weak.eq_ignore_ascii_case(value.trim()))
}

/// Whether the text may weaken the commits of its session. Where that cannot be told, it may.
pub fn weakens_commits(sql: &[u8]) -> bool {
    if !mentions(sql, NAME) {
        return false;
    }
    let Ok(text) = std::str::from_utf8(sql) else { return true };
    // The walker of the grammar's crate panics on trees that it does not know.
    let judged = catch_unwind(AssertUnwindSafe(|| parse(text).map(|t| t.stmts().any(weakens))));
    judged.ok().flatten().unwrap_or(true)
}

/// The same of the values that are bound to a prepared text.
pub fn binds_weaker_commits(sql: &[u8], values: &[u8]) -> bool {
    mentions(values, NAME) && (mentions(sql, "set_config") || mentions(sql, "pg_settings"))
}

fn mentions(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

fn weakens(stmt: Node<'_>) -> bool {
    match stmt {
        Node::VariableSetStmt(stmt) => sets_weaker(stmt),
        Node::SelectStmt(_)
        | Node::InsertStmt(_)
        | Node::UpdateStmt(_)
        | Node::DeleteStmt(_)
        | Node::MergeStmt(_) => calls(stmt),
        Node::ExplainStmt(stmt) => weakens(stmt.query()),
        Node::PrepareStmt(stmt) => weakens(stmt.query()),
        Node::DeclareCursorStmt(stmt) => weakens(stmt.query()),
        Node::CreateTableAsStmt(stmt) => weakens(stmt.query()),
        Node::CopyStmt(stmt) => weakens(stmt.query()),
        // Code, or values for a statement that is known by its name.
        Node::DoStmt(_) | Node::ExecuteStmt(_) | Node::CallStmt(_) => true,
        _ => false,
    }
}

fn sets_weaker(stmt: &nodes::VariableSetStmt) -> bool {
    let ours = stmt.name().is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    ours && stmt.kind == nodes::VariableSetKind::VAR_SET_VALUE
        && flatten(NAME, stmt.args()).is_none_or(|value| is_weak_commit(&value))
}

/// `set_config`, or the view by which parameters can be set.
fn calls(query: Node<'_>) -> bool {
    let mut weak = false;
    each(query, |node| match node {
        Node::FuncCall(call) => weak |= configures(call),
        Node::UpdateStmt(stmt) => {
            weak |= stmt.relation().and_then(|table| table.relname()) == Some("pg_settings");
        }
        _ => {}
    });
    weak
}

fn configures(call: &nodes::FuncCall) -> bool {
    let text = |node: Node<'_>| match constant(node) {
        Some(ConstValue::String(text)) => Some(text.to_owned()),
        _ => None,
    };
    let mut args = call.args().iter().map(text);
    let (_, function) = function_name(call);
    function == "set_config"
        && match (args.next().flatten(), args.next().flatten()) {
            (Some(name), _) if !name.eq_ignore_ascii_case(NAME) => false,
            (Some(_), Some(value)) => is_weak_commit(&value),
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_wait_for_less_is_seen() {
        for text in [
            "SET synchronous_commit = off",
            "set Synchronous_Commit to LOCAL",
            "SET LOCAL synchronous_commit TO 'remote_write'",
            "BEGIN; SET LOCAL synchronous_commit = 0; COMMIT",
            "SELECT set_config('synchronous_commit', 'off', true)",
            "SELECT pg_catalog.set_config('SYNCHRONOUS_COMMIT', 'no', false), 1",
            "SELECT set_config('synchronous_commit', $1, false)",
            "SELECT set_config(n, 'off', true) FROM (VALUES ('synchronous_commit')) AS v (n)",
            "UPDATE pg_settings SET setting = 'off' WHERE name = 'synchronous_commit'",
            "DO $$ BEGIN SET LOCAL synchronous_commit = off; END $$",
            "PREPARE p AS SELECT set_config('synchronous_commit', 'off', false)",
            "EXECUTE p ('synchronous_commit', 'off')",
            "EXPLAIN ANALYZE SELECT set_config('synchronous_commit', 'off', false)",
            "SET synchronous_commit = off; this is no SQL",
        ] {
            assert!(weakens_commits(text.as_bytes()), "{text}");
        }
        let by_parameters = b"SELECT set_config($1, $2, false)";
        assert!(binds_weaker_commits(by_parameters, b"\0\x12synchronous_commit\0\x03off"));
    }

    #[test]
    fn what_waits_for_the_standbys_and_what_only_names_the_parameter_is_left_alone() {
        for text in [
            "SET synchronous_commit = on",
            "SET synchronous_commit TO remote_apply",
            "SET synchronous_commit TO DEFAULT",
            "RESET synchronous_commit",
            "SHOW synchronous_commit",
            "SELECT current_setting('synchronous_commit')",
            "SELECT set_config('synchronous_commit', 'on', false)",
            "INSERT INTO notes VALUES ('SET synchronous_commit = off')",
            "SET work_mem = '1MB'",
        ] {
            assert!(!weakens_commits(text.as_bytes()), "{text}");
        }
        assert!(!binds_weaker_commits(b"INSERT INTO notes VALUES ($1)", b"synchronous_commit"));
    }
}
