//! Column definitions and text rows, for the few result sets that are read or made here.

use super::reader::{Reader, put_lenenc_bytes};
use super::{WireError, put_packet};
use bytes::{BufMut, BytesMut};

/// `MYSQL_TYPE_VAR_STRING`
const VAR_STRING: u8 = 253;
/// `utf8mb4_general_ci`
const UTF8MB4: u16 = 45;

/// The values of a text row; `None` is NULL.
pub fn text_row(payload: &[u8]) -> Result<Vec<Option<Vec<u8>>>, WireError> {
    let mut reader = Reader::new(payload, "a row");
    let mut row = Vec::new();
    while !reader.is_empty() {
        row.push(reader.text_value()?.map(<[u8]>::to_vec));
    }
    Ok(row)
}

/// The name in the definition of a column: behind catalog, schema, table and the table's own name.
pub fn column_name(payload: &[u8]) -> Result<String, WireError> {
    let mut reader = Reader::new(payload, "a column");
    let mut name = None;
    for _ in 0..5 {
        name = reader.text_value()?;
    }
    Ok(String::from_utf8_lossy(name.unwrap_or_default()).into_owned())
}

/// Appends the definition of a column of text. Answers with the next sequence id.
pub fn put_text_column(out: &mut BytesMut, sequence: u8, name: &str) -> u8 {
    let mut body = BytesMut::new();
    for text in ["def", "", "", "", name, ""] {
        put_lenenc_bytes(&mut body, text.as_bytes());
    }
    body.put_u8(0x0c);
    body.put_u16_le(UTF8MB4);
    body.put_u32_le(1024);
    body.put_u8(VAR_STRING);
    body.put_u16_le(0);
    // Decimals: unknown, as for every text.
    body.put_u8(31);
    body.put_u16_le(0);
    put_packet(out, sequence, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_row_has_values_and_nulls() {
        let row = text_row(b"\x01a\xfb\x00").expect("a row");
        assert_eq!(row, [Some(b"a".to_vec()), None, Some(Vec::new())]);
        assert!(text_row(b"\x05a").is_err());
    }
}
