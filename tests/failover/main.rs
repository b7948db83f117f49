//! Failover and switchover with real servers and real clients.

#[path = "../support/mod.rs"]
mod support;

mod automatic;
mod crashes;
mod load;
mod measure;
mod planned;
mod rivals;
mod scene;
