//! What the names in a statement mean in one database, as far as routing needs to know.
//!
//! Nothing here knows a session's search path, so a name without a schema means whatever it may
//! mean in any: what is harmful in one schema is harmful. PostgreSQL's promise is believed:
//! whoever declares a function STABLE or IMMUTABLE says that it has no effect, unless its own text
//! names one that has. VOLATILE, which is the default, says nothing; such a function is harmless
//! only if it is written in SQL and the grammar sees that it reads, or in PL/pgSQL and no word of it
//! is doubtful. SECURITY DEFINER changes
//! nothing: rights do not make a write.
//!
//! Not known: what `CREATE OPERATOR CLASS`, a type's input function or a procedural language other
//! than PL/pgSQL may hide behind the word IMMUTABLE; a replica refuses what writes.

mod body;
mod judge;
pub mod raw;

use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::HashMap;

use super::analysis::Step;

/// What using something may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    /// It has an effect, or a replica would answer otherwise.
    pub(super) effect: bool,
    /// It may leave something on its connection.
    pub(super) keeps: bool,
}

impl Meaning {
    const HARMLESS: Meaning = Meaning { effect: false, keeps: false };
    const ANYTHING: Meaning = Meaning { effect: true, keeps: true };

    pub(super) fn step(self) -> Step {
        if self.keeps { Step::Hidden } else { Step::Plain }
    }

    pub(super) fn and(self, other: Meaning) -> Meaning {
        Meaning { effect: self.effect || other.effect, keeps: self.keeps || other.keeps }
    }
}

/// Things by name, each with its schema.
#[derive(Debug, Default)]
struct Table(HashMap<Box<str>, Vec<(Box<str>, Meaning)>>);

impl Table {
    fn add(&mut self, schema: &str, name: &str, meaning: Meaning) {
        let meanings = self.0.entry(name.into()).or_default();
        match meanings.iter_mut().find(|(known, _)| **known == *schema) {
            Some((_, known)) => *known = known.and(meaning),
            None => meanings.push((schema.into(), meaning)),
        }
    }

    /// What any of those that may be meant does; `None`: there is none.
    fn get(&self, schema: Option<&str>, name: &str) -> Option<Meaning> {
        let all = self.0.get(name)?.iter();
        let meant = all.filter(|(its, _)| schema.is_none_or(|schema| schema == &**its));
        meant.map(|(_, meaning)| *meaning).reduce(Meaning::and)
    }
}

/// The names of one database. By default it was not looked at, and only PostgreSQL's own functions
/// are known.
#[derive(Debug, Default)]
pub struct Catalog {
    number: u64,
    /// All functions that are not PostgreSQL's own.
    functions: Table,
    /// Relations that are not harmless.
    relations: Table,
    operators: Table,
    types: Table,
    /// A conversion that nobody writes has an effect, so that any expression may have one.
    conversions: Option<Meaning>,
}

/// Operators that expressions without an operator are made of: IN, CASE x WHEN, USING, LIKE …
const IMPLIED: [&str; 11] = ["=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~"];

impl Catalog {
    /// Tells it from every other catalog that this process had; 0: nothing is known.
    pub fn number(&self) -> u64 {
        self.number
    }

    fn next_number() -> u64 {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        NUMBERS.fetch_add(1, Ordering::Relaxed)
    }

    /// Functions that a read may call, besides PostgreSQL's own, and all there are.
    pub fn functions(&self) -> (usize, usize) {
        let all = self.functions.0.values().flatten();
        (all.clone().filter(|(_, meaning)| !meaning.effect).count(), all.count())
    }

    /// Relations and operators that a replica is not asked for.
    pub fn harmful(&self) -> usize {
        let tables = [&self.relations, &self.operators, &self.types];
        tables.iter().map(|table| table.0.values().flatten().count()).sum()
    }

    pub(super) fn is_known(&self) -> bool {
        self.number != 0
    }

    pub(super) fn function(&self, schema: Option<&str>, name: &str) -> Option<Meaning> {
        self.functions.get(schema, name)
    }

    /// What reading a relation may do; `None`: nothing.
    pub(super) fn relation(&self, schema: Option<&str>, name: &str) -> Option<Meaning> {
        self.relations.get(schema, name)
    }

    pub(super) fn operator(&self, schema: Option<&str>, name: &str) -> Option<Meaning> {
        self.operators.get(schema, name)
    }

    pub(super) fn of_type(&self, schema: Option<&str>, name: &str) -> Option<Meaning> {
        self.types.get(schema, name)
    }

    /// Operators or types of the user's have an effect, which words do not tell.
    fn hides_something(&self) -> bool {
        !(self.operators.0.is_empty() && self.types.0.is_empty()) || self.conversions.is_some()
    }

    /// What any expression may do.
    pub(super) fn anywhere(&self) -> Option<Meaning> {
        self.conversions
    }
}

#[cfg(test)]
mod tests;
