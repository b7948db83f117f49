//! Failover and switchover with real servers and real clients.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end the test by it")]

#[path = "../support/mod.rs"]
mod support;

mod agents;
#[path = "../login/authority.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod authority;
mod automatic;
mod by_hand;
mod companion;
mod crashes;
mod doubt;
mod load;
mod measure;
mod planned;
mod rivals;
mod scene;
mod strict;
