//! A second opinion on what is a read, from pg_query's protobuf tree.
//!
//! pg_query and pg_raw_parse both bring libpg_query along and cannot be linked into one binary, so
//! this crate never calls the classifier: it judges lines of `verdict, separator, statement`.

use std::collections::HashSet;

use pg_query::{NodeRef, ParserOptions};

/// What this crate makes of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// Each statement of it may run on a replica.
    Read,
    Write,
    /// pg_query does not understand it; it also refuses valid but deeply nested SQL.
    Refused,
}

/// The functions a read may call.
pub struct Oracle {
    functions: HashSet<&'static str>,
}

impl Default for Oracle {
    fn default() -> Oracle {
        let table = include_str!("../../../src/sql/functions.txt");
        // Here the arguments are not looked at: whether it may depends on them.
        let functions = table.lines().chain(["current_setting"]).collect();
        Oracle { functions }
    }
}

impl Oracle {
    pub fn opinion(&self, sql: &str) -> Opinion {
        let Ok(parsed) = pg_query::parse(sql, ParserOptions::default()) else {
            return Opinion::Refused;
        };
        let statements = parsed.protobuf.stmts.iter().filter_map(|raw| raw.stmt.as_ref());
        let tops = statements.filter_map(|stmt| stmt.node.as_ref()).all(|top| reads(top.to_ref()));
        if tops && self.harmless(&format!("{:?}", parsed.protobuf)) {
            Opinion::Read
        } else {
            Opinion::Write
        }
    }

    /// Looks at the tree as text: pg_query's own `nodes()` leaves out window clauses, VALUES lists,
    /// sort keys within aggregates and much else.
    fn harmless(&self, tree: &str) -> bool {
        const EFFECTS: [&str; 6] = [
            "InsertStmt(",
            "UpdateStmt(",
            "DeleteStmt(",
            "MergeStmt(",
            "LockingClause(",
            "into_clause: Some(",
        ];
        let calls = tree.split("FuncCall { funcname: [").skip(1);
        !EFFECTS.iter().any(|effect| tree.contains(effect))
            && calls.into_iter().all(|call| self.may_be_called(call))
    }

    /// `call` is the text of the tree from a function's name on.
    fn may_be_called(&self, call: &str) -> bool {
        let parts = call.split(']').next().unwrap_or_default().split("sval: \"").skip(1);
        let names: Vec<&str> = parts.filter_map(|part| part.split('"').next()).collect();
        match names[..] {
            [name] | ["pg_catalog", name] => self.functions.contains(name),
            _ => false,
        }
    }
}

/// Whether a statement is of a kind that may be a read.
fn reads(top: NodeRef<'_>) -> bool {
    match top {
        NodeRef::SelectStmt(_)
        | NodeRef::DeclareCursorStmt(_)
        | NodeRef::FetchStmt(_)
        | NodeRef::ClosePortalStmt(_)
        | NodeRef::VariableShowStmt(_) => true,
        NodeRef::ExplainStmt(explain) => {
            let inner = explain.query.as_ref().and_then(|query| query.node.as_ref());
            inner.is_some_and(|inner| reads(inner.to_ref()))
        }
        NodeRef::CopyStmt(copy) => !copy.is_from && !copy.is_program && copy.filename.is_empty(),
        NodeRef::TransactionStmt(stmt) => {
            use pg_query::protobuf::TransactionStmtKind as Kind;
            match stmt.kind() {
                Kind::TransStmtBegin | Kind::TransStmtStart => says_read_only(stmt),
                Kind::TransStmtPrepare
                | Kind::TransStmtCommitPrepared
                | Kind::TransStmtRollbackPrepared => false,
                _ => true,
            }
        }
        _ => false,
    }
}

fn says_read_only(begin: &pg_query::protobuf::TransactionStmt) -> bool {
    let options = format!("{:?}", begin.options);
    options.contains("transaction_read_only")
        && options.contains("ival: 1")
        && !options.contains("serializable")
}
