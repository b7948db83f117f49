//! Pool, routing, operation and load, end to end: real servers, real clients.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end the test by it")]

#[path = "../support/mod.rs"]
mod support;

mod affinity;
mod catalog;
mod clean;
mod consistency;
mod failures;
mod kept;
mod lifetime;
mod limits;
mod load;
mod memory;
mod operated;
mod operation;
mod prepared;
mod renewed;
mod routing;
mod session;
mod steering;
