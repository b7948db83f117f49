//! Who may log in to what, from where and how.

use crate::authority::Authority;
use crate::fixture::{Said, Secrets, psql, refused, reload_with, servers, tls, who, who_in};
use crate::support::proxy::proxy;

const RULES: &str = r#"
[[clusters.test.auth.rules]]
users = ["eve"]
method = "reject"
[[clusters.test.auth.rules]]
users = ["app", "eve", "nobody"]
databases = ["postgres"]
from = ["127.0.0.0/8"]
method = "scram"
[[clusters.test.auth.rules]]
users = ["postgres"]
from = ["127.0.0.1/32", "::1/128"]
method = "trust"
"#;

fn said(message: &str) -> Result<String, Said> {
    let hint = "The rules are tried in their order, and the first that matches decides.";
    Err(Said { code: "28000".into(), message: message.into(), hint: hint.into() })
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_and_a_reload_changes_them_all_at_once() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let users =
        format!("{}\n{}\n{RULES}", secrets.user("app", "pencil"), secrets.user("web", "spider"));
    let running = proxy(&servers).with("auth", &users).start().await;
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
    assert_eq!(who(&running, "app", "pen").await, refused("app"));
    assert_eq!(who(&running, "nobody", "pen").await, refused("nobody"));
    assert_eq!(who(&running, "postgres", "").await, Ok("postgres".into()));
    let elsewhere = who_in(&running, "app", "pencil", "template1").await;
    let caller = "host \"127.0.0.1\", user \"app\", database \"template1\", no encryption";
    assert_eq!(elsewhere, said(&format!("no rule of clusters.test.auth.rules matches {caller}")));
    let caller = "host \"127.0.0.1\", user \"eve\", database \"postgres\", no encryption";
    let rejected = said(&format!("clusters.test.auth.rules[0] rejects {caller}"));
    assert_eq!(who(&running, "eve", "x").await, rejected);
    assert!(who(&running, "web", "spider").await.is_err());

    let next = |text: String| {
        text.replace("users = [\"eve\"]", "users = [\"app\"]")
            .replace("users = [\"app\", \"eve\", \"nobody\"]", "users = [\"web\"]")
    };
    reload_with(&running, next).await;
    assert_eq!(who(&running, "web", "spider").await, Ok("web".into()));
    assert_eq!(who(&running, "app", "pencil").await.expect_err("rejected").code, "28000");

    // A mistake in one rule leaves all as they are.
    let text = std::fs::read_to_string(&running.file).expect("the configuration");
    let broken = text.replace("127.0.0.0/8", "127.0.0.0/33").replace("[\"web\"]", "[\"app\"]");
    std::fs::write(&running.file, broken).expect("written");
    let url = format!("host=127.0.0.1 port={} user=x dbname=tidegate", running.console.port());
    let console = running.connect_with(&url).await.expect("the console");
    let error = console.batch_execute("RELOAD").await.expect_err("not reloaded");
    let told = error.as_db_error().expect("an answer").message().to_owned();
    assert!(told.contains("rules[1].from") && told.contains("127.0.0.0/33"), "{told}");
    assert_eq!(who(&running, "web", "spider").await, Ok("web".into()));
}

#[tokio::test]
async fn rules_tell_tls_from_the_rest_and_ask_for_certificates_where_they_say_so() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let authority = Authority::new();
    let pair = authority.issue(&["localhost"]);
    let rules = r#"
[[clusters.test.auth.rules]]
users = ["app"]
tls = "required"
method = "scram"
[[clusters.test.auth.rules]]
users = ["web"]
tls = "required"
method = "cert"
[[clusters.test.auth.rules]]
users = ["web"]
tls = "refused"
method = "scram"
"#;
    let auth = format!(
        "{}\n{}\nusers.web.server_password_file = {:?}\n{rules}",
        secrets.user("app", "pencil"),
        secrets.user("web", "spider"),
        secrets.file("server", "spider")
    );
    let top = tls("allow", &pair, Some(&authority.ca()));
    let running = proxy(&servers).top(&top).with("auth", &auth).start().await;
    let port = running.postgres.port();
    let login = async |options: &str, password: &str| psql(port, options, password).await;
    assert_eq!(login("user=app sslmode=require", "pencil").await, Ok("app".into()));
    let clear = login("user=app sslmode=disable", "pencil").await.expect_err("needs TLS");
    assert!(clear.contains("matches host \"127.0.0.1\", user \"app\""), "{clear}");
    assert!(clear.contains("no encryption"), "{clear}");
    assert_eq!(login("user=web sslmode=disable", "spider").await, Ok("web".into()));
    let bare = login("user=web sslmode=require", "spider").await.expect_err("no certificate");
    assert!(bare.contains("certificate authentication failed for user \"web\""), "{bare}");
    let mine = authority.user("web");
    let shown = format!(
        "user=web sslmode=require sslcert={} sslkey={}",
        mine.cert.display(),
        mine.key.display()
    );
    assert_eq!(login(&shown, "").await, Ok("web".into()));
}
