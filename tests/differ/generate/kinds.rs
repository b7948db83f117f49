//! What can be said, as one table. A seed's script changes with it, a kept script does not.

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
}

const fn sql(weight: usize, write: fn(&mut Author) -> String) -> Kind {
    Kind { weight, says: Says::Sql(write) }
}

const fn messages(weight: usize, write: fn(&mut Author) -> Vec<Vec<Message>>) -> Kind {
    Kind { weight, says: Says::Messages(write) }
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
    messages(4, read_only),
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

/// A READ ONLY transaction, which may be on a replica. It is begun and ended by statements of
/// their own, and has reads between: see `scripts` below `known` for what else is not the same.
fn read_only(author: &mut Author) -> Vec<Vec<Message>> {
    let mut steps = vec![vec![Message::Query(values::begin_read_only(author))]];
    for _ in 0..author.dice.below(5) {
        let sql = values::in_read_only(author);
        steps.push(match author.dice.below(3) {
            0 => super::unnamed(sql, author.dice.once_in(2)),
            _ => vec![Message::Query(sql)],
        });
    }
    let end = author.dice.pick(&["COMMIT", "ROLLBACK", "ROLLBACK"]);
    steps.push(vec![Message::Sync, Message::Query(end.into())]);
    // An error in the transaction does not end it; this does.
    steps.push(vec![Message::Query("ROLLBACK".into())]);
    steps
}
