//! Bodies of the few frames that are looked into.

use super::WireError;

/// Splits a NUL-terminated string off the front: (string, rest).
pub fn cstr(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&b| b == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn malformed(tag: u8, what: &'static str) -> WireError {
    WireError::Malformed { tag, what }
}

/// The body of a Parse message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseBody<'a> {
    pub name: &'a [u8],
    /// Everything after the name: query, NUL, parameter types.
    pub content: &'a [u8],
    pub query: &'a [u8],
}

pub fn parse_parse(body: &[u8]) -> Result<ParseBody<'_>, WireError> {
    let (name, content) = cstr(body).ok_or(malformed(b'P', "the name has no end"))?;
    let (query, types) = cstr(content).ok_or(malformed(b'P', "the query has no end"))?;
    let count = types.first_chunk::<2>().ok_or(malformed(b'P', "no parameter count"))?;
    if types.len() != 2 + 4 * usize::from(u16::from_be_bytes(*count)) {
        return Err(malformed(b'P', "parameter types do not fit the length"));
    }
    Ok(ParseBody { name, content, query })
}

/// Bind: (portal, statement, rest). Only the front of the body needs to be there.
pub fn parse_bind(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (portal, rest) = cstr(body)?;
    let (statement, rest) = cstr(rest)?;
    Some((portal, statement, rest))
}

/// Describe and Close: (b'S' or b'P', name).
pub fn parse_describe(tag: u8, body: &[u8]) -> Result<(u8, &[u8]), WireError> {
    let (&kind, rest) = body.split_first().ok_or(malformed(tag, "empty"))?;
    if kind != b'S' && kind != b'P' {
        return Err(malformed(tag, "neither a statement nor a portal"));
    }
    match cstr(rest) {
        Some((name, [])) => Ok((kind, name)),
        _ => Err(malformed(tag, "the name does not fit the length")),
    }
}

/// ParameterStatus: (name, value).
pub fn parse_status(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = cstr(body)?;
    let (value, _) = cstr(rest)?;
    Some((name, value))
}

/// The body of a NotificationResponse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification<'a> {
    /// The process id of the backend that notified.
    pub pid: u32,
    pub channel: &'a [u8],
    pub payload: &'a [u8],
}

pub fn parse_notification(body: &[u8]) -> Option<Notification<'_>> {
    let (pid, rest) = body.split_first_chunk::<4>()?;
    let (channel, rest) = cstr(rest)?;
    let (payload, _) = cstr(rest)?;
    Some(Notification { pid: u32::from_be_bytes(*pid), channel, payload })
}

/// DataRow with values in text format. What a malformed row lacks is missing in the answer.
pub fn parse_row(body: &[u8]) -> Vec<Option<String>> {
    let Some((count, mut rest)) = body.split_first_chunk::<2>() else { return Vec::new() };
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let Some((len, after)) = rest.split_first_chunk::<4>() else { break };
        match usize::try_from(i32::from_be_bytes(*len)) {
            Err(_) => {
                row.push(None);
                rest = after;
            }
            Ok(len) => {
                let Some((value, after)) = after.split_at_checked(len) else { break };
                row.push(Some(String::from_utf8_lossy(value).into_owned()));
                rest = after;
            }
        }
    }
    row
}

/// What must not change of a RowDescription while a plan lives, as `equalTupleDescs` of
/// PostgreSQL's tupdesc.c has it: names, types, lengths and modifiers. Appended to `out`.
pub fn put_row_types(body: &[u8], out: &mut Vec<u8>) {
    let Some((count, mut rest)) = body.split_first_chunk::<2>() else { return };
    out.extend_from_slice(count);
    // table oid 4, column 2, then type oid 4, length 2, modifier 4, then format 2
    while let Some((name, column)) = cstr(rest)
        && let Some((column, next)) = column.split_first_chunk::<18>()
    {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(&column[6..16]);
        rest = next;
    }
}

/// ErrorResponse or NoticeResponse, as far as decisions need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// `ERROR`, `FATAL`, `PANIC`, not translated.
    pub severity: String,
    /// SQLSTATE.
    pub code: [u8; 5],
    pub message: String,
    /// The function of the server that complained.
    pub routine: String,
}

impl Fault {
    pub fn parse(body: &[u8]) -> Fault {
        let mut fault = Fault::default();
        let mut rest = body;
        while let Some((&kind, tail)) = rest.split_first() {
            let Some((text, next)) = cstr(tail) else { break };
            match kind {
                0 => break,
                b'V' => fault.severity = String::from_utf8_lossy(text).into_owned(),
                b'S' if fault.severity.is_empty() => {
                    fault.severity = String::from_utf8_lossy(text).into_owned();
                }
                b'C' if text.len() == 5 => fault.code.copy_from_slice(text),
                b'M' => fault.message = String::from_utf8_lossy(text).into_owned(),
                b'R' => fault.routine = String::from_utf8_lossy(text).into_owned(),
                _ => {}
            }
            rest = next;
        }
        fault
    }

    /// The server ends the connection after it.
    pub fn is_fatal(&self) -> bool {
        self.severity == "FATAL" || self.severity == "PANIC"
    }

    /// "cached plan must not change result type", in whatever language.
    pub fn is_stale_plan(&self) -> bool {
        &self.code == b"0A000" && self.routine == "RevalidateCachedQuery"
    }

    /// "canceling wait for synchronous replication", in whatever language.
    pub fn is_of_an_abandoned_commit(&self) -> bool {
        self.routine == "SyncRepWaitForLSN"
    }

    /// What a standby says of statements that a primary may answer: of writes, of unlogged tables
    /// and serializable transactions, and of functions that do not work during recovery.
    pub fn is_of_a_standby(&self) -> bool {
        matches!(&self.code, b"25006" | b"0A000" | b"55000") && !self.is_stale_plan()
    }

    pub fn sqlstate(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or("XX000")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parse_body_is_taken_apart() {
        let body = b"s1\0SELECT $1\0\0\x01\0\0\0\x17";
        let parse = parse_parse(body).expect("well formed");
        assert_eq!((parse.name, parse.query), (&b"s1"[..], &b"SELECT $1"[..]));
        assert_eq!(parse.content, &body[3..]);
        for cut in 0..body.len() {
            assert!(parse_parse(&body[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_fault_takes_the_untranslated_severity() {
        let fault = Fault::parse(b"SFEHLER\0VERROR\0C25006\0Mnope\0\0");
        assert_eq!(fault.severity, "ERROR");
        assert_eq!(fault.sqlstate(), "25006");
        assert_eq!(fault.message, "nope");
        assert!(!fault.is_fatal());
    }
}
