//! PostgreSQL's wire format (protocol 3.0 and 3.2): bytes in, bytes out, no socket anywhere.
//!
//! Source: PostgreSQL documentation, "Frontend/Backend Protocol".

mod build;
mod fields;
mod frame;
pub mod startup;

pub use build::*;
pub use fields::{
    Fault, ParseBody, cstr, parse_bind, parse_describe, parse_parse, parse_row, parse_status,
    put_row_types,
};
pub use frame::{HEADER, Header, MAX_FRAME, WireError, peek};
