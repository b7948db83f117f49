//! The statements that a client prepared, under the numbers that it knows them by.

use crate::mysql::registry::Pin;
use crate::mysql::statement::Statement;
use crate::mysql::wire::command::Command;
use crate::mysql::wire::{HEADER, Header, MAX_PAYLOAD, put_header, status};
use bytes::{BufMut, BytesMut};
use std::collections::HashMap;
use std::sync::Arc;

/// A long value that was sent ahead of its EXECUTE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Long {
    #[default]
    None,
    /// The server connection of the session has it.
    There,
    /// It reached no server.
    Lost,
}

/// One of them.
#[derive(Debug)]
pub(in crate::mysql) struct Prepared {
    pub(in crate::mysql) statement: Arc<Statement>,
    parameters: usize,
    /// The types of its parameters, as its last EXECUTE that told any: two bytes each.
    types: Box<[u8]>,
    long: Long,
    /// Rows wait at the server for a FETCH.
    cursor: bool,
}

/// All of a session.
#[derive(Debug, Default)]
pub(in crate::mysql) struct Statements {
    last: u32,
    all: HashMap<u32, Prepared>,
}

/// There is no room for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an EXECUTE of 16 MiB or more that does not tell the types of its parameters")]
pub(in crate::mysql) struct TooLong;

impl Statements {
    /// The number for the next one.
    pub(in crate::mysql) fn next(&self) -> u32 {
        self.last + 1
    }

    /// A server prepared it; the client knows it by [`Statements::next`].
    pub(in crate::mysql) fn add(&mut self, statement: Arc<Statement>, parameters: u16) {
        self.last += 1;
        let prepared = Prepared {
            statement,
            parameters: parameters.into(),
            types: Box::default(),
            long: Long::None,
            cursor: false,
        };
        self.all.insert(self.last, prepared);
    }

    /// MariaDB's clients mean by this number what was prepared last.
    fn meant(&self, id: u32) -> u32 {
        if id == u32::MAX { self.last } else { id }
    }

    pub(in crate::mysql) fn get(&self, id: u32) -> Option<&Prepared> {
        self.all.get(&self.meant(id))
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut Prepared> {
        let id = self.meant(id);
        self.all.get_mut(&id)
    }

    pub(in crate::mysql) fn remove(&mut self, id: u32) -> Option<Prepared> {
        let id = self.meant(id);
        self.all.remove(&id)
    }

    pub(in crate::mysql) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(in crate::mysql) fn len(&self) -> usize {
        self.all.len()
    }

    pub(in crate::mysql) fn iter(&self) -> impl Iterator<Item = &Arc<Statement>> {
        self.all.values().map(|prepared| &prepared.statement)
    }

    /// A part of a long value is on its way to the server, or is not.
    pub(in crate::mysql) fn sent_long(&mut self, id: u32, arrived: bool) {
        if let Some(prepared) = self.get_mut(id) {
            prepared.long = match (prepared.long, arrived) {
                (Long::Lost, _) | (_, false) => Long::Lost,
                _ => Long::There,
            };
        }
    }

    /// What the server had of it is gone: with a RESET, an EXECUTE, or its connection.
    pub(in crate::mysql) fn cleared(&mut self, id: u32) {
        if let Some(prepared) = self.get_mut(id) {
            (prepared.long, prepared.cursor) = (Long::None, false);
        }
    }

    /// An EXECUTE or a FETCH ended with these flags.
    pub(in crate::mysql) fn answered(&mut self, id: u32, flags: u16) {
        if let Some(prepared) = self.get_mut(id) {
            let open = status::CURSOR_EXISTS;
            prepared.long = Long::None;
            prepared.cursor = flags & open != 0 && flags & status::LAST_ROW_SENT == 0;
        }
    }

    /// Why the session keeps its server connection for them.
    pub(in crate::mysql) fn pin(&self) -> Pin {
        let mut pin = Pin::None;
        for prepared in self.all.values() {
            match (prepared.cursor, prepared.long) {
                (true, _) => return Pin::Cursor,
                (false, Long::There) => pin = Pin::LongData,
                (false, _) => {}
            }
        }
        pin
    }

    /// Appends the command at the front of `input`, of which `there` bytes go now, as a server
    /// gets it that knows the statement by `server`. Answers with how many bytes were taken.
    pub(in crate::mysql) fn put(
        &mut self,
        (id, server): (u32, u32),
        (header, input): (Header, &[u8]),
        out: &mut BytesMut,
    ) -> Result<(), TooLong> {
        const ID: usize = HEADER + 1;
        const REST: usize = ID + 4;
        let executes = input.get(HEADER) == Some(&(Command::StmtExecute as u8));
        let types = match self.get_mut(id).filter(|_| executes) {
            Some(prepared) => prepared.types_missing_in(input),
            None => None,
        };
        let Some((at, types)) = types else {
            out.extend_from_slice(&input[..ID]);
            out.put_u32_le(server);
            out.extend_from_slice(&input[REST..]);
            return Ok(());
        };
        if header.len + types.len() >= MAX_PAYLOAD {
            return Err(TooLong);
        }
        put_header(out, header.len + types.len(), header.sequence);
        out.put_u8(Command::StmtExecute as u8);
        out.put_u32_le(server);
        out.extend_from_slice(&input[REST..at]);
        out.put_u8(1);
        out.extend_from_slice(types);
        out.extend_from_slice(&input[at + 1..]);
        Ok(())
    }
}

impl Prepared {
    /// Nothing of it is at the server that another connection would not have.
    pub(in crate::mysql) fn is_plain(&self) -> bool {
        self.long != Long::There && !self.cursor
    }

    pub(in crate::mysql) fn has_cursor(&self) -> bool {
        self.cursor
    }

    /// A long value of it reached no server.
    pub(in crate::mysql) fn has_lost_data(&self) -> bool {
        self.long == Long::Lost
    }

    /// The types that the EXECUTE in `packet` leaves out because it told them before, and where it
    /// says so; those that it tells are remembered.
    fn types_missing_in(&mut self, packet: &[u8]) -> Option<(usize, &[u8])> {
        // Command, number, flags, iterations; then a bit for each parameter that is NULL.
        let at = HEADER + 10 + self.parameters.div_ceil(8);
        let told = packet.get(at).filter(|_| self.parameters > 0)?;
        let bytes = 2 * self.parameters;
        if *told != 0 {
            if let Some(types) = packet.get(at + 1..at + 1 + bytes) {
                self.types = types.into();
            }
            return None;
        }
        (self.types.len() == bytes).then_some((at, &*self.types))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::statement::{Content, Statements as Shared, Surroundings};
    use crate::mysql::wire::command::put_command;
    use crate::mysql::wire::peek;

    /// One with two parameters.
    fn one() -> Statements {
        let content =
            Content { text: b"SELECT ?, ?"[..].into(), surroundings: Surroundings::default() };
        let mut all = Statements::default();
        all.add(Shared::default().share(content, Arc::default()), 2);
        all
    }

    /// What a server gets that knows it as 9.
    fn sent(all: &mut Statements, command: Command, rest: &[u8]) -> BytesMut {
        let (mut packet, mut out) = (BytesMut::new(), BytesMut::new());
        put_command(&mut packet, command, &[&[1, 0, 0, 0], rest].concat());
        let header = peek(&packet).expect("a header");
        all.put((1, 9), (header, &packet), &mut out).expect("room");
        let header = peek(&out).expect("a header");
        assert_eq!((header.whole(), header.sequence), (out.len(), 0));
        out.split_off(HEADER)
    }

    #[test]
    fn types_that_were_told_once_are_told_to_every_server() {
        let mut all = one();
        let told = [0, 1, 0, 0, 0, 0, 1, 3, 0, 254, 0, 5, 5];
        let whole = sent(&mut all, Command::StmtExecute, &told);
        assert_eq!(whole[..], [&[0x17, 9, 0, 0, 0], &told[..]].concat());
        let untold = [0, 1, 0, 0, 0, 0, 0, 6, 6];
        let whole = sent(&mut all, Command::StmtExecute, &untold);
        assert_eq!(whole[..], *b"\x17\x09\0\0\0\0\x01\0\0\0\0\x01\x03\0\xfe\0\x06\x06");
    }

    #[test]
    fn an_execute_that_is_too_short_or_never_told_types_is_the_servers_to_judge() {
        let mut all = one();
        for rest in [&[0_u8, 1, 0, 0, 0, 0, 0, 6, 6][..], &[0, 1], &[]] {
            let whole = sent(&mut all, Command::StmtExecute, rest);
            assert_eq!(whole[..], [&[0x17, 9, 0, 0, 0], rest].concat());
        }
        assert_eq!(sent(&mut all, Command::StmtFetch, &[1, 0, 0, 0])[..5], [0x1c, 9, 0, 0, 0]);
    }

    #[test]
    fn what_waits_at_the_server_pins_until_it_is_used() {
        let mut all = one();
        assert_eq!(all.pin(), Pin::None);
        all.sent_long(1, true);
        assert_eq!(all.pin(), Pin::LongData);
        all.answered(u32::MAX, status::CURSOR_EXISTS);
        assert_eq!(all.pin(), Pin::Cursor);
        all.answered(1, status::LAST_ROW_SENT);
        assert_eq!(all.pin(), Pin::None);
        all.sent_long(1, false);
        all.sent_long(1, true);
        assert!(all.get(1).is_some_and(Prepared::has_lost_data));
        all.cleared(1);
        assert!(all.get(1).is_some_and(|p| p.is_plain() && !p.has_lost_data()));
    }
}
