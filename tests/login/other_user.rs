//! `server_user` and `server_password`: who a client is to us, and who it is on the servers.

use crate::fixture::{Secrets, log_in, reload_with, servers, who};
use crate::support::proxy::{Running, proxy};

/// The users of the console's list of clients or servers, by their place in a row.
async fn users(running: &Running, list: &str) -> Vec<String> {
    let rows = running.admin(list).await;
    rows.into_iter().map(|mut row| row.swap_remove(2).unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_client_is_another_user_on_the_servers() {
    let servers = servers("scram").start().await.expect("a cluster");
    let secrets = Secrets::new();
    let auth = format!(
        "method = \"scram\"\n{}\nusers.front.server_user = \"app\"\n\
         users.front.server_password_file = {:?}",
        secrets.user("front", "door"),
        secrets.file("app-on-server", "pencil"),
    );
    let running = proxy(&servers).with("auth", &auth).start().await;
    let early = log_in(&running, "front", "door", "postgres").await.expect("a client");
    let name = "SELECT current_user::text";
    assert_eq!(early.query_one(name, &[]).await.expect("an answer").get::<_, &str>(0), "app");
    assert_eq!(users(&running, "SHOW CLIENTS").await, ["front"]);
    assert_eq!(users(&running, "SHOW SERVERS").await, ["app"]);
    // The password of one user opens nothing as another.
    assert_eq!(who(&running, "front", "pencil").await, crate::fixture::refused("front"));
    assert_eq!(who(&running, "app", "pencil").await, crate::fixture::refused("app"));

    secrets.file("app-on-server", "spider");
    reload_with(&running, |text| text.replace("\"app\"", "\"web\"")).await;
    assert_eq!(who(&running, "front", "door").await, Ok("web".into()));
    assert_eq!(early.query_one(name, &[]).await.expect("an answer").get::<_, &str>(0), "app");
}

#[tokio::test]
async fn without_its_password_another_user_opens_no_server() {
    let servers = servers("scram").start().await.expect("a cluster");
    let secrets = Secrets::new();
    let auth = format!(
        "method = \"scram\"\n{}\nusers.front.server_user = \"app\"",
        secrets.user("front", "pencil")
    );
    let running = proxy(&servers).with("auth", &auth).start().await;
    let said = who(&running, "front", "pencil").await.expect_err("nothing opens the server");
    assert_eq!(said.code, "08004");
    assert!(said.message.contains("no password of user \"app\" is known"), "{}", said.message);
}
