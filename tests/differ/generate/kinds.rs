//! What can be said, as one table. A kind that is off says why; a seed's script changes with the
//! table, a kept script does not.

use super::{Author, copies, pipelines, values};
use crate::script::Message;

/// How a kind is written.
pub enum Says {
    /// One SQL text, to be said in any way.
    Sql(fn(&mut Author) -> String),
    /// Whole steps.
    Messages(fn(&mut Author) -> Vec<Vec<Message>>),
}

pub struct Kind {
    pub weight: usize,
    pub says: Says,
    /// Why it is not said for now.
    pub off: Option<&'static str>,
}

const fn sql(weight: usize, write: fn(&mut Author) -> String) -> Kind {
    Kind { weight, says: Says::Sql(write), off: None }
}

const fn messages(weight: usize, write: fn(&mut Author) -> Vec<Vec<Message>>) -> Kind {
    Kind { weight, says: Says::Messages(write), off: None }
}

pub const KINDS: &[Kind] = &[
    sql(12, values::read),
    sql(4, values::wrong),
    sql(8, values::write),
    sql(12, values::set),
    sql(8, values::show),
    sql(2, values::discard),
    sql(4, values::role),
    sql(14, values::transaction),
    sql(6, values::savepoint),
    sql(1, values::two_phase),
    sql(5, values::temporary),
    sql(3, values::prepare),
    sql(4, values::cursor),
    sql(4, values::lock),
    sql(2, values::code),
    sql(2, values::define),
    sql(1, values::sequence),
    sql(1, copies::out),
    messages(5, copies::into),
    messages(14, pipelines::named),
    messages(14, pipelines::random),
    messages(4, pipelines::portal),
    messages(1, pipelines::function),
];
