//! Replication connections: real tools, the proxy, real servers.
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../login/authority.rs"]
#[allow(dead_code, reason = "only a part of it is needed here")]
mod authority;
#[path = "../support/mod.rs"]
mod support;

use support::wire;

mod ends;
mod fixture;
mod flow;
mod refused;
mod tools;
