//! From a planned batch to what the server gets, and what it then owes.

use super::batch::{Batch, End, Item, Planned};
use super::owed::{Owed, Queue};
use super::plan::{self, say};
use super::undo::Undo;
use super::{Backend, Session, Tx};
use crate::pg::params::Params;
use crate::pg::server_name::{DEALLOCATE_STAND_IN, NOWHERE, STAND_IN, ServerName};
use crate::pg::statement::{Slot, Statement};
use crate::pg::wire::{self, HEADER};
use crate::sql::Analysis;
use bytes::{BufMut, BytesMut};
use std::sync::Arc;

/// The other end of the work: a server's known state, its output buffer and what it owes.
pub struct Outgoing<'a> {
    pub backend: &'a mut Backend,
    pub out: &'a mut BytesMut,
    pub owed: &'a mut Queue,
    /// Answers `SHOW tidegate.…`.
    pub show: &'a (dyn Fn(&str) -> String + Sync),
    /// If the server is lost at a commit, it will be found out whether that was done.
    pub resolves: bool,
}

impl Session {
    /// Turns the frames of `batch`, which lie at the start of `input`, into what the server gets.
    pub fn send(&mut self, batch: &Batch, input: &[u8], to: &mut Outgoing<'_>) {
        let skipped = match to.owed.is_skipping() {
            true => batch.frames.iter().take_while(|f| !matches!(f.item, Item::Sync)).count(),
            false => 0,
        };
        let mut at = 0;
        for (index, frame) in batch.frames.iter().enumerate() {
            let bytes = &input[at..at + frame.here];
            at += frame.here;
            match index < skipped {
                true => to.forward(bytes),
                false => {
                    if matches!(frame.item, Item::Sync) && self.asks_before_sync(batch, to) {
                        to.ask_transaction();
                    }
                    self.send_frame(frame, bytes, to);
                }
            }
        }
        self.undo(&batch.frames[..skipped]);
    }

    /// True when no server is needed: every answer is ours, and the batch ends here.
    pub fn is_local(&self, batch: &Batch) -> bool {
        batch.end == Some(End::Ready)
            && batch.frames.iter().all(|frame| match &frame.item {
                Item::CloseStatement(_) | Item::Sync => true,
                Item::Query(analysis) => plan::asks_proxy(analysis).is_some(),
                Item::Parse { statement, .. } => asks(Some(statement)),
                Item::Bind { statement, .. } | Item::DescribeStatement(statement, _) => {
                    asks(statement.as_ref())
                }
                Item::Execute(_) => self.portal.is_some() || batch.frames.iter().any(is_show_bind),
                Item::Pass => frame.tag == b'D' && batch.frames.iter().any(is_show_bind),
                Item::Function => false,
            })
    }

    fn send_frame(&mut self, frame: &Planned, bytes: &[u8], to: &mut Outgoing<'_>) {
        let body = &bytes[HEADER.min(bytes.len())..];
        match &frame.item {
            Item::Query(analysis) => self.send_query(analysis, bytes, to),
            Item::Parse { .. } => self.send_parse(&frame.item, bytes, to),
            Item::Bind { .. } => self.send_bind(frame, bytes, to),
            Item::DescribeStatement(statement, unnamed) => {
                self.send_describe(statement.as_ref(), *unnamed, bytes, to);
            }
            Item::CloseStatement(undo) => to.close(undo.clone(), bytes),
            Item::Execute(undo) => self.send_execute(undo.clone(), body, bytes, to),
            Item::Sync => {
                to.forward(bytes);
                to.owed.push(Owed::Sync);
            }
            Item::Function => {
                to.forward(bytes);
                to.owed.push(Owed::Function);
            }
            Item::Pass => self.pass(frame.tag, body, bytes, to),
        }
    }

    fn send_query(&mut self, analysis: &Arc<Analysis>, bytes: &[u8], to: &mut Outgoing<'_>) {
        if let Some(question) = plan::asks_proxy(analysis) {
            let rows = self.told(question, to.show);
            to.say(|b| {
                wire::put_row_description(b, &question.column());
                wire::put_text_rows(b, &rows, question.tag());
            });
            let status = self.tx.status();
            return to.say(|b| wire::put_ready(b, status));
        }
        if self.asks_before_query(analysis, to) {
            to.ask_transaction_apart();
        }
        let unnamed = to.backend.prepared.unnamed.take();
        let deallocated = self.deallocates(analysis).map(|name| self.named.remove(&name));
        match deallocated.filter(|_| !to.backend.prepared.private) {
            Some(_) => {
                to.stand_in();
                wire::put_query(to.out, DEALLOCATE_STAND_IN.as_bytes());
            }
            None => to.forward(bytes),
        }
        let undo = self.undefine(b"");
        to.owed.push(Owed::Query { analysis: analysis.clone(), step: 0, undo, unnamed });
    }

    fn send_parse(&mut self, item: &Item, bytes: &[u8], to: &mut Outgoing<'_>) {
        let Item::Parse { statement, named, duplicate, undo } = item else { return };
        let undo = undo.clone();
        if asks(Some(statement)) {
            return to.say_or(undo, |b| wire::put_empty(b, b'1'));
        }
        if !named || to.backend.prepared.private {
            to.forward(bytes);
            let slot = match named {
                true => Slot::Other,
                false => to.backend.prepared.fill_unnamed(Some(statement.id)),
            };
            return to.owed.push(Owed::Parse { ours: false, slot, undo });
        }
        if *duplicate {
            // The server itself refuses it, with the message that applications know.
            to.stand_in();
            let body = wire::parse_parse(&bytes[HEADER..]);
            let (name, content) =
                body.map_or((&b""[..], &statement.content[..]), |body| (body.name, body.content));
            wire::put_parse(to.out, STAND_IN.as_bytes(), content);
            return to.owed.push(Owed::Duplicate(name.into()));
        }
        if to.backend.prepared.has(statement.id) {
            if self.tx != Tx::Failed {
                return to.say_or(undo, |b| wire::put_empty(b, b'1'));
            }
            // The server itself refuses it, unless the transaction ends before; so that it is
            // clear what the server has then, it has nothing now.
            to.remove(statement);
        }
        to.parse(statement, Owed::Parse { ours: false, slot: Slot::Shared(statement.id), undo });
    }

    fn send_bind(&mut self, frame: &Planned, bytes: &[u8], to: &mut Outgoing<'_>) {
        let Item::Bind { statement, unnamed, deallocates } = &frame.item else { return };
        let statement = statement.as_ref();
        let Some((portal, _, rest)) = wire::parse_bind(&bytes[HEADER..]) else { return };
        self.bind_portal(portal, statement);
        if asks(statement) {
            return to.say(|b| wire::put_empty(b, b'2'));
        }
        if statement.is_some_and(|s| to.backend.prepared.has_differing(s.id)) {
            return to.refuse_stale();
        }
        let instead = if *deallocates && !to.backend.prepared.private {
            to.stand_in();
            Some(ServerName::of(0))
        } else {
            self.name_on_server(statement, *unnamed, to)
        };
        match instead {
            None => to.forward(bytes),
            Some(name) => {
                let len = 4 + portal.len() + 1 + name.len() + 1 + rest.len() + frame.later;
                to.out.put_u8(b'B');
                to.out.put_u32(len as u32);
                to.out.put_slice(portal);
                to.out.put_u8(0);
                to.out.put_slice(name.as_bytes());
                to.out.put_u8(0);
                to.out.put_slice(rest);
            }
        }
        to.owed.push(Owed::Bind);
    }

    /// Sees to it that the server has what a message names; answers with the name that it has there,
    /// unless that is the client's own.
    fn name_on_server(
        &self,
        statement: Option<&Arc<Statement>>,
        unnamed: bool,
        to: &mut Outgoing<'_>,
    ) -> Option<ServerName> {
        let by = self.variables.current();
        match (statement, unnamed) {
            (Some(statement), true) => to.ensure_unnamed(statement, by),
            // Whatever the server has in its unnamed slot is not this client's.
            (None, true) => to.drop_unnamed(),
            (Some(statement), false) if !to.backend.prepared.private => {
                return Some(to.ensure(statement, by));
            }
            (_, false) => {}
        }
        None
    }

    fn send_describe(
        &mut self,
        statement: Option<&Arc<Statement>>,
        unnamed: bool,
        bytes: &[u8],
        to: &mut Outgoing<'_>,
    ) {
        if let Some(question) = statement.and_then(|s| plan::asks_proxy(&s.analysis)) {
            return to.say(|b| {
                wire::put_frame(b, b't', |b| b.put_u16(0));
                wire::put_row_description(b, &question.column());
            });
        }
        if statement.is_some_and(|s| to.backend.prepared.has_differing(s.id)) {
            return to.refuse_stale();
        }
        match self.name_on_server(statement, unnamed, to) {
            Some(name) => wire::put_named(to.out, b'D', b'S', name.as_bytes()),
            None => to.forward(bytes),
        }
        to.owed.push(match statement.filter(|s| unnamed && s.has_types()) {
            Some(s) => Owed::Types { ours: false, statement: s.clone(), types: Vec::new() },
            None => Owed::Describe,
        });
    }

    fn send_execute(
        &mut self,
        mut undo: Option<Undo>,
        body: &[u8],
        bytes: &[u8],
        to: &mut Outgoing<'_>,
    ) {
        let portal = wire::cstr(body).map_or(&[][..], |(name, _)| name);
        let effect = self.portal_effect(portal);
        if let Some(question) = effect.as_ref().and_then(|a| plan::asks_proxy(a)) {
            let rows = self.told(question, to.show);
            return to.say(|b| wire::put_text_rows(b, &rows, question.tag()));
        }
        if self.asks_before_execute(effect.as_deref(), to) {
            to.ask_transaction();
        }
        if let Some(Undo::All(forgotten)) = &mut undo {
            forgotten.on_server = std::mem::take(&mut to.backend.prepared);
        }
        to.forward(bytes);
        to.owed.push(Owed::Execute { effect, undo });
    }

    fn pass(&mut self, tag: u8, body: &[u8], bytes: &[u8], to: &mut Outgoing<'_>) {
        match tag {
            b'c' | b'f' if to.owed.may_enter_copy() => to.owed.push(Owed::CopyEnd),
            b'D' => {
                let portal = wire::cstr(&body[1..]).map_or(&[][..], |(name, _)| name);
                let effect = self.portal_effect(portal);
                if let Some(question) = effect.as_ref().and_then(|a| plan::asks_proxy(a)) {
                    return to.say(|b| wire::put_row_description(b, &question.column()));
                }
                to.owed.push(Owed::Describe);
            }
            b'C' => to.owed.push(Owed::Close { ours: false, slot: Slot::Other, undo: None }),
            _ => {}
        }
        to.forward(bytes);
    }
}

impl Outgoing<'_> {
    fn forward(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }

    fn say(&mut self, build: impl FnOnce(&mut BytesMut)) {
        self.say_or(None, build);
    }

    /// An answer of ours; `undo` is for when the server does not come as far as this.
    fn say_or(&mut self, undo: Option<Undo>, build: impl FnOnce(&mut BytesMut)) {
        self.owed.push(Owed::Say(say(build), undo));
    }

    /// Close of a statement: servers keep those that are shared.
    fn close(&mut self, undo: Option<Undo>, bytes: &[u8]) {
        match self.backend.prepared.private {
            true => {
                self.forward(bytes);
                self.owed.push(Owed::Close { ours: false, slot: Slot::Other, undo });
            }
            false => self.say_or(undo, |b| wire::put_empty(b, b'3')),
        }
    }

    /// Takes a statement from the server that it has for clients.
    fn remove(&mut self, statement: &Statement) {
        wire::put_named(self.out, b'C', b'S', statement.server_name().as_bytes());
        self.owed.push(Owed::Close { ours: true, slot: Slot::Shared(statement.id), undo: None });
    }

    fn parse(&mut self, statement: &Arc<Statement>, owed: Owed) {
        let name = statement.server_name();
        if self.backend.prepared.take_differing(statement.id) {
            wire::put_named(self.out, b'C', b'S', name.as_bytes());
            self.owed.push(Owed::Close { ours: true, slot: Slot::Other, undo: None });
        }
        wire::put_parse(self.out, name.as_bytes(), &statement.content);
        self.owed.push(owed);
        self.describe(statement, name.as_bytes());
        if let Some(oldest) = self.backend.prepared.add(statement.id, self.backend.max_prepared) {
            wire::put_named(self.out, b'C', b'S', ServerName::of(oldest).as_bytes());
            self.owed.push(Owed::Close { ours: true, slot: Slot::Shared(oldest), undo: None });
        }
    }

    /// Asks for the types of a statement, to compare them with what clients were told.
    pub(super) fn describe(&mut self, statement: &Arc<Statement>, name: &[u8]) {
        if statement.has_types() {
            wire::put_named(self.out, b'D', b'S', name);
            let statement = statement.clone();
            self.owed.push(Owed::Types { ours: true, statement, types: Vec::new() });
        }
    }

    /// The server itself fails, so that its transaction does; the client reads the reason.
    fn refuse_stale(&mut self) {
        wire::put_named(self.out, b'D', b'S', NOWHERE);
        self.owed.push(Owed::Stale);
    }

    /// The server has `statement` when what follows arrives, under the name that is returned: the
    /// shared one, unless the session reads texts by other parameters now than when it prepared this
    /// one; what is read otherwise is nobody else's.
    pub(super) fn ensure(&mut self, statement: &Arc<Statement>, by: &Params) -> ServerName {
        if self.backend.prepared.has(statement.id) {
            return statement.server_name();
        }
        if !by.reads_as(&statement.reading) {
            self.parse_unnamed(statement, None);
            return ServerName::unnamed();
        }
        let slot = Slot::Shared(statement.id);
        self.parse(statement, Owed::Parse { ours: true, slot, undo: None });
        statement.server_name()
    }

    pub(super) fn ensure_unnamed(&mut self, statement: &Statement, by: &Params) {
        if self.backend.prepared.unnamed != Some(statement.id) {
            let known = by.reads_as(&statement.reading).then_some(statement.id);
            self.parse_unnamed(statement, known);
        }
    }

    /// `known`: what is remembered to be there.
    fn parse_unnamed(&mut self, statement: &Statement, known: Option<u64>) {
        wire::put_parse(self.out, b"", &statement.content);
        let slot = self.backend.prepared.fill_unnamed(known);
        self.owed.push(Owed::Parse { ours: true, slot, undo: None });
    }

    fn drop_unnamed(&mut self) {
        wire::put_named(self.out, b'C', b'S', b"");
        let slot = self.backend.prepared.fill_unnamed(None);
        self.owed.push(Owed::Close { ours: true, slot, undo: None });
    }

    /// Prepares the one statement that can be deallocated, or be in the way of another, in place
    /// of any of ours: servers keep those for other clients, and this one needs no table.
    fn stand_in(&mut self) {
        wire::put_named(self.out, b'C', b'S', STAND_IN.as_bytes());
        self.owed.push(Owed::Close { ours: true, slot: Slot::Other, undo: None });
        let content = format!("{DEALLOCATE_STAND_IN}\0\0\0");
        wire::put_parse(self.out, STAND_IN.as_bytes(), content.as_bytes());
        self.owed.push(Owed::Parse { ours: true, slot: Slot::Other, undo: None });
    }
}

pub(super) fn asks(statement: Option<&Arc<Statement>>) -> bool {
    statement.is_some_and(|s| plan::asks_proxy(&s.analysis).is_some())
}

fn is_show_bind(frame: &Planned) -> bool {
    matches!(&frame.item, Item::Bind { statement, .. } if asks(statement.as_ref()))
}
