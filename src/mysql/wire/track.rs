//! What session tracking tells at the end of an OK packet.
//!
//! Source: MySQL's "Session State Information", MariaDB's knowledge base, "OK_Packet".

use super::WireError;
use super::reader::{Reader, put_lenenc_bytes};
use bytes::{BufMut, BytesMut};

/// One change of the session's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    Variable {
        name: &'a [u8],
        value: &'a [u8],
    },
    Schema(&'a [u8]),
    /// Something of the session changed, be it told elsewhere or not.
    State(bool),
    /// How the running, or the next, transaction is made again.
    Characteristics(&'a [u8]),
    /// Eight letters.
    Transaction(&'a [u8]),
    /// The transactions that the session committed.
    Gtids(&'a [u8]),
    /// One that is not known.
    Other,
}

const VARIABLE: u8 = 0;
const SCHEMA: u8 = 1;
const STATE: u8 = 2;
const GTIDS: u8 = 3;
const CHARACTERISTICS: u8 = 4;
const TRANSACTION: u8 = 5;

/// A change with the bytes that tell of it.
pub struct Told<'a> {
    pub change: Change<'a>,
    pub bytes: &'a [u8],
}

/// All changes in the session part of an OK packet, in their order. MariaDB puts several variables
/// into one entry: each is told apart.
pub fn changes(track: &[u8]) -> Result<Vec<Told<'_>>, WireError> {
    const WHAT: &str = "session state";
    let mut reader = Reader::new(track, WHAT);
    let mut told = Vec::new();
    while !reader.is_empty() {
        let before = reader.rest();
        let kind = reader.u8()?;
        let mut data = Reader::new(reader.lenenc_bytes()?, WHAT);
        let bytes = &before[..before.len() - reader.rest().len()];
        if kind == VARIABLE {
            while !data.is_empty() {
                let (name, value) = (data.lenenc_bytes()?, data.lenenc_bytes()?);
                told.push(Told { change: Change::Variable { name, value }, bytes });
            }
            continue;
        }
        let change = match kind {
            SCHEMA => Change::Schema(data.lenenc_bytes()?),
            // A digit, with no length of its own.
            STATE => Change::State(data.rest() == b"1"),
            CHARACTERISTICS => Change::Characteristics(data.lenenc_bytes()?),
            TRANSACTION => Change::Transaction(data.lenenc_bytes()?),
            GTIDS => {
                data.u8()?;
                Change::Gtids(data.lenenc_bytes()?)
            }
            _ => Change::Other,
        };
        told.push(Told { change, bytes });
    }
    Ok(told)
}

/// Appends one variable as an entry of its own.
pub fn put_variable(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    let mut data = BytesMut::new();
    put_lenenc_bytes(&mut data, name);
    put_lenenc_bytes(&mut data, value);
    out.put_u8(VARIABLE);
    put_lenenc_bytes(out, &data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_understood() {
        let mut track = BytesMut::new();
        put_variable(&mut track, b"time_zone", b"+01:00");
        track.extend_from_slice(b"\x01\x02\x01s\x02\x011\x05\x09\x08T_______\x09\x01x");
        let told = changes(&track).expect("changes");
        let kinds: Vec<Change<'_>> = told.iter().map(|t| t.change).collect();
        assert_eq!(
            kinds,
            [
                Change::Variable { name: b"time_zone", value: b"+01:00" },
                Change::Schema(b"s"),
                Change::State(true),
                Change::Transaction(b"T_______"),
                Change::Other,
            ]
        );
        assert_eq!(told.iter().map(|t| t.bytes.len()).sum::<usize>(), track.len());
        for cut in 1..track.len() {
            // Cut inside of an entry it is an error, never a panic.
            let _ = changes(&track[..cut]);
        }
    }

    #[test]
    fn several_variables_in_one_entry_are_told_apart() {
        let told = changes(b"\x00\x08\x01a\x011\x01b\x012").expect("changes");
        let names: Vec<_> = told.iter().map(|t| t.change).collect();
        assert_eq!(
            names,
            [
                Change::Variable { name: b"a", value: b"1" },
                Change::Variable { name: b"b", value: b"2" }
            ]
        );
    }
}
