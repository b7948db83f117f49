//! What the names of a statement mean: what the operator says, what the database says, and what
//! PostgreSQL's own functions do.

use super::analysis::{Step, Why};
use super::catalog::{Catalog, Meaning};
use super::functions::{Call, Functions};
use super::grammar::{Node, NodeList, nodes};
use super::standby::local_relation;

/// Where names are looked up.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) functions: &'a Functions,
    pub(super) catalog: &'a Catalog,
}

impl Names<'_> {
    /// What calling a function of this name does, whichever of that name it is.
    pub(super) fn call(self, schema: Option<&str>, name: &str) -> Call {
        let alone = self.functions.call(schema, name);
        let user = self.catalog.function(schema, name);
        match (alone, user) {
            (_, None) => alone,
            (Call::Harmless, Some(meaning)) => Call::OfUser(meaning),
            // It is the user's alone, which the catalog judged with what the operator says.
            (Call::Unknown, Some(meaning)) if !self.functions.shuns(name) => Call::OfUser(meaning),
            (Call::Effect, Some(meaning)) if meaning.keeps => Call::Unknown,
            (_, Some(_)) => alone,
        }
    }
}

/// What an expression does beside calling functions by their names: operators and conversions.
pub(super) fn of_expression(node: Node<'_>, names: Names<'_>) -> Option<Meaning> {
    let catalog = names.catalog;
    let operator = |name: &NodeList| {
        let (schema, name) = qualified(name);
        catalog.operator(schema, name)
    };
    match node {
        Node::A_Expr(expression) => operator(expression.name()),
        Node::SubLink(sublink) => operator(sublink.oper_name()),
        Node::SortBy(sort) => operator(sort.use_op()),
        Node::ColumnRef(column) if column.fields().iter().count() > 1 => {
            attribute(column.fields(), catalog)
        }
        Node::A_Indirection(of) => attribute(of.indirection(), catalog),
        Node::TypeName(name) => {
            let mut parts = name.names().iter().map(|part| part.sval().unwrap_or_default()).rev();
            let last = parts.next().unwrap_or_default();
            catalog.of_type(parts.next(), last)
        }
        _ => None,
    }
}

/// `row.name` may call `name(row)`, a function of the user's.
fn attribute(path: &NodeList, catalog: &Catalog) -> Option<Meaning> {
    let last = path.iter().next_back()?.as_str()?;
    catalog.function(None, last).filter(|meaning| meaning.effect)
}

/// Why a relation is not read on a replica, and what reading it may leave behind.
pub(super) fn of_relation(table: &nodes::RangeVar, names: Names<'_>) -> (Option<Why>, Step) {
    let (schema, name) = (table.schemaname(), table.relname().unwrap_or_default());
    if local_relation(schema, name) {
        return (Some(Why::Session), Step::Plain);
    }
    let meaning = names.catalog.relation(schema, name).unwrap_or_default();
    (meaning.effect.then_some(Why::Relation), meaning.step())
}

/// The schema, if written, and the name in a qualified name.
pub(super) fn qualified(names: &NodeList) -> (Option<&str>, &str) {
    let mut parts = names.iter().map(|part| part.as_str().unwrap_or_default()).rev();
    let name = parts.next().unwrap_or_default();
    (parts.next(), name)
}
