//! The exchange against the RFC, against another implementation, and against bad input.

use super::keys::derive;
use super::*;
use crate::secret::Secret;
use postgres_protocol::authentication::sasl;

const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

fn verifier() -> Verifier {
    let salt = syntax::decode(SALT).expect("base64");
    Verifier::from_password(b"pencil", DEFAULT_ITERATIONS, &salt)
}

fn server(binding: Option<&[u8]>) -> ScramServer {
    ScramServer::new(verifier(), binding.map(<[u8]>::to_vec), SERVER_NONCE.to_owned())
}

fn password(text: &str) -> ScramSecret {
    ScramSecret::Password(Secret::new(text))
}

/// A whole exchange of our two sides; the keys the server got to know.
fn exchange(
    secret: ScramSecret,
    client_binding: Option<&[u8]>,
    server_binding: Option<&[u8]>,
) -> Result<ClientKeys, ScramError> {
    let server = server(server_binding);
    let binding = client_binding.map(<[u8]>::to_vec);
    let nonce = fresh_nonce().expect("random bytes");
    let client = ScramClient::choose(server.offers(), secret, binding, nonce).expect("a mechanism");
    let mechanism = client.mechanism();
    let (client, message) = client.start();
    let (server, message) = server.first(mechanism, &message)?;
    let (client, message) = client.first(&message, &KeyCache::new(4))?;
    let proven = server.last(&message)?;
    client.last(&proven.message)?;
    Ok(proven.keys)
}

/// RFC 7677 section 3. Its client sends a user name, so the server's side is the one checked
/// letter by letter; the client's side follows from the round trips.
#[test]
fn the_server_speaks_as_in_rfc_7677() {
    let first = format!("n,,n=user,r={CLIENT_NONCE}");
    let (server, answer) = server(None).first(Mechanism::Scram, first.as_bytes()).expect("taken");
    let expected = format!("r={CLIENT_NONCE}{SERVER_NONCE},s={SALT},i=4096");
    assert_eq!(String::from_utf8_lossy(&answer), expected);

    let last = format!(
        "c=biws,r={CLIENT_NONCE}{SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let proven = server.last(last.as_bytes()).expect("the right proof");
    let expected = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert_eq!(String::from_utf8_lossy(&proven.message), expected);
    let keys = derive(b"pencil", &proven.keys.salt, proven.keys.iterations);
    assert_eq!(proven.keys.keys.client.as_slice(), keys.client.as_slice());
}

#[test]
fn the_right_password_is_taken_with_and_without_channel_binding() {
    for binding in [None, Some(&b"hash"[..])] {
        assert!(exchange(password("pencil"), binding, binding).is_ok());
        assert_eq!(exchange(password("pen"), binding, binding).err(), Some(ScramError::WrongProof));
    }
}

#[test]
fn the_keys_left_behind_open_the_same_verifier_again() {
    let keys = exchange(password("pencil"), None, None).expect("accepted");
    let again = exchange(ScramSecret::Keys(keys.clone()), Some(b"h"), Some(b"h"));
    assert_eq!(again.expect("accepted").keys.client, keys.keys.client);

    let other = ClientKeys { salt: b"other".to_vec(), ..keys };
    let refused = exchange(ScramSecret::Keys(other), None, None);
    assert_eq!(refused.err(), Some(ScramError::OtherVerifier));
}

#[test]
fn another_certificate_than_the_servers_is_noticed() {
    let refused = exchange(password("pencil"), Some(b"of the man between"), Some(b"ours"));
    assert_eq!(refused.err(), Some(ScramError::ChannelBinding("check failed")));
}

#[test]
fn a_client_that_could_bind_but_was_offered_nothing_says_so() {
    assert!(exchange(password("pencil"), Some(b"hash"), None).is_ok());

    // The offer of PLUS was cut out on the way: the server must notice.
    let client = ScramClient::choose(
        &[Mechanism::Scram],
        password("pencil"),
        Some(b"hash".to_vec()),
        "abc".to_owned(),
    );
    let (_, message) = client.expect("a mechanism").start();
    assert!(message.starts_with(b"y,,"));
    let refused = server(Some(b"hash")).first(Mechanism::Scram, &message);
    assert!(matches!(refused, Err(ScramError::ChannelBinding(_))));
}

#[test]
fn the_client_of_tokio_postgres_agrees_with_our_server() {
    for (theirs, binding, mechanism) in [
        (sasl::ChannelBinding::unsupported(), None, Mechanism::Scram),
        (sasl::ChannelBinding::unrequested(), None, Mechanism::Scram),
        (
            sasl::ChannelBinding::tls_server_end_point(b"hash".to_vec()),
            Some(&b"hash"[..]),
            Mechanism::ScramPlus,
        ),
    ] {
        let mut client = sasl::ScramSha256::new(b"pencil", theirs);
        let (server, answer) =
            server(binding).first(mechanism, client.message()).expect("first message");
        client.update(&answer).expect("our first message");
        let proven = server.last(client.message()).expect("their proof");
        client.finish(&proven.message).expect("our signature");
    }
}

#[test]
fn malformed_first_messages_are_refused() {
    let good = "n,,n=,r=abc";
    assert!(server(None).first(Mechanism::Scram, good.as_bytes()).is_ok());
    assert!(server(None).first(Mechanism::Scram, b"n,,n=a=2Cb=3D,r=abc,x=1").is_ok());
    for bad in [
        "",
        "n",
        "n,",
        "n,,",
        "N,,n=,r=abc",
        "x,,n=,r=abc",
        "nn,,n=,r=abc",
        "n,a=root,n=,r=abc",
        "n,x,n=,r=abc",
        "n,,r=abc",
        "n,,r=abc,n=",
        "n,,n=",
        "n,,n=,",
        "n,,n=,r=",
        "n,,n=,r=a c",
        "n,,n=,r=ä",
        "n,,n=,r=abc,",
        "n,,n=,r=abc,x",
        "n,,n=,r=abc,x=",
        "n,,n=,r=abc,1=2",
        "n,,n=,r=abc,r=abc",
        "n,,n=a=2cb,r=abc",
        "n,,n==,r=abc",
        "n,,m=x,n=,r=abc",
        "n,,n=,r=abc,m=x",
        "n,,n=,r=abc\0",
        "n,,nn=,r=abc",
        "n,,=,r=abc",
        "p=x,,n=,r=abc",
        "p=tls-server-end-point,,n=,r=abc",
        "p,,n=,r=abc",
    ] {
        assert!(server(None).first(Mechanism::Scram, bad.as_bytes()).is_err(), "{bad}");
        if !bad.starts_with("p=tls-server") {
            let plus = server(Some(b"h")).first(Mechanism::ScramPlus, bad.as_bytes());
            assert!(plus.is_err(), "{bad} with binding");
        }
    }
    let unique = server(Some(b"h")).first(Mechanism::ScramPlus, b"p=tls-unique,,n=,r=abc");
    assert!(matches!(unique, Err(ScramError::ChannelBinding(_))));
    let long = format!("{good},x={}", "y".repeat(5000));
    assert!(server(None).first(Mechanism::Scram, long.as_bytes()).is_err());
    assert!(server(None).first(Mechanism::Scram, b"n,,n=\xff,r=abc").is_err());
}

/// The true client-final-message for the nonces above.
fn final_message() -> String {
    let bare = format!("c=biws,r={CLIENT_NONCE}{SERVER_NONCE}");
    format!("{bare},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
}

fn after_first() -> AwaitClientFinal {
    let first = format!("n,,n=user,r={CLIENT_NONCE}");
    server(None).first(Mechanism::Scram, first.as_bytes()).expect("taken").0
}

#[test]
fn malformed_final_messages_are_refused() {
    assert!(after_first().last(final_message().as_bytes()).is_ok());
    for (from, to) in [
        ("c=biws", "c=eSws"),
        ("c=biws", "c=biw"),
        ("c=biws", "c=biws="),
        ("c=biws", "c="),
        ("c=biws,", ""),
        ("c=biws", "m=x,c=biws"),
        ("c=biws", "x=1,c=biws"),
        (CLIENT_NONCE, ""),
        (SERVER_NONCE, ""),
        (SERVER_NONCE, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0x"),
        (",p=", ",m=1,p="),
        (",p=", ",c=biws,p="),
        (",p=", ",p=,p="),
        (",p=", ",,p="),
        ("dVQ=", "dVQ"),
        ("dVQ=", "dVR="),
        ("dVQ=", "dVQ=,"),
        ("dVQ=", "dVQ=,x=1"),
        ("dVQ=", "dVQ=\0"),
        ("dVQ=", "dVQ= "),
        ("dVQ=", "dVQ=dVQ="),
        ("dVQ=", "dVQ=AAAA"),
        ("dHzbZapWIk4j", ""),
    ] {
        let message = final_message().replacen(from, to, 1);
        assert_ne!(message, final_message());
        assert!(after_first().last(message.as_bytes()).is_err(), "{from} -> {to}");
    }
    // An extension is part of what is signed, so it invalidates a proof made without it.
    let extended = final_message().replacen(",p=", ",x=1,p=", 1);
    assert_eq!(after_first().last(extended.as_bytes()).err(), Some(ScramError::WrongProof));
}

fn awaiting() -> AwaitServerFirst {
    let secret = password("pencil");
    let client = ScramClient::choose(&[Mechanism::Scram], secret, None, CLIENT_NONCE.to_owned());
    client.expect("a mechanism").start().0
}

#[test]
fn a_server_that_answers_wrongly_is_refused() {
    let good = format!("r={CLIENT_NONCE}{SERVER_NONCE},s={SALT},i=4096");
    assert!(awaiting().first(good.as_bytes(), &KeyCache::new(1)).is_ok());
    for (from, to) in [
        (CLIENT_NONCE, "someone else's"),
        (SERVER_NONCE, ""),
        (SALT, ""),
        (SALT, "%"),
        ("i=4096", "i=0"),
        ("i=4096", "i=-1"),
        ("i=4096", "i=4096x"),
        ("i=4096", "i="),
        ("i=4096", "i=2000000000"),
        (",i=4096", ""),
        ("i=4096", "i=4096,"),
        ("r=", "m=1,r="),
    ] {
        let message = good.replacen(from, to, 1);
        assert!(awaiting().first(message.as_bytes(), &KeyCache::new(1)).is_err(), "{from} -> {to}");
    }
}

#[test]
fn a_server_without_the_verifier_cannot_pretend() {
    let first = format!("r={CLIENT_NONCE}{SERVER_NONCE},s={SALT},i=4096");
    let last = |message: &str| {
        let (client, _) = awaiting().first(first.as_bytes(), &KeyCache::new(1)).expect("taken");
        client.last(message.as_bytes())
    };
    let other = format!("v={}", syntax::encode(&[7; 32]));
    assert_eq!(last(&other), Err(ScramError::ServerSignature));
    assert_eq!(last("v="), Err(ScramError::ServerSignature));
    assert_eq!(last("e=other-error"), Err(ScramError::Refused("other-error".to_owned())));
    for bad in ["", "v", "x=1", "v=%%", "v=AAAA,x=1"] {
        assert!(matches!(last(bad), Err(ScramError::Malformed(_))), "{bad}");
    }
}
