//! PostgreSQL's own grammar: the only file that knows which crate it comes from is here, together
//! with the two traps of that crate.

pub(super) use pg_raw_parse::list::NodeList;
pub(super) use pg_raw_parse::{ConstValue, Node, nodes};

use pg_raw_parse::ParseResult;
use pg_raw_parse::walk::{Recurse, walk_manual};

/// The parse tree of a text; `None` if the grammar refuses it.
pub(super) fn parse(sql: &str) -> Option<ParseResult> {
    pg_raw_parse::parse(sql).ok()
}

/// Calls `look` for `root` and everything below it, with a list of its own instead of recursion:
/// `1+1+1+…` is as deep as it is long, and a stack overflow would end the process.
///
/// `root` must be SELECT, INSERT, UPDATE, DELETE or MERGE: the crate's walker panics on others.
pub(super) fn each<'a>(root: Node<'a>, mut look: impl FnMut(Node<'a>)) {
    let mut waiting = vec![root];
    while let Some(node) = waiting.pop() {
        if matches!(node, Node::None) {
            continue;
        }
        look(node);
        walk_manual::<()>(node, |child| {
            waiting.push(child);
            Recurse::no()
        });
    }
}

/// The schema, if written, and the name of a function.
pub(super) fn function_name(call: &nodes::FuncCall) -> (Option<&str>, &str) {
    let mut names = call.funcname().iter().map(|part| part.as_str().unwrap_or_default()).rev();
    let name = names.next().unwrap_or_default();
    (names.next(), name)
}
