//! The PostgreSQL engine end to end: real servers, real clients.
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../support/mod.rs"]
mod support;
use support::wire;

mod basics;
mod cancel;
mod doubtful;
mod faults;
mod login;
mod malformed;
mod notify;
mod notify_loss;
mod replica_loss;
mod shared;
mod splits;
mod strange_servers;
mod timeouts;
