//! The PostgreSQL engine end to end: real servers, real clients.

#[path = "../support/mod.rs"]
mod support;


mod basics;
mod differ;
mod random;
mod shared;
mod wire;
