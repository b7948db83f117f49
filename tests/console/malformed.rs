//! Frames that no client should send: each is answered clearly, and nobody else notices.

use crate::bytes::{Raw, SSL_REQUEST, claiming, errors, message, startup};
use crate::fixture::{Console, console};

/// Sends these bytes, after a login or before it, and returns the only error.
async fn refused(console: &Console, after_login: bool, sent: &[u8]) -> String {
    let mut raw = console.raw().await;
    if after_login {
        raw.login().await;
    }
    raw.send(sent).await;
    let found = errors(&raw.until_closed().await);
    assert_eq!(found.len(), 1, "{sent:?}: {found:?}");
    found.into_iter().next().expect("one")
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_lengths_are_refused_at_once() {
    let console = console(&[]).await;
    let witness = console.client("admin", "").await.expect("a login");
    for kind in *b"QPBDECHSX" {
        for length in [0u32, 1, 3, (1 << 20) + 1, 1 << 30, u32::MAX] {
            let name = char::from(kind);
            let wanted = format!(
                "FATAL 08P01 message {name:?} claims {length} bytes; 4 to 1048576 are allowed"
            );
            assert_eq!(refused(&console, true, &claiming(kind, length, b"")).await, wanted);
        }
    }
    assert_eq!(witness.query("SHOW NODES", &[]).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_cut_short_or_wrong_are_refused() {
    let console = console(&[]).await;
    let witness = console.client("admin", "").await.expect("a login");
    let bodies: &[(u8, &[u8])] = &[
        (b'Q', b""),
        (b'Q', b"SHOW NODES"),
        (b'Q', b"SHOW NODES\0\0"),
        (b'P', b""),
        (b'P', b"\0SHOW NODES\0"),
        (b'P', b"\0SHOW NODES\0\0\x02\0\0\0\x19"),
        (b'P', b"\0SHOW NODES\0\xff\xff"),
        (b'B', b"\0"),
        (b'B', b"\0\0\0\0\0\x01\0\0\0\x09short"),
        (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),
        (b'B', b"\0\0\0\0\xff\xff"),
        (b'B', b"\0\0\0\0\0\0\0\x01\0\x07"),
        (b'B', b"\0\0\0\x02\0\0\0\0\0\0\0\0"),
        (b'D', b""),
        (b'D', b"S"),
        (b'D', b"Xname\0"),
        (b'E', b"\0\0\0"),
        (b'C', b"S"),
        (b'S', b"x"),
        (b'H', b"x"),
    ];
    for (kind, body) in bodies {
        let wanted = format!("FATAL 08P01 message {:?} is malformed", char::from(*kind));
        assert_eq!(refused(&console, true, &message(*kind, body)).await, wanted, "{body:?}");
    }
    for kind in *b"pdcfFRZ\0\x16\xff" {
        let wanted = format!("FATAL 08P01 message {:?} is not expected here", char::from(kind));
        assert_eq!(refused(&console, true, &message(kind, b"")).await, wanted);
    }
    assert_eq!(witness.query("SHOW NODES", &[]).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_startup_is_refused() {
    let console = console(&[]).await;
    for (sent, wanted) in [
        (&b"\0\0\0\0"[..], "FATAL 08P01 a startup packet claims 0 bytes; 9 to 10000 are allowed"),
        (
            b"\x40\0\0\0\0\x03\0\0",
            "FATAL 08P01 a startup packet claims 1073741824 bytes; 9 to 10000 are allowed",
        ),
        (
            b"GET / HTTP/1.1\r\n",
            "FATAL 08P01 a startup packet claims 1195725856 bytes; 9 to 10000 are allowed",
        ),
        (
            b"\x16\x03\x01\x02\0\x01",
            "FATAL 08P01 TLS has to be asked for first on the console port",
        ),
        (b"\0\0\0\x09\0\x02\0\0\0", "FATAL 08P01 protocol 2.0 is not spoken here, only 3"),
        (
            b"\0\0\0\x0c\0\x03\0\0user",
            "FATAL 08P01 the startup packet is not a list of names and values",
        ),
        (b"\0\0\0\x09\0\x03\0\0\0", "FATAL 28000 no user name was given in the startup packet"),
    ] {
        assert_eq!(refused(&console, false, sent).await, wanted, "{sent:?}");
    }
}

/// Declined encryption, then these bytes: the only error.
async fn after_ssl_request(console: &Console, sent: &[u8]) -> Vec<String> {
    let mut raw = console.raw().await;
    raw.send(&SSL_REQUEST).await;
    raw.send(sent).await;
    let answers = raw.until_closed().await;
    assert_eq!(answers.first(), Some(&b'N'));
    errors(&answers[1..])
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_after_an_ssl_request_is_refused() {
    let console = console(&[]).await;
    let found = after_ssl_request(&console, b"\xde\xad\xbe\xef garbage").await;
    let wanted = "FATAL 08P01 a startup packet claims 3735928559 bytes; 9 to 10000 are allowed";
    assert_eq!(found, [wanted]);
    let found = after_ssl_request(&console, &SSL_REQUEST).await;
    assert_eq!(found, ["FATAL 08P01 encryption was asked for more than once"]);
    let found = after_ssl_request(&console, b"\x16\x03\x01\x02\0\x01").await;
    assert_eq!(found, ["FATAL 08P01 TLS has to be asked for first on the console port"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_message_cut_short_is_refused() {
    let console = console(&[("admin", "secret")]).await;
    for body in [&b""[..], b"SCRAM-SHA-256", b"SCRAM-SHA-256\0", b"SCRAM-SHA-256\0\0\0\0\x20n,,"] {
        let sent = [startup("admin"), message(b'p', body)].concat();
        let wanted = "FATAL 08P01 message 'p' is malformed";
        assert_eq!(refused(&console, false, &sent).await, wanted, "{body:?}");
    }
    for body in [&b"SCRAM-SHA-256\0\xff\xff\xff\xff"[..], b"PLAIN\0\0\0\0\x03n,,"] {
        let sent = [startup("admin"), message(b'p', body)].concat();
        let found = refused(&console, false, &sent).await;
        assert!(found.starts_with("FATAL 08P01"), "{found}");
    }
    assert!(console.client("admin", "secret").await.is_ok());
}

/// A logged-in client after these messages and Sync.
async fn synced(raw: &mut Raw, messages: &[Vec<u8>]) -> Vec<String> {
    raw.send(&[messages.concat(), message(b'S', b"")].concat()).await;
    errors(&raw.until_ready().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn well_formed_nonsense_is_an_error_and_the_connection_stays() {
    let console = console(&[]).await;
    let mut raw = console.raw().await;
    raw.login().await;
    let parse = message(b'P', b"\0SHOW NODES\0\0\0");
    let two_formats = message(b'B', b"\0\0\0\0\0\0\0\x02\0\x01\0\x01");
    let describe = message(b'D', b"P\0");
    let found = synced(&mut raw, &[parse.clone(), two_formats.clone(), describe]).await;
    assert_eq!(found, ["ERROR 08P01 2 result formats were given for 14 columns"]);
    let execute = message(b'E', b"\0\0\0\0\0");
    let found = synced(&mut raw, &[parse.clone(), two_formats, execute.clone()]).await;
    assert_eq!(found, ["ERROR 08P01 2 result formats were given for 14 columns"]);
    let found = synced(&mut raw, &[message(b'B', b"\0none\0\0\0\0\0\0\0")]).await;
    assert!(found[0].starts_with("ERROR 26000"), "{found:?}");
    let parameter = message(b'B', b"\0\0\0\0\0\x01\0\0\0\x01x\0\0");
    let found = synced(&mut raw, &[parse, parameter, execute]).await;
    assert_eq!(found, ["ERROR 08P01 1 parameters were given, none is needed"]);
    let found = synced(&mut raw, &[message(b'P', b"\0SHOW NODES; SHOW POOLS\0\0\0")]).await;
    assert_eq!(found, ["ERROR 0A000 a prepared statement can hold only one command"]);
    raw.send(&message(b'Q', b"SHOW NODES\0")).await;
    assert!(errors(&raw.until_ready().await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_conversation_may_arrive_byte_by_byte() {
    let console = console(&[]).await;
    let mut raw = console.raw().await;
    raw.0.set_nodelay(true).unwrap();
    for byte in [startup("admin"), message(b'Q', b"SHOW VERSION\0")].concat() {
        raw.send(&[byte]).await;
    }
    raw.until_ready().await;
    let answers = raw.until_ready().await;
    assert!(answers.windows(14).any(|bytes| bytes == b"Tidegate 0.1.0"));
}
