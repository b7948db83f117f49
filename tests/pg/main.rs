//! The PostgreSQL engine end to end: real servers, real clients.
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../support/mod.rs"]
mod support;

mod basics;
mod differ;
mod random;
mod shared;
mod wire;
