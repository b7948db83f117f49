//! The PostgreSQL engine end to end: real servers, real clients.

#[path = "../support/mod.rs"]
mod support;

mod basics;
