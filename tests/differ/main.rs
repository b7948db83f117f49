//! The same conversations with a server and through the proxy: every byte of the answers must be
//! the same.
//!
//! `TIDEGATE_TEST_SEEDS` says how many conversations are generated, `TIDEGATE_TEST_SEED` with
//! which seed to begin, `TIDEGATE_TEST_FAILURES` how many may fail before it stops. A seed that
//! fails is shrunk, and printed as a script: once mended, it belongs into `scripts`, which are
//! replayed every time. What is not mended is in `known`, and is not said (`generate/kinds.rs`).
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
