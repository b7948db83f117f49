//! Frames that we write ourselves.

use bytes::{BufMut, BytesMut};

/// Appends a frame of `tag`; `body` writes what follows the length.
pub fn put_frame(out: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let at = out.len();
    out.put_u32(0);
    body(out);
    let len = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

/// Appends `text` and a NUL; NULs inside it are left out.
pub fn put_cstr(out: &mut BytesMut, text: &[u8]) {
    if text.contains(&0) {
        out.extend(text.iter().filter(|&&b| b != 0));
    } else {
        out.put_slice(text);
    }
    out.put_u8(0);
}

/// An ErrorResponse as it is told to a client.
pub struct ErrorText<'a> {
    /// `ERROR` or `FATAL`.
    pub severity: &'a str,
    /// SQLSTATE.
    pub code: &'a str,
    pub message: &'a str,
    pub hint: &'a str,
}

pub fn put_error(out: &mut BytesMut, error: &ErrorText<'_>) {
    put_said(out, b'E', error);
}

/// NoticeResponse
pub fn put_notice(out: &mut BytesMut, notice: &ErrorText<'_>) {
    put_said(out, b'N', notice);
}

fn put_said(out: &mut BytesMut, tag: u8, error: &ErrorText<'_>) {
    put_frame(out, tag, |b| {
        for (kind, text) in [
            (b'S', error.severity),
            (b'V', error.severity),
            (b'C', error.code),
            (b'M', error.message),
            (b'H', error.hint),
        ] {
            if !text.is_empty() {
                b.put_u8(kind);
                put_cstr(b, text.as_bytes());
            }
        }
        b.put_u8(0);
    });
}

/// What PostgreSQL says when the columns of a prepared statement are not what they were.
pub fn put_stale_plan(out: &mut BytesMut) {
    let (code, message) = ("0A000", "cached plan must not change result type");
    put_error(out, &ErrorText { severity: "ERROR", code, message, hint: "" });
}

/// ReadyForQuery with its transaction status: `I`, `T` or `E`.
pub fn put_ready(out: &mut BytesMut, status: u8) {
    put_frame(out, b'Z', |b| b.put_u8(status));
}

pub fn put_parameter_status(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    put_frame(out, b'S', |b| {
        put_cstr(b, name);
        put_cstr(b, value);
    });
}

pub fn put_command_complete(out: &mut BytesMut, tag: &str) {
    put_frame(out, b'C', |b| put_cstr(b, tag.as_bytes()));
}

/// NotificationResponse from the backend or client with this process id.
pub fn put_notification(out: &mut BytesMut, pid: u32, channel: &[u8], payload: &[u8]) {
    put_frame(out, b'A', |b| {
        b.put_u32(pid);
        put_cstr(b, channel);
        put_cstr(b, payload);
    });
}

/// BackendKeyData: our process id and secret.
pub fn put_backend_key(out: &mut BytesMut, pid: u32, secret: &[u8]) {
    put_frame(out, b'K', |b| {
        b.put_u32(pid);
        b.put_slice(secret);
    });
}

/// An authentication request ('R'): the code and what follows it.
pub fn put_authentication(out: &mut BytesMut, code: u32, data: &[u8]) {
    put_frame(out, b'R', |b| {
        b.put_u32(code);
        b.put_slice(data);
    });
}

/// NegotiateProtocolVersion: the newest minor version we speak, and options we do not know.
pub fn put_negotiate(out: &mut BytesMut, minor: u32, unknown: &[&[u8]]) {
    put_frame(out, b'v', |b| {
        b.put_u32(3 << 16 | minor);
        b.put_u32(unknown.len() as u32);
        for name in unknown {
            put_cstr(b, name);
        }
    });
}

/// Rows of one text column, and the tag behind them.
pub fn put_text_rows(out: &mut BytesMut, rows: &[String], tag: &str) {
    for value in rows {
        put_frame(out, b'D', |b| {
            b.put_u16(1);
            b.put_u32(value.len() as u32);
            b.put_slice(value.as_bytes());
        });
    }
    put_command_complete(out, tag);
}

/// RowDescription of one text column.
pub fn put_row_description(out: &mut BytesMut, column: &str) {
    const TEXT: u32 = 25;
    put_frame(out, b'T', |b| {
        b.put_u16(1);
        put_cstr(b, column.as_bytes());
        b.put_u32(0);
        b.put_u16(0);
        b.put_u32(TEXT);
        b.put_i16(-1);
        b.put_i32(-1);
        b.put_u16(0);
    });
}

pub fn put_query(out: &mut BytesMut, sql: &[u8]) {
    put_frame(out, b'Q', |b| put_cstr(b, sql));
}

/// Parse of `content` (query, NUL, parameter types) under `name`.
pub fn put_parse(out: &mut BytesMut, name: &[u8], content: &[u8]) {
    put_frame(out, b'P', |b| {
        put_cstr(b, name);
        b.put_slice(content);
    });
}

/// Close or Describe of a statement (`b'S'`) or portal (`b'P'`).
pub fn put_named(out: &mut BytesMut, tag: u8, kind: u8, name: &[u8]) {
    put_frame(out, tag, |b| {
        b.put_u8(kind);
        put_cstr(b, name);
    });
}

/// ParseComplete (`1`), CloseComplete (`3`) and other frames without a body.
pub fn put_empty(out: &mut BytesMut, tag: u8) {
    put_frame(out, tag, |_| {});
}
