//! Good frames pass, others do not, and pgwire decodes whatever passes.

use super::*;
use bytes::BytesMut;
use pgwire::messages::startup::PasswordMessageFamily;
use pgwire::messages::{DecodeContext, PgWireFrontendMessage};
use proptest::prelude::*;

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[kind][..], &length, body].concat()
}

fn opened(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 8).to_be_bytes();
    [&length[..], &[0, 3, 0, 0], body].concat()
}

fn ready() -> Checker {
    let mut checker = Checker::new(false);
    let hello = opened(b"user\0a\0\0");
    assert_eq!(checker.next(&hello), Ok(Some(hello.len())));
    checker
}

const GOOD: &[(u8, &[u8])] = &[
    (b'Q', b"SHOW NODES;\0"),
    (b'P', b"\0SHOW NODES\0\0\0"),
    (b'P', b"s\0SHOW NODES\0\0\x01\0\0\0\x19"),
    (b'B', b"\0s\0\0\0\0\0\0\0"),
    (b'B', b"\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01\0\x01"),
    (b'D', b"Ss\0"),
    (b'C', b"P\0"),
    (b'E', b"\0\0\0\0\0"),
    (b'S', b""),
    (b'H', b""),
    (b'X', b""),
];

#[test]
fn a_good_frame_is_passed_when_it_is_whole_and_not_before() {
    for (kind, body) in GOOD {
        let bytes = frame(*kind, body);
        for cut in 0..bytes.len() {
            assert_eq!(ready().next(&bytes[..cut]), Ok(None), "{bytes:?} up to {cut}");
        }
        assert_eq!(ready().next(&bytes), Ok(Some(bytes.len())));
    }
}

#[test]
fn a_body_cut_short_or_too_long_is_malformed() {
    for (kind, body) in GOOD {
        let name = char::from(*kind);
        for cut in 0..body.len() {
            let bytes = frame(*kind, &body[..cut]);
            assert_eq!(ready().next(&bytes), Err(BadFrame::Body(name)), "{bytes:?}");
        }
        let bytes = frame(*kind, &[body, &b"\0"[..]].concat());
        assert_eq!(ready().next(&bytes), Err(BadFrame::Body(name)), "{bytes:?}");
    }
}

#[test]
fn an_impossible_length_is_refused_before_its_bytes_arrive() {
    for length in [0, 3, (1 << 20) + 1, 1 << 30, u32::MAX] {
        let bytes = [&b"Q"[..], &length.to_be_bytes()].concat();
        assert_eq!(ready().next(&bytes), Err(BadFrame::Length('Q', length, MAX_READY)));
    }
    for length in [0u32, 8, 10_001, 1 << 30] {
        let found = Checker::new(false).next(&length.to_be_bytes());
        assert_eq!(found, Err(BadFrame::StartupLength(length)));
    }
}

#[test]
fn before_the_login_only_password_messages_pass() {
    let mut checker = Checker::new(true);
    let hello = opened(b"user\0a\0\0");
    assert_eq!(checker.next(&hello), Ok(Some(hello.len())));
    assert_eq!(checker.next(b"Q"), Err(BadFrame::Unexpected('Q')));
    let cut = frame(b'p', b"SCRAM-SHA-256\0\0\0\0\x09abc");
    assert_eq!(checker.next(&cut), Err(BadFrame::Body('p')));
    let first = frame(b'p', b"SCRAM-SHA-256\0\0\0\0\x03abc");
    assert_eq!(checker.next(&first), Ok(Some(first.len())));
    let last = frame(b'p', b"whatever");
    assert_eq!(checker.next(&last), Ok(Some(last.len())));
    assert_eq!(checker.next(&last), Err(BadFrame::Unexpected('p')));
}

#[test]
fn a_startup_packet_is_pairs_and_one_zero() {
    for bad in [&b"user\0a\0"[..], b"user\0\0", b"user", b"\0a\0\0", b"user\0a\0\0\0"] {
        let bytes = opened(bad);
        assert_eq!(Checker::new(false).next(&bytes), Err(BadFrame::Startup), "{bad:?}");
    }
    let two = b"\0\0\0\x09\0\x02\0\0\0";
    assert_eq!(Checker::new(false).next(two), Err(BadFrame::Version(2, 0)));
}

/// How pgwire reads once the login began.
fn after_startup() -> DecodeContext {
    let mut context = DecodeContext::default();
    context.awaiting_frontend_ssl = false;
    context.awaiting_frontend_startup = false;
    context
}

/// Bodies that are nearly right: parts of real ones, with bytes changed.
fn bodies() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let edits = prop::collection::vec((any::<usize>(), any::<u8>()), 0..4);
    (0..GOOD.len(), edits, any::<usize>(), any::<bool>()).prop_map(|(which, edits, cut, whole)| {
        let (kind, body) = GOOD[which];
        let mut body = body.to_vec();
        for (at, byte) in edits {
            if !body.is_empty() {
                let at = at % body.len();
                body[at] = byte;
            }
        }
        if !whole {
            body.truncate(cut % (body.len() + 1));
        }
        (kind, body)
    })
}

proptest! {
    #[test]
    fn whatever_passes_is_decoded_whole((kind, body) in bodies()) {
        let bytes = frame(kind, &body);
        if ready().next(&bytes).is_ok() {
            let mut left = BytesMut::from(&bytes[..]);
            let decoded = PgWireFrontendMessage::decode(&mut left, &after_startup());
            prop_assert!(matches!(decoded, Ok(Some(_))), "{:?}", bytes);
            prop_assert!(left.is_empty(), "{:?}", bytes);
        }
    }

    #[test]
    fn a_first_password_message_that_passes_is_decoded(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(prop_oneof![Just(0u8), Just(255), Just(b'n'), 0..9u8], 0..20),
        ],
    ) {
        let mut checker = Checker::new(true);
        let hello = opened(b"user\0a\0\0");
        prop_assert_eq!(checker.next(&hello), Ok(Some(hello.len())));
        if checker.next(&frame(b'p', &body)).is_ok() {
            let message = PasswordMessageFamily::Raw(BytesMut::from(&body[..]));
            prop_assert!(message.into_sasl_initial_response().is_ok(), "{:?}", body);
        }
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for mut checker in [ready(), Checker::new(false)] {
            if let Ok(Some(length)) = checker.next(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
