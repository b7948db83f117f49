//! Statements of this dialect that rules of the configuration name.
//!
//! Without a grammar a relation is a name where a query has one: behind FROM and JOIN, and behind
//! the commas of their lists.

use super::analysis::Modes;
use super::lexer::{self, Kind};
use super::text::{Statement, pieces, statements};
use crate::sql::mark::{Mark, Marked};

#[derive(Debug)]
pub(super) struct Marks(Marked);

/// The shape of a statement under the usual modes; `None`: it has none.
fn shape_of(text: &str) -> Option<Box<[u8]>> {
    let mut shape = Vec::new();
    lexer::shape(text.as_bytes(), Modes::default(), &mut shape).ok()?;
    (shape.len() > 1).then(|| shape.into())
}

/// A statement can be known by its shape.
pub(in crate::sql) fn has_shape(text: &str) -> bool {
    shape_of(text).is_some()
}

impl Marks {
    pub(super) fn new(all: &[Mark]) -> Marks {
        Marks(Marked::new(all, shape_of))
    }

    pub(super) fn number(&self, wanted: &Mark) -> Option<u8> {
        self.0.number(wanted)
    }

    /// Which fit the text `sql` of this shape.
    pub(super) fn of(&self, sql: &[u8], shape: &[u8], modes: Modes) -> u64 {
        if self.0.all.is_empty() {
            return 0;
        }
        let mut found = self.0.of_shape(shape);
        if let (true, Ok(pieces)) = (self.0.has_relations(), pieces(sql, modes)) {
            for statement in statements(sql, &pieces) {
                relations(&statement, |schema, name| found |= self.0.of_relation(schema, name));
            }
        }
        found
    }
}

/// Where the scan is within one pair of parentheses.
#[derive(Clone, Copy, Default)]
struct Within {
    /// It is a query: FROM does not belong to a function such as EXTRACT.
    selects: bool,
    /// Tables are listed here.
    lists: bool,
    /// A table comes next.
    due: bool,
}

/// Tells `each` of the schema, if there is one, and the name of every relation.
fn relations(statement: &Statement<'_>, mut each: impl FnMut(Option<&str>, &str)) {
    let mut outer = Vec::new();
    let mut here = Within { selects: true, ..Within::default() };
    let mut at = 0;
    while at < statement.len() {
        match statement.kind(at) {
            Some(Kind::Mark(b'(')) => {
                outer.push(here);
                here = Within { selects: false, lists: here.due, due: here.due };
            }
            Some(Kind::Mark(b')')) => {
                here = Within { due: false, ..outer.pop().unwrap_or_default() };
            }
            Some(Kind::Mark(b',')) => here.due = here.lists,
            _ if here.due && !opens(statement, at, &mut here) => {
                if let Some(first) = statement.name(at) {
                    let dotted = statement.is_mark(at + 1, b'.');
                    match statement.name(at + 2).filter(|_| dotted) {
                        Some(name) => {
                            each(Some(first), name);
                            at += 2;
                        }
                        None => each(None, first),
                    }
                }
                here.due = false;
            }
            _ => {
                opens(statement, at, &mut here);
            }
        }
        at += 1;
    }
}

/// A word that begins or ends a list of tables; true if it is one.
fn opens(statement: &Statement<'_>, at: usize, here: &mut Within) -> bool {
    match statement.word(at) {
        "select" | "with" => *here = Within { selects: true, ..Within::default() },
        "from" if here.selects => *here = Within { selects: true, lists: true, due: true },
        "table" if at == 0 => here.due = true,
        "join" | "straight_join" if here.lists => here.due = true,
        "on" | "using" => here.due = false,
        "where" | "group" | "having" | "order" | "limit" | "union" | "except" | "intersect"
        | "window" => (here.lists, here.due) = (false, false),
        "lateral" => {}
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> u64 {
        let all = [
            Mark::relation("audit"),
            Mark::relation("shop.orders"),
            Mark::statement("SELECT a FROM t WHERE a = 1;"),
        ];
        let mut shape = Vec::new();
        lexer::shape(sql.as_bytes(), Modes::default(), &mut shape).expect("a shape");
        Marks::new(&all).of(sql.as_bytes(), &shape, Modes::default())
    }

    #[test]
    fn a_statement_has_the_marks_of_what_it_mentions() {
        for (sql, marks) in [
            ("SELECT * FROM audit", 1),
            ("SELECT 1 WHERE EXISTS (SELECT 1 FROM other.`audit` a)", 1),
            ("SELECT * FROM orders o JOIN shop.audit USING (a, b), c", 3),
            ("SELECT * FROM (a, (b CROSS JOIN shop.orders ON 1), c)", 2),
            ("WITH x AS (SELECT * FROM shop.orders) SELECT * FROM x", 2),
            ("EXPLAIN SELECT * FROM c, (SELECT 1) AS d, audit WHERE a IN (1, 2)", 1),
            ("SELECT * FROM other.orders", 0),
            ("SELECT a FROM t WHERE a = 99", 4),
            ("SELECT a FROM t WHERE a = 99;", 4),
            ("SELECT a FROM t WHERE a < 99", 0),
            ("SELECT audit, t.audit, EXTRACT(YEAR FROM audit) FROM t ORDER BY 1, audit", 0),
            ("SELECT 'audit'", 0),
        ] {
            assert_eq!(found(sql), marks, "{sql}");
        }
    }
}
