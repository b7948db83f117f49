//! The number of a transaction, asked for right before it commits and at no round trip of its own:
//! when the server is lost then, whether it committed can be found out where it went on.

use super::batch::{Batch, End, Item};
use super::owed::{Owed, Queue};
use super::send::Outgoing;
use super::{Session, Tx};
use crate::pg::govern::Committing;
use crate::pg::wire;
use crate::sql::{Analysis, Step};
use bytes::BufMut;

/// The name of our statement and its portal, which are closed at once.
const NAME: &[u8] = b"tidegate_commits_as";

/// The transaction, if it has written anything; then a record of it goes into the log, so that
/// whoever replays as far as that knows the number to be taken.
const QUESTION: &str = "\
    SELECT x, lsn, pg_catalog.pg_walfile_name(lsn) FROM (SELECT x, \
    CASE WHEN x IS NOT NULL THEN pg_catalog.pg_logical_emit_message(true, 'tidegate', '') END AS lsn \
    FROM pg_catalog.pg_current_xact_id_if_assigned() AS x OFFSET 0) AS t";

/// What the client still waits for when its commit is the last thing that it asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// That the COMMIT is done, and ReadyForQuery.
    Commit,
    /// ReadyForQuery: the commit belongs to it.
    Ready,
}

impl Session {
    /// A COMMIT as a simple query of its own, in an open transaction.
    pub(super) fn asks_before_query(&self, analysis: &Analysis, to: &Outgoing<'_>) -> bool {
        to.resolves && self.tx == Tx::Open && to.owed.is_empty() && is_commit(analysis)
    }

    /// The Execute of a COMMIT.
    pub(super) fn asks_before_execute(&self, effect: Option<&Analysis>, to: &Outgoing<'_>) -> bool {
        to.resolves && self.tx != Tx::Failed && effect.is_some_and(is_commit)
    }

    /// The Sync of a batch that is a transaction of its own.
    pub(super) fn asks_before_sync(&self, batch: &Batch, to: &Outgoing<'_>) -> bool {
        to.resolves && self.tx == Tx::Idle && is_planned(batch)
    }

    /// The server's answer to the question.
    pub(super) fn note_transaction(&mut self, body: &[u8]) {
        let row = wire::parse_row(body);
        let [Some(number), Some(lsn), Some(file)] = row.as_slice() else { return };
        self.committing = Committing::read(number, lsn, file);
    }

    /// The transaction whose commit was asked for and not answered, if its number is known.
    pub fn take_committing(&mut self) -> Option<Committing> {
        self.committing.take()
    }

    /// Its commit was found to be done.
    pub fn has_committed(&mut self) {
        self.commit();
    }
}

/// COMMIT or END alone, without AND CHAIN: no transaction is open behind it.
fn is_commit(analysis: &Analysis) -> bool {
    // PREPARE TRANSACTION needs the primary.
    analysis.primary.is_none() && analysis.steps == [Step::Commit { chain: false }]
}

/// It executes what it binds itself, all of it planned statements: no COPY, which would take our
/// question for data, and no code that commits by itself.
fn is_planned(batch: &Batch) -> bool {
    let (mut bound, mut executed) = (0, 0);
    let fits = |frame: &super::batch::Planned| match &frame.item {
        Item::Bind { statement, .. } => {
            bound += 1;
            frame.later == 0 && statement.as_ref().is_some_and(|s| s.has_types())
        }
        Item::Execute(_) => {
            executed += 1;
            true
        }
        Item::Query(_) | Item::Function => false,
        _ => true,
    };
    batch.end == Some(End::Ready) && batch.frames.iter().all(fits) && bound == executed && bound > 0
}

impl Outgoing<'_> {
    /// The question, and a Flush: its answer is on its way before the server reads on.
    pub(super) fn ask_transaction(&mut self) {
        wire::put_parse(self.out, NAME, format!("{QUESTION}\0\0\0").as_bytes());
        wire::put_frame(self.out, b'B', |b| {
            wire::put_cstr(b, NAME);
            wire::put_cstr(b, NAME);
            // No formats, no values, all of the answer as text.
            b.put_bytes(0, 6);
        });
        wire::put_frame(self.out, b'E', |b| {
            wire::put_cstr(b, NAME);
            b.put_u32(0);
        });
        wire::put_named(self.out, b'C', b'P', NAME);
        wire::put_named(self.out, b'C', b'S', NAME);
        wire::put_empty(self.out, b'H');
        self.owed.push(Owed::CommitsAs { open: 2 });
    }

    /// The same outside of the extended protocol, whose errors would keep a simple query from being
    /// read.
    pub(super) fn ask_transaction_apart(&mut self) {
        self.ask_transaction();
        wire::put_empty(self.out, b'S');
        self.owed.push(Owed::OurSync);
    }
}

impl Queue {
    /// What is left to be said if the commit that was asked for is done; `None`: more than that.
    pub fn rest_of_commit(&self) -> Option<Rest> {
        let ours = |owed: &&Owed| matches!(owed, Owed::CommitsAs { .. } | Owed::OurSync);
        let mut rest = self.iter().skip_while(ours);
        match (rest.next()?, rest.next(), rest.next()) {
            (Owed::Query { analysis, step: 0, .. }, None, None) if is_commit(analysis) => {
                Some(Rest::Commit)
            }
            (Owed::Execute { effect: Some(effect), .. }, Some(Owed::Sync), None)
                if is_commit(effect) =>
            {
                Some(Rest::Commit)
            }
            (Owed::Sync, None, None) => Some(Rest::Ready),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn commit() -> Arc<Analysis> {
        Arc::new(Analysis { steps: vec![Step::Commit { chain: false }], ..Analysis::default() })
    }

    fn owed(entries: Vec<Owed>) -> Queue {
        let mut queue = Queue::default();
        entries.into_iter().for_each(|owed| queue.push(owed));
        queue
    }

    #[test]
    fn what_is_left_of_a_commit_is_known_only_where_nothing_else_is_owed() {
        let execute = |effect| Owed::Execute { effect, undo: None };
        let query = || Owed::Query { analysis: commit(), step: 0, undo: None, unnamed: None };
        let asked = || Owed::CommitsAs { open: 1 };
        let rest = |entries| owed(entries).rest_of_commit();
        assert_eq!(rest(vec![asked(), Owed::OurSync, query()]), Some(Rest::Commit));
        assert_eq!(rest(vec![query()]), Some(Rest::Commit));
        assert_eq!(rest(vec![execute(Some(commit())), Owed::Sync]), Some(Rest::Commit));
        assert_eq!(rest(vec![asked(), Owed::Sync]), Some(Rest::Ready));
        assert_eq!(rest(vec![execute(None), asked(), Owed::Sync]), None);
        assert_eq!(rest(vec![execute(Some(commit())), execute(None), Owed::Sync]), None);
        assert_eq!(rest(vec![]), None);
    }
}
