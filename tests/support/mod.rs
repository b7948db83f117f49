//! What the integration tests share: real servers, and the proxy in front of them.
//!
//! Each test binary takes what it needs of this, so the rest is unused there.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "every test binary uses another part"
)]

pub use tidegate::lab::postgres::{Cluster, How, Node, cluster};

pub mod watch;

pub mod proxy;

pub mod ask;

pub mod collector;

pub mod dice;

pub mod program;

pub mod wire;
