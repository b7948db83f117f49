//! BEGIN, COMMIT and their kin.

use super::analysis::{Step, Why};
use super::grammar::{Node, nodes};
use super::part::Part;
use super::setting::mode_value;

use nodes::TransactionStmtKind as Kind;

/// What ends a transaction, and savepoints, may run wherever the transaction is: outside one they
/// do nothing.
pub(super) fn transaction(stmt: &nodes::TransactionStmt) -> Part {
    let commit = Step::Commit { chain: false };
    let name = || stmt.savepoint_name().unwrap_or_default().into();
    match stmt.kind {
        Kind::TRANS_STMT_BEGIN | Kind::TRANS_STMT_START => begin(stmt),
        Kind::TRANS_STMT_COMMIT => Part::read().step(Step::Commit { chain: stmt.chain }),
        Kind::TRANS_STMT_ROLLBACK => Part::read().step(Step::Rollback),
        Kind::TRANS_STMT_SAVEPOINT => Part::read().step(Step::Savepoint(name())),
        Kind::TRANS_STMT_RELEASE => Part::read().step(Step::Release(name())),
        Kind::TRANS_STMT_ROLLBACK_TO => Part::read().step(Step::RollbackTo(name())),
        // PREPARE TRANSACTION leaves the session as COMMIT does.
        Kind::TRANS_STMT_PREPARE => Part::primary(Why::Transaction).step(commit),
        _ => Part::primary(Why::Write),
    }
}

fn begin(stmt: &nodes::TransactionStmt) -> Part {
    let mut read_only = None;
    let mut serializable = false;
    for mode in stmt.options() {
        let Node::DefElem(mode) = mode else { continue };
        let value = mode_value(mode).unwrap_or_default();
        match mode.defname() {
            Some("transaction_read_only") => read_only = Some(value == "on"),
            Some("transaction_isolation") => serializable = value == "serializable",
            _ => {}
        }
    }
    // A hot standby refuses SERIALIZABLE, read only or not.
    let anywhere = read_only == Some(true) && !serializable;
    let part = if anywhere { Part::read() } else { Part::primary(Why::Transaction) };
    part.step(Step::Begin { read_only })
}
