//! Bytes on the wire: see `wire_checks::first`.
#![no_main]

#[path = "../wire_checks.rs"]
#[allow(dead_code, reason = "each target uses another part")]
mod wire_checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire_checks::first(data));
