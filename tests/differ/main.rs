//! The same conversations with a server and through the proxy: every byte of the answers must be
//! the same.
//!
//! `TIDEGATE_TEST_SEEDS` says how many conversations are generated, `TIDEGATE_TEST_SEED` with
//! which seed to begin. A seed that fails is shrunk, and printed as a script that belongs into
//! `tests/differ/scripts`.
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../support/mod.rs"]
mod support;

mod answer;
mod generate;
mod kept;
mod play;
mod same;
mod script;
mod seeds;
mod shrink;
mod stage;
