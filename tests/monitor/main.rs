//! What the monitor and its probes conclude from real servers.
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../support/mod.rs"]
mod support;

mod picture;
mod probe;
mod probe_mariadb;
