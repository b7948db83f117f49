//! What the fuzz targets of SCRAM check, for some thousand inputs and without a fuzzer: valid
//! exchanges with bytes changed, dropped, doubled, and arbitrary bytes.

use proptest::prelude::*;
use std::num::NonZeroU32;
use std::sync::Arc;
use tidegate::pg::auth::scram::{
    KeyCache, Mechanism, ScramClient, ScramError, ScramSecret, ScramServer, Verifier,
};
use tidegate::pg::auth::{
    AuthRequest, Cleartext, Secret, ServerAccepted, ServerLogin, ServerLoginRequest, ServerSecret,
    ServerStep,
};

const BINDING: &[u8] = b"hash";

fn server(bound: bool) -> ScramServer {
    let verifier = Verifier::from_password(b"pencil", NonZeroU32::MIN, b"salt");
    ScramServer::new(verifier, bound.then(|| BINDING.to_vec()), "servernonce".to_owned())
}

fn client(bound: bool) -> ScramClient {
    let secret = ScramSecret::Password(Secret::new("pencil"));
    let binding = bound.then(|| BINDING.to_vec());
    ScramClient::choose(server(bound).offers(), secret, binding, "clientnonce".to_owned())
        .expect("a mechanism")
}

/// One change to a message.
#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Remove(usize),
    Insert(usize, u8),
    Cut(usize),
    Repeat(usize),
}

impl Change {
    fn apply(&self, message: &mut Vec<u8>) {
        let at = |wanted: usize| wanted % message.len().max(1);
        match *self {
            _ if message.is_empty() => {}
            Change::Set(i, byte) => {
                let i = at(i);
                message[i] = byte;
            }
            Change::Remove(i) => drop(message.remove(at(i))),
            Change::Insert(i, byte) => message.insert(at(i), byte),
            Change::Cut(i) => message.truncate(at(i)),
            Change::Repeat(i) => {
                let tail = message[at(i)..].to_vec();
                message.extend(tail);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![any::<u8>(), proptest::sample::select(b",=nyprcsivem\0+/A0".to_vec())];
    prop_oneof![
        4 => (any::<usize>(), byte.clone()).prop_map(|(i, b)| Change::Set(i, b)),
        2 => any::<usize>().prop_map(Change::Remove),
        2 => (any::<usize>(), byte).prop_map(|(i, b)| Change::Insert(i, b)),
        1 => any::<usize>().prop_map(Change::Cut),
        1 => any::<usize>().prop_map(Change::Repeat),
    ]
}

fn changed(mut message: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    changes.iter().for_each(|change| change.apply(&mut message));
    message
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    /// Every byte of the last message counts.
    #[test]
    fn a_changed_final_message_never_proves_a_password(
        bound: bool,
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        let client = client(bound);
        let mechanism = client.mechanism();
        let (client, first) = client.start();
        let (server, challenge) = server(bound).first(mechanism, &first).expect("valid");
        let (_, last) = client.first(&challenge, &KeyCache::new(1)).expect("valid");
        let other = changed(last.clone(), &changes);
        prop_assert_eq!(server.last(&other).is_ok(), other == last);
    }

    /// Both sides sign the first messages, so a change on the way is noticed at the end at the
    /// latest: whatever the server takes, it is what the client said.
    #[test]
    fn a_changed_first_message_never_passes(
        bound: bool,
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        let client = client(bound);
        let mechanism = client.mechanism();
        let (client, first) = client.start();
        let other = changed(first.clone(), &changes);
        if let Ok((server, challenge)) = server(bound).first(mechanism, &other)
            && let Ok((_, last)) = client.first(&challenge, &KeyCache::new(1))
        {
            prop_assert_eq!(server.last(&last).is_ok(), other == first);
        }
    }

    /// A server has to know the verifier.
    #[test]
    fn a_changed_server_message_is_never_believed(
        in_first: bool,
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        let (client, first) = client(false).start();
        let (server, challenge) = server(false).first(Mechanism::Scram, &first).expect("valid");
        let sent = if in_first { changed(challenge.clone(), &changes) } else { challenge.clone() };
        let cache = KeyCache::new(1);
        // Iteration counts of many digits are right to accept but slow to test.
        prop_assume!(!sent.windows(6).any(|w| w.starts_with(b"i=") && w[2..].iter().all(u8::is_ascii_digit)));
        let Ok((client, last)) = client.first(&sent, &cache) else { return Ok(()) };
        let Ok(proven) = server.last(&last) else { return Ok(()) };
        let told =
            if in_first { proven.message.clone() } else { changed(proven.message.clone(), &changes) };
        prop_assert_eq!(client.last(&told).is_ok(), told == proven.message && sent == challenge);
    }

    #[test]
    fn arbitrary_bytes_are_refused_calmly(
        first in proptest::collection::vec(any::<u8>(), 0..200),
        text in "(n|y|p=tls-server-end-point),,n=[a-z=,]{0,5},r=[!-~]{0,20}(,[a-z]=[a-z]{0,3})?",
        last in "c=[A-Za-z=]{0,12},r=[!-~]{0,30},p=[A-Za-z+/=]{0,50}",
    ) {
        for bound in [false, true] {
            for mechanism in [Mechanism::Scram, Mechanism::ScramPlus] {
                prop_assert!(server(bound).first(mechanism, &first).is_err());
                if let Ok((server, _)) = server(bound).first(mechanism, text.as_bytes()) {
                    let refused: ScramError = server.last(last.as_bytes()).expect_err("no proof");
                    prop_assert!(!refused.to_string().is_empty());
                }
            }
        }
    }

    /// Any authentication requests whatever: no panic, no SCRAM login without a proof.
    #[test]
    fn arbitrary_requests_of_a_server_never_pass_for_scram(
        bodies in proptest::collection::vec(
            (0u8..14, proptest::collection::vec(any::<u8>(), 0..60)), 1..5),
    ) {
        let mut login = ServerLogin::start(ServerLoginRequest {
            user: "app",
            secret: ServerSecret::password(Secret::new("pencil")),
            channel: None,
            cleartext: Cleartext::Always,
            cache: Arc::new(KeyCache::new(1)),
        });
        for (code, rest) in bodies {
            let rest = if code == 10 { b"SCRAM-SHA-256\0\0".to_vec() } else { rest };
            let body = [&[0, 0, 0, code][..], &rest].concat();
            let _ = AuthRequest::parse(&rest);
            match login.on(&body) {
                Ok(ServerStep::Continue { login: next, .. }) => login = next,
                Ok(ServerStep::Accepted(how)) => {
                    prop_assert!(how != ServerAccepted::Scram && how != ServerAccepted::ScramPlus);
                    break;
                }
                Err(_) => break,
            }
        }
    }

    /// What is taken for a verifier is printed as it was read.
    #[test]
    fn any_text_is_a_verifier_or_refused(
        changes in proptest::collection::vec(change(), 0..3),
        text in "SCRAM-SHA-256\\$[0-9]{1,5}:([A-Za-z0-9+/]{4}){1,3}\\$[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=",
    ) {
        let text = String::from_utf8_lossy(&changed(text.into_bytes(), &changes)).to_string();
        if let Some(read) = Verifier::parse(&text) {
            let printed = read.print().to_string();
            prop_assert_eq!(printed, text);
        }
    }
}
