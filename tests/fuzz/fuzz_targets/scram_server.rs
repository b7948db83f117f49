//! A client's SCRAM messages: the first, a zero byte, the last. None may panic, none may prove
//! a password that was never given.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::num::NonZeroU32;
use tidegate::pg::auth::scram::{Mechanism, ScramServer, Verifier};

fuzz_target!(|data: &[u8]| {
    let (first, last) = match data.iter().position(|b| *b == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &data[..0]),
    };
    let verifier = Verifier::from_password(b"pencil", NonZeroU32::MIN, b"salt");
    for (mechanism, binding) in [
        (Mechanism::Scram, None),
        (Mechanism::Scram, Some(b"hash".to_vec())),
        (Mechanism::ScramPlus, Some(b"hash".to_vec())),
    ] {
        let server = ScramServer::new(verifier.clone(), binding, "nonce".to_owned());
        if let Ok((server, _)) = server.first(mechanism, first) {
            assert!(server.last(last).is_err());
        }
    }
});
