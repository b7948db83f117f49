//! Pool, routing, operation and load, end to end: real servers, real clients.

#[path = "../support/mod.rs"]
mod support;

mod clean;
mod failures;
mod lifetime;
mod limits;
mod prepared;
mod routing;
mod session;
