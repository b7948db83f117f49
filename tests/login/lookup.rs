//! Users that the database is asked for.

use crate::fixture::{Said, Secrets, log_in, refused, servers, who};
use crate::support::Cluster;
use crate::support::proxy::{Running, proxy};

/// A lookup of its own, which counts how often it is asked, in a database of its own.
const LOOKUP: &str = "CREATE FUNCTION lookup(name text, OUT usename name, OUT passwd text) \
     LANGUAGE sql SECURITY DEFINER AS \
     'SELECT nextval(''public.asked''); \
      SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = name'";

async fn asked_servers() -> Cluster {
    let servers = servers("scram")
        .user("asker", "who goes")
        .sql("CREATE DATABASE lookup")
        .start()
        .await
        .expect("a cluster");
    let url = servers.primary().config("postgres", "lookup");
    let (client, connection) = url.connect(tokio_postgres::NoTls).await.expect("the database");
    tokio::spawn(connection);
    client.batch_execute("CREATE SEQUENCE asked").await.expect("a sequence");
    client.batch_execute(LOOKUP).await.expect("a function");
    servers
}

async fn times_asked(servers: &Cluster) -> i64 {
    let url = servers.primary().config("postgres", "lookup");
    let (client, connection) = url.connect(tokio_postgres::NoTls).await.expect("the database");
    tokio::spawn(connection);
    let query = "SELECT last_value FROM asked WHERE is_called UNION ALL SELECT 0 LIMIT 1";
    client.query_one(query, &[]).await.expect("a number").get(0)
}

async fn start(servers: &Cluster, secrets: &Secrets, database: &str) -> Running {
    let query = "SELECT usename, passwd FROM public.lookup($1)";
    let password = secrets.file("asker", "who goes");
    let auth = format!(
        "method = \"scram\"\nauth_query = {{ user = \"asker\", password_file = {password:?}, \
         database = {database:?}, query = {query:?} }}"
    );
    proxy(servers).with("auth", &auth).start().await
}

#[tokio::test]
async fn the_database_is_asked_once_and_again_after_a_failure_or_a_reload() {
    let (servers, secrets) = (asked_servers().await, Secrets::new());
    let running = start(&servers, &secrets, "lookup").await;
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
    assert_eq!(times_asked(&servers).await, 1);
    running.admin("RELOAD").await;
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
    assert_eq!(times_asked(&servers).await, 2);
    assert_eq!(who(&running, "app", "pen").await, refused("app"));
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
    assert!(times_asked(&servers).await > 2);
}

#[tokio::test]
async fn a_changed_password_works_after_one_failure_and_a_removed_user_does_not() {
    let (servers, secrets) = (asked_servers().await, Secrets::new());
    let running = start(&servers, &secrets, "lookup").await;
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
    servers.primary().sql("ALTER ROLE app PASSWORD 'brush'").await.expect("a new password");
    let first = who(&running, "app", "brush").await;
    assert!(first == refused("app") || first == Ok("app".into()), "{first:?}");
    assert_eq!(who(&running, "app", "brush").await, Ok("app".into()));
    assert_eq!(who(&running, "app", "pencil").await, refused("app"));

    servers.primary().sql("DROP ROLE app").await.expect("one user less");
    // The old answer may be believed for a while; a reload asks anew.
    running.admin("RELOAD").await;
    assert_eq!(who(&running, "app", "brush").await, refused("app"));
    servers.primary().sql("CREATE ROLE app LOGIN").await.expect("a user without a password");
    assert_eq!(who(&running, "app", "brush").await, refused("app"));
    servers.primary().sql("ALTER ROLE app PASSWORD 'brush'").await.expect("a new password");
    // Pooled connections are still those of the user that was dropped, so nothing is asked.
    assert!(log_in(&running, "app", "brush", "postgres").await.is_ok());
}

#[tokio::test]
async fn a_storm_of_logins_is_not_one_of_questions() {
    let (servers, secrets) = (asked_servers().await, Secrets::new());
    let running = start(&servers, &secrets, "lookup").await;
    let logins = (0..40).map(|_| who(&running, "app", "pencil"));
    let answers = futures_util::future::join_all(logins).await;
    assert!(answers.iter().all(|a| *a == Ok("app".into())), "{answers:?}");
    assert!(times_asked(&servers).await <= 4);
}

#[tokio::test]
async fn a_question_that_fails_is_told_without_its_reasons() {
    let (servers, secrets) = (asked_servers().await, Secrets::new());
    // There is no such function in this database.
    let running = start(&servers, &secrets, "postgres").await;
    let said = who(&running, "app", "pencil").await;
    let expected = Said {
        code: "08004".into(),
        message: "user \"app\" could not be looked up".into(),
        hint: "auth_query failed: see the proxy's log.".into(),
    };
    assert_eq!(said, Err(expected));
}
