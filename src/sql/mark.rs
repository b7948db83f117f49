//! Statements that rules of the configuration name: by a relation, or by their shape.

use super::grammar::{Node, each, parse};
use super::lexer;

/// What a statement has to be or to mention. A classifier knows at most 64 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It mentions this relation, in this schema or, written without one, in any.
    Relation { schema: Option<Box<str>>, name: Box<str> },
    /// It is this one, but for its literals.
    Shape(Box<[u8]>),
}

impl Mark {
    /// `name` or `schema.name`, as the grammar folds them.
    pub fn relation(name: &str) -> Mark {
        match name.split_once('.') {
            Some((schema, name)) => {
                Mark::Relation { schema: Some(schema.into()), name: name.into() }
            }
            None => Mark::Relation { schema: None, name: name.into() },
        }
    }

    /// The shape of a statement; `None` if it has none.
    pub fn statement(text: &str) -> Option<Mark> {
        let mut shape = Vec::new();
        lexer::shape(text.trim_end_matches([';', ' ', '\n']).as_bytes(), &mut shape)?;
        (!shape.is_empty()).then(|| Mark::Shape(shape.into()))
    }
}

/// Which of `marks` fit the text `sql` of this shape: bit n for the nth.
pub(super) fn marks(sql: &[u8], shape: &[u8], marks: &[Mark]) -> u64 {
    let shape = shape.strip_suffix(b";").unwrap_or(shape);
    let mut found = 0;
    for (bit, mark) in marks.iter().enumerate() {
        if matches!(mark, Mark::Shape(wanted) if **wanted == *shape) {
            found |= 1 << bit;
        }
    }
    if marks.iter().any(|mark| matches!(mark, Mark::Relation { .. })) {
        found |= relations(sql, marks);
    }
    found
}

fn relations(sql: &[u8], marks: &[Mark]) -> u64 {
    let tree = std::str::from_utf8(sql).ok().and_then(parse);
    let mut found = 0;
    for stmt in tree.iter().flat_map(|tree| tree.stmts()) {
        let plain = match stmt {
            Node::ExplainStmt(stmt) => stmt.query(),
            stmt => stmt,
        };
        // Others are writes: there is nothing to choose for them.
        if !matches!(plain, Node::SelectStmt(_)) {
            continue;
        }
        each(plain, |node| {
            if let Node::RangeVar(table) = node {
                let (schema, name) = (table.schemaname(), table.relname().unwrap_or_default());
                found |= named(schema, name, marks);
            }
        });
    }
    found
}

fn named(schema: Option<&str>, name: &str, marks: &[Mark]) -> u64 {
    let fits = |mark: &Mark| match mark {
        Mark::Relation { schema: wanted, name: relation } => {
            **relation == *name
                && wanted.as_deref().is_none_or(|wanted| schema.is_none_or(|is| is == wanted))
        }
        Mark::Shape(_) => false,
    };
    let bits = marks.iter().enumerate().filter(|(_, mark)| fits(mark));
    bits.fold(0, |found, (bit, _)| found | 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> u64 {
        let all = [
            Mark::relation("audit"),
            Mark::relation("shop.orders"),
            Mark::statement("SELECT a FROM t WHERE a = 1;").expect("a shape"),
        ];
        let mut shape = Vec::new();
        lexer::shape(sql.as_bytes(), &mut shape).expect("a shape");
        marks(sql.as_bytes(), &shape, &all)
    }

    #[test]
    fn a_statement_has_the_marks_of_what_it_mentions() {
        assert_eq!(found("SELECT * FROM audit"), 1);
        assert_eq!(found("SELECT 1 WHERE EXISTS (TABLE other.audit)"), 1);
        assert_eq!(found("SELECT * FROM orders JOIN shop.audit USING (a)"), 3);
        assert_eq!(found("WITH x AS (TABLE shop.orders) TABLE x"), 2);
        assert_eq!(found("EXPLAIN TABLE shop.orders"), 2);
        assert_eq!(found("TABLE other.orders"), 0);
        assert_eq!(found("SELECT a FROM t WHERE a = 99"), 4);
        assert_eq!(found("SELECT a FROM t WHERE a = 99;"), 4);
        assert_eq!(found("SELECT a FROM t WHERE a < 99"), 0);
        assert_eq!(found("SELECT 'audit'"), 0);
    }
}
