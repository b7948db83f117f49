//! A result set of text, made here.

use super::column::put_text_column;
use super::ok::{END, Ok, put_eof};
use super::reader::{put_lenenc, put_lenenc_bytes};
use super::{capability, put_packet};
use bytes::BytesMut;

/// Appends a result set, its first packet with the id `sequence`, for a client with these
/// capabilities; `flags`: the status of its session.
pub fn put_table(
    out: &mut BytesMut,
    sequence: u8,
    (columns, rows): (&[String], &[Vec<String>]),
    (flags, capabilities): (u16, u32),
) {
    let mut count = BytesMut::new();
    put_lenenc(&mut count, columns.len() as u64);
    let mut next = put_packet(out, sequence, &count);
    for column in columns {
        next = put_text_column(out, next, column);
    }
    if capabilities & capability::DEPRECATE_EOF == 0 {
        put_eof(out, next, 0, flags);
        next = next.wrapping_add(1);
    }
    for row in rows {
        let mut values = BytesMut::new();
        row.iter().for_each(|value| put_lenenc_bytes(&mut values, value.as_bytes()));
        next = put_packet(out, next, &values);
    }
    let (info, track) = (&b""[..], &b""[..]);
    let end = Ok { affected_rows: 0, last_insert_id: 0, status: flags, warnings: 0, info, track };
    end.put(out, next, END, capabilities);
}

#[cfg(test)]
mod tests {
    use super::super::reply::{Kind, Part, Reply};
    use super::super::{HEADER, peek};
    use super::*;

    #[test]
    fn it_is_read_as_a_servers() {
        let mut out = BytesMut::new();
        let (columns, rows) = (["a".to_owned()], [vec!["x".to_owned()], vec![String::new()]]);
        let all = capability::SESSION_TRACK | capability::DEPRECATE_EOF;
        put_table(&mut out, 1, (&columns, &rows), (2, all));
        let (mut reply, mut rest, mut sequence) = (Reply::new(Kind::Results), &out[..], 1);
        let mut rows = 0;
        while !reply.is_done() {
            let header = peek(rest).expect("a header");
            assert_eq!(header.sequence, sequence);
            let payload = &rest[HEADER..header.whole()];
            let part = reply.take(payload, payload.len()).expect("a part");
            rows += usize::from(part == Part::Row);
            (rest, sequence) = (&rest[header.whole()..], sequence + 1);
        }
        assert!(rest.is_empty() && rows == 2);
    }
}
