//! What a server owes for one command: each packet of the answer is held against it.
//!
//! For connections with `DEPRECATE_EOF` and without MariaDB's cached metadata, as all of ours are.

use super::ok::{END, ERR, Ok};
use super::reader::Reader;
use super::{MAX_PAYLOAD, WireError, status};

/// What kind of answer a command gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OK or ERR.
    Ok,
    /// Any number of results: OK, rows, or the request for a file.
    Results,
    /// A statement's number with its parameters and columns.
    Prepared,
    /// Rows of an open cursor.
    Rows,
    /// Columns up to an end.
    Fields,
    /// One text without any form.
    Text,
}

/// What one packet of an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    Ok(Ok<'a>),
    /// The end of rows or fields.
    End(Ok<'a>),
    /// ERR.
    Error,
    /// The number of columns that follow.
    Count,
    /// A column or a parameter; `last` of its list. Rows follow the last `of_rows`.
    Definition {
        last: bool,
        of_rows: bool,
    },
    /// A row, or a further part of a long one.
    Row,
    Prepared(Prepared),
    /// The client shall send a file.
    File,
    Text,
}

/// The head of the answer to a PREPARE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub statement: u32,
    pub columns: u16,
    pub parameters: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    First,
    /// So many definitions, then rows.
    Columns(u64),
    Rows,
    Fields,
    /// So many definitions of parameters, then so many of columns.
    Statement(u64, u64),
    Done,
}

/// The rest of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    kind: Kind,
    state: State,
    /// The last packet goes on in the next one.
    goes_on: bool,
}

impl Reply {
    pub fn new(kind: Kind) -> Reply {
        let state = match kind {
            Kind::Rows => State::Rows,
            Kind::Fields => State::Fields,
            _ => State::First,
        };
        Reply { kind, state, goes_on: false }
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Nothing of the answer has come yet.
    pub fn is_fresh(&self) -> bool {
        *self == Reply::new(self.kind)
    }

    /// The packet that begins with `first` and has `len` bytes must be whole to be understood.
    pub fn needs_whole(&self, first: u8, len: usize) -> bool {
        !self.goes_on
            && match self.state {
                State::First => true,
                State::Rows | State::Columns(_) | State::Fields | State::Statement(..) => {
                    first == ERR || first == END && len < MAX_PAYLOAD
                }
                State::Done => false,
            }
    }

    /// Takes in the next packet: its payload, or the start of it where that is enough, and its
    /// length.
    pub fn take<'a>(&mut self, payload: &'a [u8], len: usize) -> Result<Part<'a>, WireError> {
        let continues = std::mem::replace(&mut self.goes_on, len == MAX_PAYLOAD);
        if continues {
            return Result::Ok(Part::Row);
        }
        let first = payload.first().copied();
        match (self.state, first) {
            (State::Done, first) => {
                Err(WireError::Unexpected { first: first.unwrap_or(0), place: "an ended answer" })
            }
            (State::First, first) if self.kind == Kind::Text && first != Some(ERR) => {
                self.state = State::Done;
                Result::Ok(Part::Text)
            }
            (State::Rows, None) => Result::Ok(Part::Row),
            (_, None) => Err(WireError::Malformed { what: "an empty packet" }),
            (_, Some(ERR)) => {
                self.state = State::Done;
                Result::Ok(Part::Error)
            }
            (State::First, Some(first)) => self.first(first, payload),
            (State::Rows | State::Fields, Some(END)) if len < MAX_PAYLOAD => {
                let ok = Ok::parse(payload)?;
                self.end(&ok);
                Result::Ok(Part::End(ok))
            }
            (State::Rows, _) => Result::Ok(Part::Row),
            (State::Fields, _) => Result::Ok(Part::Definition { last: false, of_rows: false }),
            (State::Columns(left), _) => {
                self.state = if left > 1 { State::Columns(left - 1) } else { State::Rows };
                Result::Ok(Part::Definition { last: left == 1, of_rows: true })
            }
            (State::Statement(parameters, columns), _) => {
                let (list, next) = match parameters {
                    0 => (columns, (0, columns - 1)),
                    some => (some, (some - 1, columns)),
                };
                self.state =
                    if next == (0, 0) { State::Done } else { State::Statement(next.0, next.1) };
                Result::Ok(Part::Definition { last: list == 1, of_rows: false })
            }
        }
    }

    fn first<'a>(&mut self, first: u8, payload: &'a [u8]) -> Result<Part<'a>, WireError> {
        /// The request for a file.
        const FILE: u8 = 0xfb;
        match (self.kind, first) {
            (Kind::Prepared, 0) => {
                let mut reader = Reader::new(payload, "the answer to PREPARE");
                reader.u8()?;
                let statement = reader.u32()?;
                let (columns, parameters) = (reader.u16()?, reader.u16()?);
                self.state = match (parameters, columns) {
                    (0, 0) => State::Done,
                    _ => State::Statement(parameters.into(), columns.into()),
                };
                Result::Ok(Part::Prepared(Prepared { statement, columns, parameters }))
            }
            (Kind::Ok, 0 | END) | (Kind::Results, 0) => {
                let ok = Ok::parse(payload)?;
                self.end(&ok);
                Result::Ok(Part::Ok(ok))
            }
            // After the file comes an OK or an ERR.
            (Kind::Results, FILE) => Result::Ok(Part::File),
            (Kind::Results, _) => match Reader::new(payload, "a number of columns").lenenc()? {
                0 => Err(WireError::Malformed { what: "a number of columns" }),
                columns => {
                    self.state = State::Columns(columns);
                    Result::Ok(Part::Count)
                }
            },
            (_, first) => Err(WireError::Unexpected { first, place: "the start of an answer" }),
        }
    }

    fn end(&mut self, ok: &Ok<'_>) {
        let more = self.kind == Kind::Results && ok.status & status::MORE_RESULTS != 0;
        self.state = if more { State::First } else { State::Done };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(kind: Kind, packets: &[&[u8]]) -> (Vec<String>, bool) {
        let mut reply = Reply::new(kind);
        let name = |part: Part<'_>| {
            let shown = format!("{part:?}");
            shown.split(['(', ' ']).next().unwrap_or_default().to_owned()
        };
        let parts = packets.iter().map(|p| match reply.take(p, p.len()) {
            Result::Ok(part) => name(part),
            Err(error) => format!("! {error}"),
        });
        (parts.collect(), reply.is_done())
    }

    const OK: &[u8] = b"\0\0\0\x02\0\0\0";
    const OK_MORE: &[u8] = b"\0\0\0\x0a\0\0\0";
    const OK_END: &[u8] = b"\xfe\0\0\x02\0\0\0";
    const END_MORE: &[u8] = b"\xfe\0\0\x0a\0\0\0";
    const BAD: &[u8] = b"\xff\x10\x04#HY000no";

    #[test]
    fn results_are_followed_to_the_last_one() {
        let rows: &[&[u8]] =
            &[b"\x02", b"\x03def", b"\x03def", b"\x01a\xfb", b"\xfb\xfb", END_MORE];
        let names = ["Count", "Definition", "Definition", "Row", "Row", "End"];
        assert_eq!(play(Kind::Results, rows), (names.map(str::to_owned).to_vec(), false));
        assert!(play(Kind::Results, &[rows, &[OK_MORE, OK]].concat()).1);
        assert_eq!(play(Kind::Results, &[b"\xfbfile", OK]).0, ["File", "Ok"]);
        assert_eq!(play(Kind::Results, &[BAD]), (vec!["Error".to_owned()], true));
        assert!(play(Kind::Results, &[b"\x01", b"\x03def", BAD]).1);
    }

    #[test]
    fn a_long_row_is_no_end_whatever_its_parts_begin_with() {
        let mut reply = Reply::new(Kind::Rows);
        for (first, len) in [(0xfe, MAX_PAYLOAD), (0xff, MAX_PAYLOAD), (0xfe, 3)] {
            assert!(!reply.needs_whole(first, len));
            assert_eq!(reply.take(&[first], len), Result::Ok(Part::Row));
        }
        assert!(reply.needs_whole(END, OK_END.len()));
        assert!(matches!(reply.take(OK_END, OK_END.len()), Result::Ok(Part::End(_))));
        assert!(reply.is_done());
    }

    #[test]
    fn a_prepared_statement_has_parameters_then_columns() {
        let head = b"\0\x07\0\0\0\x01\0\x02\0\0\0\0";
        let (names, done) = play(Kind::Prepared, &[head, b"\x03def", b"\x03def", b"\x03def"]);
        assert_eq!(names, ["Prepared", "Definition", "Definition", "Definition"]);
        assert!(done);
        let mut reply = Reply::new(Kind::Prepared);
        let _ = reply.take(head, head.len());
        let lasts = [0; 3].map(|_| {
            matches!(reply.take(b"\x03", 4), Result::Ok(Part::Definition { last: true, .. }))
        });
        assert_eq!(lasts, [false, true, true]);
        assert!(play(Kind::Prepared, &[b"\0\x07\0\0\0\0\0\0\0\0\0\0"]).1);
    }

    #[test]
    fn what_nobody_asked_for_is_an_error() {
        assert!(play(Kind::Ok, &[OK, OK]).0[1].starts_with('!'));
        assert!(play(Kind::Ok, &[b"\x02"]).0[0].starts_with('!'));
        assert!(play(Kind::Results, &[b""]).0[0].starts_with('!'));
        assert_eq!(play(Kind::Text, &[b"Uptime: 1"]).0, ["Text"]);
        assert_eq!(play(Kind::Fields, &[b"\x03def", OK_END]).0, ["Definition", "End"]);
    }
}
