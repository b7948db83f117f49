//! The MySQL engine end to end: real MariaDB servers, real clients.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end the test by it")]

#[path = "../support/collector.rs"]
mod collector;
mod consistency;
mod fixture;
mod login;
mod prepared;
mod raw;
mod same;
mod session;
mod steering;
mod tls;
mod traces;
mod transaction;
