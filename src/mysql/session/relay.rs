//! A server's answer on its way to the client: held against what is owed, and put into the form
//! that was agreed on with the client.

use super::Session;
use super::tracked::for_the_client;
use crate::mysql::wire::ok::{END, Fault, Ok as OkPacket, put_eof};
use crate::mysql::wire::reply::{Kind, Part, Prepared, Reply};
use crate::mysql::wire::{self, HEADER, Header, WireError, put_header, status};
use bytes::{BufMut, BytesMut};

/// What the server owes for one command of the client, and how far it is.
#[derive(Debug, Default)]
pub(in crate::mysql) struct Relay {
    owed: Option<Reply>,
    /// Bytes of the server's packet that are still to come.
    inside: usize,
    /// Packets that the client got and the server did not send.
    shift: u8,
    /// The sequence id of the client's next packet from us.
    next: u8,
    /// An EOF packet is due between columns and rows.
    eof_is_due: bool,
    /// The client sends a file now.
    pub(in crate::mysql) wants_file: bool,
    /// Something of the answer is on its way to the client.
    pub(in crate::mysql) delivered: bool,
    /// The answer ended with an error.
    pub(in crate::mysql) failed: bool,
    /// The number of that error.
    pub(in crate::mysql) code: u16,
    /// A replica's refusal to write is kept from the client: the primary is asked next.
    pub(in crate::mysql) hides_refusal: bool,
    /// What was kept from it.
    pub(in crate::mysql) hidden: Option<Fault>,
    /// The number that the client gets for the statement that is prepared; `None`: the server's.
    pub(in crate::mysql) statement: Option<u32>,
    /// What was prepared.
    pub(in crate::mysql) prepared: Option<Prepared>,
}

/// ER_OPTION_PREVENTS_STATEMENT, ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, ER_READ_ONLY_MODE
const REFUSALS: [u16; 3] = [1290, 1792, 1836];

impl Relay {
    /// A command begins: its last packet had this sequence id.
    pub(in crate::mysql) fn begin(&mut self, kind: Option<Kind>, sequence: u8) {
        *self = Relay {
            owed: kind.map(Reply::new),
            next: sequence.wrapping_add(1),
            ..Relay::default()
        };
    }

    /// The command is longer than it seemed.
    pub(in crate::mysql) fn goes_on(&mut self, sequence: u8) {
        if !self.delivered {
            self.next = sequence.wrapping_add(1);
        }
    }

    pub(in crate::mysql) fn is_answered(&self) -> bool {
        self.owed.is_none() && self.inside == 0
    }

    /// The answer stops inside a packet: nothing can be added to it.
    pub(in crate::mysql) fn is_inside(&self) -> bool {
        self.inside > 0
    }

    /// The sequence id for an error of ours in the place of the rest.
    pub(in crate::mysql) fn next(&self) -> u8 {
        self.next
    }

    /// A packet of the client's file, as the server expects its number.
    pub(in crate::mysql) fn file_sequence(&self, of_client: u8) -> u8 {
        of_client.wrapping_sub(self.shift)
    }

    /// Takes what it understands of `chunk` and appends what the client gets to `out`. Answers
    /// with the number of bytes taken.
    pub(in crate::mysql) fn take(
        &mut self,
        chunk: &[u8],
        session: &mut Session,
        out: &mut BytesMut,
    ) -> Result<usize, WireError> {
        // Up to `at` all is taken; what is behind `from` goes to the client as it is.
        let (mut at, mut from) = (0, 0);
        loop {
            if self.inside > 0 {
                let n = self.inside.min(chunk.len() - at);
                self.inside -= n;
                at += n;
            }
            let Some(packet) = self.packet(&chunk[at..]) else { break };
            let before = at;
            let there = packet.payload.len();
            at += HEADER + there;
            self.inside = packet.header.len - there;
            let Some(mut reply) = self.owed.take() else { break };
            let part = reply.take(packet.payload, packet.header.len)?;
            self.failed = part == Part::Error;
            if let (true, [_, low, high, ..]) = (self.failed, packet.payload) {
                self.code = u16::from_le_bytes([*low, *high]);
            }
            if self.hides(&part, packet.payload) {
                return Ok(at);
            }
            if !reply.is_done() {
                self.owed = Some(reply);
            }
            self.delivered = true;
            self.next = packet.header.sequence.wrapping_add(self.shift).wrapping_add(1);
            if self.passes(&part, session)? {
                continue;
            }
            out.extend_from_slice(&chunk[from..before]);
            from = at;
            self.translate(&packet, &part, session, out)?;
        }
        out.extend_from_slice(&chunk[from..at]);
        Ok(at)
    }

    /// The next packet, if enough of it is there.
    fn packet<'a>(&self, chunk: &'a [u8]) -> Option<Packet<'a>> {
        let reply = self.owed.as_ref()?;
        let header = wire::peek(chunk)?;
        let there = &chunk[HEADER..chunk.len().min(header.whole())];
        let first = there.first().copied();
        let enough = match first {
            None => header.len == 0,
            Some(first) => there.len() == header.len || !reply.needs_whole(first, header.len),
        };
        enough.then_some(Packet { header, payload: there })
    }

    /// Notes what the part means; true when the client gets it as it is.
    fn passes(&mut self, part: &Part<'_>, session: &mut Session) -> Result<bool, WireError> {
        Ok(match part {
            Part::Ok(ok) | Part::End(ok) => {
                session.hear(ok)?;
                !session.needs_translation() && (session.keeps || ok.track.is_empty())
            }
            Part::Prepared(prepared) => {
                self.prepared = Some(*prepared);
                self.shift == 0 && self.statement.is_none()
            }
            Part::File => {
                self.wants_file = true;
                self.shift == 0
            }
            Part::Definition { last: true, .. } => !session.expects_eof() && self.shift == 0,
            _ => self.shift == 0 && !self.eof_is_due,
        })
    }

    /// True for the first packet of an answer that is a refusal to be kept from the client.
    fn hides(&mut self, part: &Part<'_>, payload: &[u8]) -> bool {
        if *part != Part::Error || !self.hides_refusal || self.delivered {
            return false;
        }
        let fault = Fault::parse(payload);
        let hidden = REFUSALS.contains(&fault.code);
        self.hidden = hidden.then_some(fault);
        hidden
    }

    fn translate(
        &mut self,
        packet: &Packet<'_>,
        part: &Part<'_>,
        session: &Session,
        out: &mut BytesMut,
    ) -> Result<(), WireError> {
        let cursor = |status: u16| status & status::CURSOR_EXISTS != 0;
        // The end of the columns of a cursor is the end of its answer.
        let of_cursor = matches!(part, Part::End(ok) if cursor(ok.status));
        if std::mem::take(&mut self.eof_is_due) && !of_cursor {
            let sequence = packet.header.sequence.wrapping_add(self.shift);
            put_eof(out, sequence, 0, session.status);
            self.shift = self.shift.wrapping_add(1);
        }
        let sequence = packet.header.sequence.wrapping_add(self.shift);
        self.next = sequence.wrapping_add(1);
        match part {
            Part::Ok(ok) | Part::End(ok) => {
                let first = packet.payload.first().copied().unwrap_or(0);
                let first = if first == END { END } else { 0 };
                let told = if session.keeps { None } else { Some(for_the_client(ok.track)?) };
                let track = told.as_deref().unwrap_or(ok.track);
                OkPacket { track, ..*ok }.put(out, sequence, first, session.capabilities);
            }
            _ => {
                put_header(out, packet.header.len, sequence);
                let number = self.statement.filter(|_| matches!(part, Part::Prepared(_)));
                match (number, packet.payload) {
                    (Some(number), [first, _, _, _, _, rest @ ..]) => {
                        out.put_u8(*first);
                        out.put_u32_le(number);
                        out.extend_from_slice(rest);
                    }
                    (_, payload) => out.extend_from_slice(payload),
                }
            }
        }
        match part {
            Part::Definition { last: true, of_rows: true } => {
                self.eof_is_due = session.expects_eof();
            }
            Part::Definition { last: true, of_rows: false } if session.expects_eof() => {
                put_eof(out, self.next, 0, session.status);
                self.shift = self.shift.wrapping_add(1);
                self.next = self.next.wrapping_add(1);
            }
            _ => {}
        }
        Ok(())
    }
}

struct Packet<'a> {
    header: Header,
    /// As much of it as is there.
    payload: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::wire::{capability, put_packet};
    use crate::pool::Mode;

    const NEW: u32 = capability::DEPRECATE_EOF | capability::SESSION_TRACK;

    /// Packets of one answer, numbered from 1.
    fn answer(payloads: &[&[u8]]) -> Vec<u8> {
        let mut out = BytesMut::new();
        let mut sequence = 1;
        for payload in payloads {
            sequence = put_packet(&mut out, sequence, payload);
        }
        out.to_vec()
    }

    /// What a client gets of `bytes`, cut in two at every place: always the same.
    fn relayed(kind: Kind, capabilities: u32, bytes: &[u8]) -> Vec<u8> {
        let mut first = None;
        for cut in 0..=bytes.len() {
            let (mut relay, mut out) = (Relay::default(), BytesMut::new());
            let mut session = Session::new(capabilities, 45, status::AUTOCOMMIT, Mode::Session);
            relay.begin(Some(kind), 0);
            let taken = relay.take(&bytes[..cut], &mut session, &mut out).expect("an answer");
            let rest = relay.take(&bytes[taken..], &mut session, &mut out).expect("an answer");
            assert_eq!(taken + rest, bytes.len(), "cut at {cut}");
            assert!(relay.is_answered(), "cut at {cut}");
            let whole = first.get_or_insert_with(|| out.to_vec());
            assert_eq!(whole, &out.to_vec(), "cut at {cut}");
        }
        first.unwrap_or_default()
    }

    const ROWS: &[&[u8]] = &[b"\x02", b"\x03def", b"\x03def", b"\x01a\x01b", b"\xfe\0\0\x02\0\0\0"];

    #[test]
    fn an_answer_of_the_same_form_passes_byte_for_byte() {
        let bytes = answer(ROWS);
        assert_eq!(relayed(Kind::Results, NEW, &bytes), bytes);
        let changed = answer(&[b"\0\0\0\x02\x40\0\0\0\x04\x00\x02\x01a"]);
        assert_eq!(relayed(Kind::Results, NEW, &changed), changed);
    }

    #[test]
    fn a_client_of_old_gets_its_eof_packets_and_new_numbers() {
        let expected = answer(&[
            b"\x02",
            b"\x03def",
            b"\x03def",
            b"\xfe\0\0\x02\0",
            b"\x01a\x01b",
            b"\xfe\0\0\x02\0",
        ]);
        assert_eq!(relayed(Kind::Results, capability::SESSION_TRACK, &answer(ROWS)), expected);
    }

    #[test]
    fn an_empty_result_has_both_ends_but_a_cursor_has_one() {
        let empty = answer(&[b"\x01", b"\x03def", b"\xfe\0\0\x02\0\0\0"]);
        let expected = answer(&[b"\x01", b"\x03def", b"\xfe\0\0\x02\0", b"\xfe\0\0\x02\0"]);
        assert_eq!(relayed(Kind::Results, 0, &empty), expected);
        let cursor = answer(&[b"\x01", b"\x03def", b"\xfe\0\0\x42\0\0\0"]);
        let expected = answer(&[b"\x01", b"\x03def", b"\xfe\0\0\x42\0"]);
        assert_eq!(relayed(Kind::Results, 0, &cursor), expected);
    }

    #[test]
    fn a_prepared_statement_has_an_end_behind_each_list() {
        let head = b"\0\x07\0\0\0\x01\0\x01\0\0\0\0";
        let bytes = answer(&[head, b"\x03def", b"\x03def"]);
        let eof = b"\xfe\0\0\x02\0";
        let expected = answer(&[head, b"\x03def", eof, b"\x03def", eof]);
        assert_eq!(relayed(Kind::Prepared, 0, &bytes), expected);
        assert_eq!(relayed(Kind::Prepared, NEW, &bytes), bytes);
    }

    #[test]
    fn an_error_behind_columns_has_the_end_of_the_columns_before_it() {
        let bytes = answer(&[b"\x01", b"\x03def", b"\xff\x10\x04#HY000no"]);
        let expected = answer(&[b"\x01", b"\x03def", b"\xfe\0\0\x02\0", b"\xff\x10\x04#HY000no"]);
        assert_eq!(relayed(Kind::Results, 0, &bytes), expected);
    }

    #[test]
    fn what_comes_behind_an_answer_is_left_alone() {
        let mut bytes = answer(&[b"\0\0\0\x02\0\0\0"]);
        let len = bytes.len();
        bytes.extend_from_slice(b"more");
        let (mut relay, mut out) = (Relay::default(), BytesMut::new());
        let mut session = Session::new(NEW, 45, 0, Mode::Session);
        relay.begin(Some(Kind::Ok), 0);
        assert_eq!(relay.take(&bytes, &mut session, &mut out), Ok(len));
        assert_eq!((out.len(), session.status), (len, status::AUTOCOMMIT));
    }
}
