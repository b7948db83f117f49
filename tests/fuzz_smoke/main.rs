//! What the fuzz targets check, without a fuzzer.
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../fuzz/wire_checks.rs"]
mod wire_checks;

mod scram;
mod wire;
