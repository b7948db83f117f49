//! Users from a file in the form of PgBouncer's userlist.txt.

use crate::fixture::{Secrets, log_in, refused, reload_with, servers, stored, who};
use crate::support::proxy::proxy;

#[tokio::test]
async fn a_changed_users_file_counts_after_a_reload_and_disturbs_nobody() {
    let servers = servers("scram").start().await.expect("a cluster");
    let secrets = Secrets::new();
    let verifier = stored(&servers, "web").await;
    let list = format!("; ours\n\"app\" \"pencil\"\n\"web\" \"{verifier}\"\n");
    let file = secrets.file("users", &list);
    let auth = format!("method = \"scram\"\nusers_file = {file:?}");
    let running = proxy(&servers).with("auth", &auth).start().await;
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
    assert_eq!(who(&running, "web", "spider").await, Ok("web".into()));
    let early = log_in(&running, "web", "spider", "postgres").await.expect("a client");

    servers.primary().sql("ALTER ROLE app PASSWORD 'brush'").await.expect("a new password");
    secrets.file("users", "\"app\" \"brush\"\n");
    reload_with(&running, |text| text).await;
    assert_eq!(who(&running, "app", "pencil").await, refused("app"));
    assert_eq!(who(&running, "app", "brush").await, Ok("app".into()));
    assert_eq!(who(&running, "web", "spider").await, refused("web"));
    let row = early.query_one("SELECT current_user::text", &[]).await.expect("an answer");
    assert_eq!(row.get::<_, &str>(0), "web");
}

#[tokio::test]
async fn a_broken_users_file_changes_nothing_and_is_named() {
    let servers = servers("scram").start().await.expect("a cluster");
    let secrets = Secrets::new();
    let file = secrets.file("users", "\"app\" \"pencil\"\n");
    let auth = format!("method = \"scram\"\nusers_file = {file:?}");
    let running = proxy(&servers).with("auth", &auth).start().await;
    secrets.file("users", "\"app\" hushhush\n");
    let url = format!("host=127.0.0.1 port={} user=x dbname=tidegate", running.console.port());
    let console = running.connect_with(&url).await.expect("the console");
    let error = console.simple_query("RELOAD").await.expect_err("a broken file");
    let said = format!("{:?}", error.as_db_error().expect("an answer"));
    assert!(said.contains("line 1 of") && said.contains("users_file"), "{said}");
    assert!(!said.contains("hushhush"), "{said}");
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
}
