//! From a planned batch to what the server gets, and what it then owes.

use super::owed::{Owed, Queue};
use super::plan::{self, Batch, End, Item, Planned, say};
use super::{Backend, Session, Tx};
use crate::pg::statement::Statement;
use crate::pg::wire::{self, HEADER};
use crate::sql::{Analysis, Step};
use bytes::{BufMut, BytesMut};
use std::sync::Arc;

/// The other end of the work: a server's known state, its output buffer and what it owes.
pub struct Outgoing<'a> {
    pub backend: &'a mut Backend,
    pub out: &'a mut BytesMut,
    pub owed: &'a mut Queue,
    /// Answers `SHOW tidegate.…`.
    pub show: &'a (dyn Fn(&str) -> String + Sync),
}

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
        // A simple query also destroys the unnamed statement.
        to.backend.prepared.unnamed = None;
        wire::put_query(to.out, replay.sql.as_bytes());
        to.owed.push(Owed::Replay);
        replay.can_fail
    }

    /// Turns the frames of `batch`, which lie at the start of `input`, into what the server gets.
    pub fn send(&mut self, batch: &Batch, input: &[u8], to: &mut Outgoing<'_>) {
        let mut at = 0;
        for frame in &batch.frames {
            let bytes = &input[at..at + frame.here];
            at += frame.here;
            self.send_frame(frame, bytes, to);
        }
    }

    /// True when no server is needed: every answer is ours, and the batch ends here.
    pub fn is_local(&self, batch: &Batch) -> bool {
        batch.end == Some(End::Ready)
            && batch.frames.iter().all(|frame| match &frame.item {
                Item::CloseStatement | Item::Sync => true,
                Item::Query(analysis) => plan::asks_proxy(analysis).is_some(),
                Item::Parse { statement, .. } => asks(Some(statement)),
                Item::Bind(statement) | Item::DescribeStatement(statement) => {
                    asks(statement.as_ref())
                }
                Item::Execute => self.portal.is_some() || batch.frames.iter().any(is_show_bind),
                Item::Pass => frame.tag == b'D' && batch.frames.iter().any(is_show_bind),
                Item::Function => false,
            })
    }

    fn send_frame(&mut self, frame: &Planned, bytes: &[u8], to: &mut Outgoing<'_>) {
        let body = &bytes[HEADER.min(bytes.len())..];
        match &frame.item {
            Item::Query(analysis) => self.send_query(analysis, bytes, to),
            Item::Parse { statement, named, duplicate } => {
                self.send_parse(statement, (*named, *duplicate), bytes, to);
            }
            Item::Bind(statement) => self.send_bind(statement.as_ref(), frame, bytes, to),
            Item::DescribeStatement(statement) => {
                self.send_describe(statement.as_ref(), bytes, to);
            }
            Item::CloseStatement => to.say(|b| wire::put_empty(b, b'3')),
            Item::Execute => self.send_execute(body, bytes, to),
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
        if let Some(name) = plan::asks_proxy(analysis) {
            let value = (to.show)(name);
            let column = name.to_owned();
            to.say(|b| wire::put_text_row(b, &column, &value, "SHOW"));
            let status = self.tx.status();
            return to.say(|b| wire::put_ready(b, status));
        }
        to.backend.prepared.unnamed = None;
        match self.deallocates(analysis) {
            Some(statement) => {
                to.ensure(&statement);
                let sql = format!("DEALLOCATE {}", statement.server_name());
                wire::put_query(to.out, sql.as_bytes());
                to.backend.prepared.remove(statement.id);
            }
            None => to.forward(bytes),
        }
        to.owed.push(Owed::Query { analysis: analysis.clone(), step: 0 });
    }

    /// The statement of ours that a single `DEALLOCATE name` means.
    fn deallocates(&mut self, analysis: &Analysis) -> Option<Arc<Statement>> {
        match analysis.steps.as_slice() {
            [Step::Deallocate(name)] => self.named.remove(name.as_bytes()),
            _ => None,
        }
    }

    fn send_parse(
        &mut self,
        statement: &Arc<Statement>,
        (named, duplicate): (bool, bool),
        bytes: &[u8],
        to: &mut Outgoing<'_>,
    ) {
        if asks(Some(statement)) {
            return to.say(|b| wire::put_empty(b, b'1'));
        }
        if let Some(victim) = self.deallocates(&statement.analysis) {
            return to.substitute_deallocate(statement, &victim, named);
        }
        let owed = |defines| Owed::Parse { ours: false, statement: statement.id, defines };
        if !named {
            to.forward(bytes);
            to.backend.prepared.unnamed = Some(statement.id);
            return to.owed.push(owed(Some(Box::default())));
        }
        if duplicate {
            // The server itself refuses it, with the message that applications know.
            to.ensure(statement);
            wire::put_parse(to.out, statement.server_name().as_bytes(), &statement.content);
            return to.owed.push(Owed::Parse { ours: false, statement: 0, defines: None });
        }
        if self.tx != Tx::Failed && to.backend.prepared.has(statement.id) {
            return to.say(|b| wire::put_empty(b, b'1'));
        }
        let name = wire::cstr(&bytes[HEADER..]).map(|(name, _)| name.into());
        to.parse(statement, owed(name));
    }

    fn send_bind(
        &mut self,
        statement: Option<&Arc<Statement>>,
        frame: &Planned,
        bytes: &[u8],
        to: &mut Outgoing<'_>,
    ) {
        let Some((portal, name, rest)) = wire::parse_bind(&bytes[HEADER..]) else { return };
        self.bind_portal(portal, statement);
        if asks(statement) {
            return to.say(|b| wire::put_empty(b, b'2'));
        }
        match (statement, name.is_empty()) {
            (Some(statement), true) => to.ensure_unnamed(statement),
            (Some(statement), false) => to.ensure(statement),
            // Whatever the server has in its unnamed slot is not this client's.
            (None, true) => to.drop_unnamed(),
            (None, false) => {}
        }
        match statement.filter(|_| !name.is_empty()) {
            None => to.forward(bytes),
            Some(statement) => {
                let name = statement.server_name();
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

    fn send_describe(
        &mut self,
        statement: Option<&Arc<Statement>>,
        bytes: &[u8],
        to: &mut Outgoing<'_>,
    ) {
        if let Some(name) = statement.and_then(|s| plan::asks_proxy(&s.analysis)) {
            let column = name.to_owned();
            return to.say(|b| {
                wire::put_frame(b, b't', |b| b.put_u16(0));
                wire::put_row_description(b, &column);
            });
        }
        let unnamed = bytes.get(HEADER + 1) == Some(&0);
        match (statement, unnamed) {
            (Some(statement), true) => to.ensure_unnamed(statement),
            (Some(statement), false) => to.ensure(statement),
            (None, true) => to.drop_unnamed(),
            (None, false) => {}
        }
        match statement.filter(|_| !unnamed) {
            Some(s) => wire::put_named(to.out, b'D', b'S', s.server_name().as_bytes()),
            None => to.forward(bytes),
        }
        to.owed.push(Owed::Describe);
    }

    fn send_execute(&mut self, body: &[u8], bytes: &[u8], to: &mut Outgoing<'_>) {
        let portal = wire::cstr(body).map_or(&[][..], |(name, _)| name);
        let effect = self.portal_effect(portal);
        if let Some(name) = effect.as_ref().and_then(|a| plan::asks_proxy(a)) {
            let value = (to.show)(name);
            return to.say(|b| {
                wire::put_frame(b, b'D', |b| {
                    b.put_u16(1);
                    b.put_u32(value.len() as u32);
                    b.put_slice(value.as_bytes());
                });
                wire::put_command_complete(b, "SHOW");
            });
        }
        to.forward(bytes);
        to.owed.push(Owed::Execute { effect });
    }

    fn pass(&mut self, tag: u8, body: &[u8], bytes: &[u8], to: &mut Outgoing<'_>) {
        match tag {
            // Without a COPY the server would ignore them, and so do we.
            b'd' | b'c' | b'f' if !self.copying => return,
            b'D' => {
                let portal = wire::cstr(&body[1..]).map_or(&[][..], |(name, _)| name);
                let effect = self.portal_effect(portal);
                if let Some(name) = effect.as_ref().and_then(|a| plan::asks_proxy(a)) {
                    let column = name.to_owned();
                    return to.say(|b| wire::put_row_description(b, &column));
                }
                to.owed.push(Owed::Describe);
            }
            b'C' => to.owed.push(Owed::Close { ours: false }),
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
        self.owed.push(Owed::Say(say(build)));
    }

    fn parse(&mut self, statement: &Statement, owed: Owed) {
        wire::put_parse(self.out, statement.server_name().as_bytes(), &statement.content);
        self.owed.push(owed);
        if let Some(oldest) = self.backend.prepared.add(statement.id, self.backend.max_prepared) {
            let name = format!("{}{oldest:x}", crate::pg::statement::NAME_PREFIX);
            wire::put_named(self.out, b'C', b'S', name.as_bytes());
            self.owed.push(Owed::Close { ours: true });
        }
    }

    /// The server has `statement` under its shared name when what follows arrives.
    fn ensure(&mut self, statement: &Statement) {
        if !self.backend.prepared.has(statement.id) {
            let owed = Owed::Parse { ours: true, statement: statement.id, defines: None };
            self.parse(statement, owed);
        }
    }

    fn ensure_unnamed(&mut self, statement: &Statement) {
        if self.backend.prepared.unnamed != Some(statement.id) {
            wire::put_parse(self.out, b"", &statement.content);
            self.backend.prepared.unnamed = Some(statement.id);
            self.owed.push(Owed::Parse { ours: true, statement: statement.id, defines: None });
        }
    }

    fn drop_unnamed(&mut self) {
        wire::put_named(self.out, b'C', b'S', b"");
        self.backend.prepared.unnamed = None;
        self.owed.push(Owed::Close { ours: true });
    }

    /// A Parse of `DEALLOCATE name`, where the name is one of ours: the server gets its own.
    fn substitute_deallocate(&mut self, by: &Statement, victim: &Statement, named: bool) {
        self.ensure(victim);
        let mut content = BytesMut::new();
        wire::put_cstr(&mut content, format!("DEALLOCATE {}", victim.server_name()).as_bytes());
        content.put_u16(0);
        let name = if named { by.server_name() } else { String::new() };
        wire::put_parse(self.out, name.as_bytes(), &content);
        self.backend.prepared.unnamed = None;
        self.backend.prepared.remove(victim.id);
        self.owed.push(Owed::Parse { ours: false, statement: 0, defines: None });
    }
}

fn asks(statement: Option<&Arc<Statement>>) -> bool {
    statement.is_some_and(|s| plan::asks_proxy(&s.analysis).is_some())
}

fn is_show_bind(frame: &Planned) -> bool {
    matches!(&frame.item, Item::Bind(statement) if asks(statement.as_ref()))
}
