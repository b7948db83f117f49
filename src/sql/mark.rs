//! Statements that rules of the configuration name: by a relation, or by their shape.

use super::grammar::{Node, each, parse};
use super::lexer;

/// What a statement has to be or to mention. A classifier knows at most 64 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It mentions this relation, in this schema or, written without one, in any.
    Relation { schema: Option<Box<str>>, name: Box<str> },
    /// It is this one, but for its literals.
    Statement(Box<str>),
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

    /// It may end with a semicolon.
    pub fn statement(text: &str) -> Mark {
        Mark::Statement(text.trim_end_matches([';', ' ', '\n']).into())
    }

    /// It has a shape in PostgreSQL's dialect.
    pub fn is_postgres(&self) -> bool {
        match self {
            Mark::Relation { .. } => true,
            Mark::Statement(text) => shape_of(text).is_some(),
        }
    }

    /// It has a shape in MySQL's and MariaDB's dialect.
    pub fn is_mysql(&self) -> bool {
        match self {
            Mark::Relation { .. } => true,
            Mark::Statement(text) => super::mysql::has_shape(text),
        }
    }

    /// It is the relation `name` of this schema; `None`: the text says none.
    pub(super) fn names(&self, schema: Option<&str>, name: &str) -> bool {
        match self {
            Mark::Relation { schema: wanted, name: relation } => {
                **relation == *name
                    && wanted.as_deref().is_none_or(|wanted| schema.is_none_or(|is| is == wanted))
            }
            Mark::Statement(_) => false,
        }
    }
}

/// Marks with the shapes that statements of one dialect have: bit n stands for the nth mark.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) all: Vec<(Mark, Option<Box<[u8]>>)>,
}

impl Marked {
    pub(super) fn new(all: &[Mark], shape: impl Fn(&str) -> Option<Box<[u8]>>) -> Marked {
        let shaped = |mark: &Mark| match mark {
            Mark::Statement(text) => (mark.clone(), shape(text)),
            Mark::Relation { .. } => (mark.clone(), None),
        };
        Marked { all: all.iter().map(shaped).collect() }
    }

    /// The number of this mark.
    pub(super) fn number(&self, wanted: &Mark) -> Option<u8> {
        let at = self.all.iter().position(|(mark, _)| mark == wanted);
        at.and_then(|at| u8::try_from(at).ok())
    }

    /// Those of a statement of this shape.
    pub(super) fn of_shape(&self, shape: &[u8]) -> u64 {
        let shape = shape.strip_suffix(b";").unwrap_or(shape);
        self.bits(|_, wanted| wanted.is_some_and(|wanted| *wanted == *shape))
    }

    /// Those of the relation `name` of this schema.
    pub(super) fn of_relation(&self, schema: Option<&str>, name: &str) -> u64 {
        self.bits(|mark, _| mark.names(schema, name))
    }

    pub(super) fn has_relations(&self) -> bool {
        self.all.iter().any(|(mark, _)| matches!(mark, Mark::Relation { .. }))
    }

    fn bits(&self, fits: impl Fn(&Mark, Option<&[u8]>) -> bool) -> u64 {
        let bits =
            self.all.iter().enumerate().filter(|(_, (mark, shape))| fits(mark, shape.as_deref()));
        bits.fold(0, |found, (bit, _)| found | 1 << bit)
    }
}

fn shape_of(text: &str) -> Option<Box<[u8]>> {
    let mut shape = Vec::new();
    lexer::shape(text.as_bytes(), &mut shape)?;
    (!shape.is_empty()).then(|| shape.into())
}

/// The marks that PostgreSQL's grammar looks for.
#[derive(Debug)]
pub(super) struct Marks(Marked);

impl Marks {
    pub(super) fn new(all: &[Mark]) -> Marks {
        Marks(Marked::new(all, shape_of))
    }

    pub(super) fn number(&self, wanted: &Mark) -> Option<u8> {
        self.0.number(wanted)
    }

    /// Which fit the text `sql` of this shape.
    pub(super) fn of(&self, sql: &[u8], shape: &[u8]) -> u64 {
        let relations = if self.0.has_relations() { relations(sql, &self.0) } else { 0 };
        self.0.of_shape(shape) | relations
    }
}

fn relations(sql: &[u8], marks: &Marked) -> u64 {
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
                found |= marks.of_relation(schema, name);
            }
        });
    }
    found
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
        lexer::shape(sql.as_bytes(), &mut shape).expect("a shape");
        Marks::new(&all).of(sql.as_bytes(), &shape)
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
