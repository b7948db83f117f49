//! What a server is told and asked ahead of a batch: the session's parameters, statements that it
//! lacks and whose types must be what clients were told, or the session's own names for them.

use super::batch::{Batch, Item};
use super::owed::Owed;
use super::receive::{Incoming, LOOK_LIMIT, Passage};
use super::send::{Outgoing, asks};
use super::{Backend, Session, Tx};
use crate::pg::server_name::ServerName;
use crate::pg::statement::{OnServer, Slot, Statement};
use crate::pg::wire;
use std::sync::Arc;

impl Session {
    /// Sends ahead what makes the server's parameters those of this session.
    /// True: wait for the answer before the batch is sent.
    pub fn replay(&self, to: &mut Outgoing<'_>) -> bool {
        if Arc::ptr_eq(&to.backend.params, self.variables.current()) {
            return false;
        }
        let replay = to.backend.params.replay(self.variables.current());
        to.backend.params = self.variables.current().clone();
        if replay.sql.is_empty() {
            return false;
        }
        to.run(&replay.sql);
        replay.can_fail
    }

    /// In the middle of a transaction: gives the server back what a RESET there was to go back to.
    /// Its answer need not be waited for.
    pub fn repay(&mut self, _: &Batch, to: &mut Outgoing<'_>) -> bool {
        let sql = self.variables.pay();
        if !sql.is_empty() {
            to.run(&sql);
        }
        false
    }

    /// Sends ahead the statements that a batch uses and that this server lacks, where clients were
    /// told their types: before anything is executed, they are to be the same here.
    /// True: wait for the answer, then ask [`Session::finds_others`].
    ///
    /// Outside of any transaction it is a question apart, whose failure nobody hears of: the batch
    /// itself will fail where it is due. Inside, its failure is that of the transaction.
    pub fn prepare(&mut self, batch: &Batch, to: &mut Outgoing<'_>) -> bool {
        self.make_private(batch, to, self.tx == Tx::Idle);
        let sent = self.prepare_missing(batch, to, self.tx == Tx::Idle);
        if sent && self.tx == Tx::Idle {
            wire::put_empty(to.out, b'S');
            to.owed.push(Owed::OurSync);
        } else if sent {
            wire::put_empty(to.out, b'H');
        }
        sent
    }

    /// The same in the middle of a batch, which may be a transaction of its own.
    pub fn prepare_inside(&mut self, batch: &Batch, to: &mut Outgoing<'_>) -> bool {
        self.make_private(batch, to, false);
        let sent = self.prepare_missing(batch, to, false);
        if sent {
            wire::put_empty(to.out, b'H');
        }
        sent
    }

    /// `apart`: outside of any transaction, so that parameters can be changed for it.
    fn prepare_missing(&self, batch: &Batch, to: &mut Outgoing<'_>, apart: bool) -> bool {
        if self.tx == Tx::Failed || to.owed.is_skipping() || to.backend.prepared.private {
            return false;
        }
        let mut sent = false;
        for (at, frame) in batch.frames.iter().enumerate() {
            let (statement, unnamed) = match &frame.item {
                Item::Parse { statement, named: true, duplicate: false, .. } => (statement, false),
                // It fails, and what follows it is skipped.
                Item::Parse { duplicate: true, .. } => break,
                Item::Bind { statement: Some(statement), unnamed, deallocates: false }
                | Item::DescribeStatement(Some(statement), unnamed) => (statement, *unnamed),
                _ => continue,
            };
            let prepared = &mut to.backend.prepared;
            let there = match unnamed {
                true => prepared.unnamed == Some(statement.id) || batch.parses_unnamed(at),
                false => prepared.has(statement.id) || prepared.has_differing(statement.id),
            };
            if there || asks(Some(statement)) {
                continue;
            }
            if !self.variables.current().reads_as(&statement.reading) {
                if apart && !unnamed {
                    self.ensure_as_it_was_read(statement, to);
                    sent = true;
                }
                continue;
            }
            if !statement.is_described() {
                continue;
            }
            let by = self.variables.current();
            match unnamed {
                true => {
                    to.ensure_unnamed(statement, by);
                    to.describe(statement, b"");
                }
                false => drop(to.ensure(statement, by)),
            }
            sent = true;
        }
        sent
    }

    /// For a statement that was prepared when other parameters held: it is read by those again.
    fn ensure_as_it_was_read(&self, statement: &Arc<Statement>, to: &mut Outgoing<'_>) {
        let ours = self.variables.current();
        let its = ours.reading_as(&statement.reading);
        to.run(&ours.replay(&its).sql);
        to.ensure(statement, &its);
        wire::put_empty(to.out, b'S');
        to.owed.push(Owed::OurSync);
        to.run(&its.replay(ours).sql);
    }

    /// The batch uses a statement whose types on this server are not what clients were told.
    pub fn finds_others(&self, batch: &Batch, backend: &Backend) -> bool {
        batch.frames.iter().any(|frame| match &frame.item {
            Item::Parse { statement, .. }
            | Item::Bind { statement: Some(statement), .. }
            | Item::DescribeStatement(Some(statement), _) => {
                backend.prepared.has_differing(statement.id)
            }
            _ => false,
        })
    }

    /// For a batch that names statements in SQL: gives the server the session's statements under the
    /// session's own names, and nobody else's, so that SQL means by a name what the session means.
    /// `apart`: each in a transaction of its own, which neither the others nor the batch take part in.
    fn make_private(&self, batch: &Batch, to: &mut Outgoing<'_>, apart: bool) {
        let OnServer { private, lacking, .. } = to.backend.prepared;
        let needed = lacking || (!private && batch.names_statements());
        if !needed || self.tx == Tx::Failed || to.owed.is_skipping() {
            return;
        }
        for id in to.backend.prepared.ids() {
            wire::put_named(to.out, b'C', b'S', ServerName::of(id).as_bytes());
            to.owed.push(Owed::Close { ours: true, slot: Slot::Shared(id), undo: None });
        }
        to.backend.prepared.clear();
        (to.backend.prepared.private, to.backend.prepared.lacking) = (true, false);
        let mut names: Vec<_> = self.names_before(&batch.frames).into_iter().collect();
        names.sort_unstable_by_key(|(_, named)| named.number);
        for (name, named) in names {
            if lacking {
                wire::put_named(to.out, b'C', b'S', &name);
                to.owed.push(Owed::Close { ours: true, slot: Slot::Other, undo: None });
            }
            wire::put_parse(to.out, &name, &named.statement.content);
            to.owed.push(Owed::Parse { ours: true, slot: Slot::Private, undo: None });
            if apart {
                wire::put_empty(to.out, b'S');
                to.owed.push(Owed::OurSync);
            }
        }
    }

    /// The types of a statement are complete: whether they are what clients were told.
    pub(super) fn compare(&mut self, tag: u8, body: &[u8], from: &mut Incoming<'_>) -> Passage {
        let Some(Owed::Types { ours, statement, types }) = from.owed.head() else {
            return Passage::Forward;
        };
        types.push(tag);
        if tag == b'T' {
            wire::put_row_types(&body[..body.len().min(LOOK_LIMIT)], types);
        }
        let agrees = statement.agrees(types);
        self.renews |= !agrees;
        match *ours {
            true => {
                if !agrees {
                    from.backend.prepared.differs(statement.id);
                }
                Passage::Swallow
            }
            false => {
                // The client knows these now, whatever others were told of the same text.
                if !agrees && self.unnamed.as_ref().is_some_and(|s| s.id == statement.id) {
                    self.unnamed = Some(Arc::new(statement.told(types)));
                }
                Passage::Forward
            }
        }
    }
}

impl Outgoing<'_> {
    /// A simple query of ours, whose answer is swallowed. It destroys the unnamed statement.
    fn run(&mut self, sql: &str) {
        self.backend.prepared.unnamed = None;
        wire::put_query(self.out, sql.as_bytes());
        self.owed.push(Owed::Replay);
    }

    /// A BEGIN of ours in the place of one that the client sent to another server, or the ROLLBACK
    /// that ends it there.
    pub fn transaction(&mut self, sql: &[u8]) {
        self.backend.prepared.unnamed = None;
        wire::put_query(self.out, sql);
        self.owed.push(Owed::Transaction);
    }

    /// `currval` is about what this session did.
    pub fn forget_sequences(&mut self) {
        self.run("DISCARD SEQUENCES");
    }
}
