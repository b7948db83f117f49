//! The PostgreSQL engine: bytes and session state.

pub mod probe;
