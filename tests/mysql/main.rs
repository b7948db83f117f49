//! The MySQL engine end to end: real MariaDB servers, real clients.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end the test by it")]

mod fixture;
mod login;
mod raw;
mod same;
mod session;
mod tls;
mod transaction;
