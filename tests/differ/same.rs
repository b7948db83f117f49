//! When two answers count as equal: byte for byte, but for what is listed here with its reason.

use crate::support::wire::Frame;
use bytes::{BufMut, BytesMut};

/// OIDs from here on are objects of users (`FirstNormalObjectId` of PostgreSQL's `transam.h`).
const FIRST_USER_OID: u32 = 16_384;

/// A frame without what may be different on another server: a line that is compared and shown.
pub fn line(frame: &Frame) -> String {
    let tag = frame.tag as char;
    match frame.tag {
        // The columns' tables have other OIDs in another database.
        b'T' => format!("T:{}", without_user_oids(&frame.body).escape_ascii()),
        // The process id of whoever notified.
        b'A' => format!("A:{}", frame.body[4..].escape_ascii()),
        b'E' | b'N' => format!("{tag}:{}", fields(frame)),
        b'C' | b'S' | b'Z' => format!("{tag}:{}", frame.text().replace('\0', "=")),
        _ => format!("{tag}:{}", frame.body.escape_ascii()),
    }
}

/// Every field: where in the source of PostgreSQL an error arose is the same, too.
fn fields(frame: &Frame) -> String {
    let code = frame.field(b'C');
    if LOOSE.iter().any(|(loose, _)| *loose == code) {
        return format!("{} {code}", frame.field(b'V'));
    }
    let text = String::from_utf8_lossy(&frame.body);
    let text = text.trim_end_matches('\0').replace('\0', " ");
    let text = text.split_once(STALE).map_or(&*text, |(before, _)| before);
    without_tags(&without_slots(&without_statement_names(text)))
}

/// Where in PostgreSQL's source this arose is behind it: the proxy says it itself where it knows.
const STALE: &str = " Fplancache.c";

/// Which message a COPY had no use for: the proxy answers some of them itself.
fn without_tags(text: &str) -> String {
    let mark = "unexpected message type 0x";
    let Some((before, rest)) = text.split_once(mark) else { return text.to_owned() };
    format!("{before}{mark}{}", rest.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

/// The schema of temporary objects is named after the number of the backend.
fn without_slots(text: &str) -> String {
    let (before, rest) = text.split_once("pg_temp_").unwrap_or((text, ""));
    format!("{before}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Two names of a session for the same text are one statement on servers, so that an error may
/// mention the other one.
fn without_statement_names(text: &str) -> String {
    let mark = "prepared statement \"";
    let Some((before, rest)) = text.split_once(mark) else { return text.to_owned() };
    let (_, after) = rest.split_once('"').unwrap_or(("", rest));
    format!("{before}{mark}…\"{after}")
}

/// Errors of which the code must be the same, but not the text, and why.
const LOOSE: &[(&str, &str)] = &[
    ("25006", "a READ ONLY transaction may be on a replica, which refuses writes in its own words"),
    ("25P02", "it may be our Parse that fails there, in another line of PostgreSQL's source"),
];

/// Whether the proxy's answer will do for the server's.
pub fn alike(direct: &[String], through: &[String]) -> bool {
    let is_ready = |line: &String| line.starts_with("Z:");
    let parts = |lines: &[String]| lines.split_inclusive(is_ready).map(<[_]>::to_vec).collect();
    let (direct, through): (Vec<_>, Vec<_>) = (parts(direct), parts(through));
    let mut both = direct.iter().zip(&through);
    direct.len() == through.len() && both.all(|(d, t)| d == t || fails_anyway(d, t))
}

/// In a failed transaction nothing can be prepared, so that a statement that this server lacks
/// fails there, whatever the message is.
fn fails_anyway(direct: &[String], through: &[String]) -> bool {
    let same = direct.iter().zip(through).take_while(|(d, t)| d == t).count();
    match &through[same..] {
        [error] => error == "E:ERROR 25P02",
        [error, ready] => error == "E:ERROR 25P02" && direct.last() == Some(ready),
        _ => false,
    }
}

fn without_user_oids(body: &[u8]) -> BytesMut {
    let mut out = BytesMut::from(&body[..2]);
    let mut rest = &body[2..];
    let builtin = |oid: [u8; 4]| match u32::from_be_bytes(oid) {
        oid if oid < FIRST_USER_OID => oid,
        _ => FIRST_USER_OID,
    };
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        // Name, NUL, table OID, column number, type OID, length, modifier, format.
        let (name, field) = rest.split_at(end + 1);
        let (field, after) = field.split_at(18);
        out.put_slice(name);
        out.put_u32(builtin([field[0], field[1], field[2], field[3]]));
        out.put_slice(&field[4..6]);
        out.put_u32(builtin([field[6], field[7], field[8], field[9]]));
        out.put_slice(&field[10..]);
        rest = after;
    }
    out
}
