//! Every method of ours, in front of servers that want a proof themselves.

use crate::authority::Authority;
use crate::fixture::{Secrets, psql, refused, servers, stored, tls, who};
use crate::support::proxy::proxy;
use tidegate::pg::auth::scram::{DEFAULT_ITERATIONS, Verifier};

#[tokio::test]
async fn passwords_and_verifiers_open_a_server_that_wants_scram() {
    let servers = servers("scram").replicas(1).start().await.expect("a cluster");
    let verifier = stored(&servers, "app").await;
    for method in ["password", "scram"] {
        for listed in ["pencil", &verifier] {
            let secrets = Secrets::new();
            let auth = format!("method = {method:?}\n{}", secrets.user("app", listed));
            let running = proxy(&servers).with("auth", &auth).start().await;
            assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()), "{auth}");
            assert_eq!(who(&running, "app", "pen").await, refused("app"), "{auth}");
            assert_eq!(who(&running, "app", "").await, refused("app"), "{auth}");
            // Known to the servers, but not to us.
            assert_eq!(who(&running, "web", "spider").await, refused("web"), "{auth}");
        }
    }
}

#[tokio::test]
async fn a_server_that_asks_for_md5_needs_more_than_a_verifier() {
    let servers = servers("md5").start().await.expect("a cluster");
    let hash = stored(&servers, "app").await;
    assert!(hash.starts_with("md5"), "{hash}");
    let verifier = Verifier::from_password(b"pencil", DEFAULT_ITERATIONS, b"0123456789abcdef");
    let verifier = verifier.print().to_string();
    let secrets = Secrets::new();
    let start = async |method: &str, listed: &str| {
        let auth = format!("method = {method:?}\n{}", secrets.user("app", listed));
        proxy(&servers).with("auth", &auth).start().await
    };
    for (method, listed) in [("password", "pencil"), ("scram", "pencil"), ("password", &hash)] {
        let running = start(method, listed).await;
        assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()), "{method} {listed}");
    }
    let running = start("scram", &verifier).await;
    let said = who(&running, "app", "pencil").await.expect_err("no md5 from a verifier");
    assert_eq!(said.code, "08004");
    assert!(said.message.contains("asks for md5"), "{}", said.message);
    // An md5 hash cannot check a SCRAM proof; that is for our log, not for the client.
    assert_eq!(who(&start("scram", &hash).await, "app", "pencil").await, refused("app"));
}

#[tokio::test]
async fn trust_asks_for_nothing_and_opens_servers_by_server_password() {
    let servers = servers("scram").start().await.expect("a cluster");
    let secrets = Secrets::new();
    let password = secrets.file("app-on-server", "pencil");
    let auth = format!("method = \"trust\"\nusers.app.server_password_file = {password:?}");
    let running = proxy(&servers).with("auth", &auth).start().await;
    assert_eq!(who(&running, "app", "whatever").await, Ok("app".into()));
    // Whom the server itself trusts needs no password from us.
    assert_eq!(who(&running, "postgres", "").await, Ok("postgres".into()));
    let said = who(&running, "web", "spider").await.expect_err("nothing opens the server");
    assert_eq!(said.code, "08004");
    assert!(said.message.contains("no password of user \"web\" is known"), "{}", said.message);
}

#[tokio::test]
async fn a_certificate_names_the_user() {
    let servers = servers("scram").start().await.expect("a cluster");
    let (authority, stranger, secrets) = (Authority::new(), Authority::new(), Secrets::new());
    let pair = authority.issue(&["localhost"]);
    let password = secrets.file("app-on-server", "pencil");
    let auth = format!("method = \"cert\"\nusers.app.server_password_file = {password:?}");
    let top = tls("verify", &pair, Some(&authority.ca()));
    let running = proxy(&servers).top(&top).with("auth", &auth).start().await;
    let ca = authority.ca();
    let port = running.postgres.port();
    let as_user = async |user: &str, shown: Option<&crate::authority::Pair>| {
        let mut options = format!("user={user} sslmode=verify-full sslrootcert={}", ca.display());
        if let Some(pair) = shown {
            options += &format!(" sslcert={} sslkey={}", pair.cert.display(), pair.key.display());
        }
        psql(port, &options, "").await
    };
    let app = authority.user("app");
    assert_eq!(as_user("app", Some(&app)).await, Ok("app".into()));
    let refused = as_user("web", Some(&app)).await.expect_err("another name");
    assert!(refused.contains("certificate authentication failed for user \"web\""), "{refused}");
    let refused = as_user("app", Some(&stranger.user("app"))).await.expect_err("a stranger");
    assert!(refused.contains("unknown ca"), "{refused}");
    let refused = as_user("app", None).await.expect_err("no certificate");
    assert!(refused.contains("certificate required"), "{refused}");
    assert_eq!(as_user("app", Some(&app)).await, Ok("app".into()));
}
