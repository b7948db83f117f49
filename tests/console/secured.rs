//! TLS on the console's port, and users who may only look.

use crate::authority::Authority;
use crate::fixture::{console_with, credentials, psql_with};
use std::sync::Arc;
use tidegate::admin::Settings;
use tidegate::net::tls::{Acceptor, Authorities, ClientMode, ClientSide};

fn acceptor(authority: &Authority, mode: ClientMode) -> Option<Arc<Acceptor>> {
    let pair = authority.issue(&["localhost"]);
    let side = ClientSide {
        mode,
        cert_file: Some(pair.cert.clone()),
        key_file: Some(pair.key.clone()),
        ..ClientSide::default()
    };
    Some(Arc::new(Acceptor::new(side, &mut Authorities::default()).expect("a certificate")))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_speaks_tls_where_it_may_and_insists_where_it_must() {
    let authority = Authority::new();
    let verified = format!("sslmode=verify-ca sslrootcert={}", authority.ca().display());
    for (mode, takes) in [
        (ClientMode::Off, [true, false]),
        (ClientMode::Allow, [true, true]),
        (ClientMode::Require, [false, true]),
    ] {
        let tls = acceptor(&authority, mode);
        let users = credentials(&[("admin", "secret")]);
        let console = console_with(Settings { users, tls, ..Settings::default() }).await;
        for (options, taken) in ["sslmode=disable", &verified].into_iter().zip(takes) {
            let out = psql_with(&console, ("admin", options), "SHOW VERSION").await;
            assert_eq!(out.ok, taken, "{mode:?} {options}: {}", out.errors);
            if !taken && mode == ClientMode::Require {
                assert!(out.errors.contains("the console needs TLS"), "{}", out.errors);
                assert!(out.errors.contains("(TG0912)"), "{}", out.errors);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_changes_nothing() {
    let mut users = credentials(&[("admin", "secret"), ("looker", "secret")]);
    users.restrict("looker");
    let console = console_with(Settings { users, ..Settings::default() }).await;
    for looks in ["SHOW NODES", "BEGIN; SHOW POOLS; COMMIT", "SET application_name = 'x'", "HELP"] {
        let out = psql_with(&console, ("looker", ""), looks).await;
        assert!(out.ok, "{looks}: {}", out.errors);
    }
    for changes in
        ["RELOAD", "PAUSE", "KILL 7", "SHUTDOWN", "SET log.level = debug", "FENCE orders.b"]
    {
        let out = psql_with(&console, ("looker", ""), changes).await;
        assert!(!out.ok && out.errors.contains("42501"), "{changes}: {}", out.errors);
        assert!(out.errors.contains("HINT:  SHOW works"), "{}", out.errors);
    }
    assert!(console.done().is_empty(), "{:?}", console.done());
    assert_eq!(console.audit().first().map(String::as_str), Some("RELOAD: the user may only look"));
    assert!(psql_with(&console, ("admin", ""), "RELOAD").await.ok);
    assert_eq!(console.done(), ["reload"]);
}
