//! What SHOW answers: columns, rows, and their encoding.

use super::failure::{Failure, PROTOCOL};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse};
use pgwire::error::PgWireResult;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Text(&'static str),
    Int(&'static str),
}

impl Column {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Column::Text(name) | Column::Int(name) => name,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Text(String),
    Int(i64),
    Null,
}

pub(super) type Row = Vec<Cell>;

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_string())
    }
}
impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}
impl From<&Arc<str>> for Cell {
    fn from(text: &Arc<str>) -> Cell {
        Cell::Text(text.to_string())
    }
}
impl From<u64> for Cell {
    fn from(number: u64) -> Cell {
        Cell::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Null, Into::into)
    }
}

/// Whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The columns as the client asked for them. pgwire would panic on too few format codes.
pub(super) fn fields(columns: &[Column], format: &Format) -> Result<Vec<FieldInfo>, Failure> {
    if let Format::Individual(codes) = format
        && codes.len() != columns.len()
    {
        let (given, needed) = (codes.len(), columns.len());
        let text = format!("{given} result formats were given for {needed} columns");
        return Err(Failure::error(PROTOCOL, text));
    }
    let field = |(at, column): (usize, &Column)| {
        let (name, kind) = match column {
            Column::Text(name) => (name, Type::TEXT),
            Column::Int(name) => (name, Type::INT8),
        };
        let size = if kind == Type::INT8 { 8 } else { -1 };
        let format: FieldFormat = format.format_for(at);
        FieldInfo::new(name.to_string(), None, None, kind, format).with_type_size(size)
    };
    Ok(columns.iter().enumerate().map(field).collect())
}

pub(super) fn response(fields: Vec<FieldInfo>, rows: Vec<Row>) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(fields);
    let mut encoder = DataRowEncoder::new(fields.clone());
    let mut encoded = Vec::with_capacity(rows.len());
    for row in rows {
        for (cell, field) in row.iter().zip(fields.iter()) {
            match (cell, field.datatype()) {
                (Cell::Int(number), &Type::INT8) => encoder.encode_field(&Some(*number))?,
                (Cell::Int(number), _) => encoder.encode_field(&Some(number.to_string()))?,
                (Cell::Text(text), _) => encoder.encode_field(&Some(text.as_str()))?,
                (Cell::Null, &Type::INT8) => encoder.encode_field(&None::<i64>)?,
                (Cell::Null, _) => encoder.encode_field(&None::<&str>)?,
            }
        }
        encoded.push(Ok(encoder.take_row()));
    }
    let mut response = QueryResponse::new(fields, futures_util::stream::iter(encoded));
    response.set_command_tag("SHOW");
    Ok(response)
}
