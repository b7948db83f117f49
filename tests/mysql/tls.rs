//! TLS and the other methods of login, by the client that the monitor uses.

use super::fixture::{APP, PASSWORD, one_server, proxy};
use std::sync::Arc;
use tidegate::mysql::auth::ServerSecret;
use tidegate::mysql::connect::{ConnectError, Login, Node};
use tidegate::net::tls::{Authorities, Connector, ServerMode, ServerSide};
use tidegate::secret::Secret;

fn node(address: &str, mode: ServerMode) -> Node {
    let side = ServerSide { mode, ..ServerSide::default() };
    let tls = Connector::new(&side, &mut Authorities::default()).unwrap();
    Node::new(("c", "n", address), Some(tls), Arc::default())
}

fn login(user: &str, password: &str) -> Login {
    Login::plain(user, ServerSecret::password(Secret::new(password)))
}

#[tokio::test]
async fn a_client_may_have_to_use_tls() {
    let server = one_server().await;
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("crt"), folder.path().join("key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.display(), key.display());
    let tls = format!("[tls]\nmode = \"require\"\ncert = \"{cert}\"\nkey = \"{key}\"");
    let proxy = proxy(&server, "", &tls).await;
    let address = proxy.mysql.to_string();
    let plain = login(APP, PASSWORD).connect(&node(&address, ServerMode::Disable)).await;
    match plain.err() {
        Some(ConnectError::Refused { code, .. }) => assert_eq!(code, 3159),
        other => panic!("{other:?}"),
    }
    let mut link =
        login(APP, PASSWORD).connect(&node(&address, ServerMode::Require)).await.unwrap();
    assert!(link.stream.is_tls());
    let rows = link.query("SELECT 1, NULL").await.unwrap();
    assert_eq!(rows, [[Some(b"1".to_vec()), None]]);
}

#[tokio::test]
async fn servers_that_ask_for_ed25519_get_it() {
    let builder = tidegate::lab::mariadb::cluster().conf("plugin-load-add", "auth_ed25519");
    let made = "CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret')";
    let server = builder.sql(made).start().await.unwrap();
    let address = server.primary().address();
    let node = node(&address, ServerMode::Disable);
    let mut link = login("ed", "secret").connect(&node).await.unwrap();
    let who = link.query("SELECT current_user()").await.unwrap();
    assert_eq!(who, [[Some(b"ed@%".to_vec())]]);
    assert!(login("ed", "wrong").connect(&node).await.is_err());
}
