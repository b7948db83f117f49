//! Logins of clients: by each method, and turned away with the servers' own words.

use super::fixture::{APP, PASSWORD, one_server, proxy, until, value};
use super::raw::Raw;
use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, Error, Opts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn words(error: Error) -> String {
    match error {
        Error::Server(error) => format!("{} {} {}", error.code, error.state, error.message),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn who_knows_the_password_comes_in_and_nobody_else() {
    let server = one_server().await;
    // A stored hash is enough, for us as for the server.
    server.sql("CREATE USER stored@'%' IDENTIFIED BY 'test'").await.unwrap();
    server.sql("GRANT SELECT ON test.* TO stored@'%'").await.unwrap();
    let proxy = proxy(&server, "", "").await;
    let mut conn = proxy.connect().await;
    assert_eq!(value(&mut conn, "SELECT current_user()").await, "app@%");
    let mut conn = Conn::new(Opts::from(proxy.opts("stored", "test"))).await.unwrap();
    assert_eq!(value(&mut conn, "SELECT current_user()").await, "stored@%");
    for (user, password) in [(APP, "wrong"), ("nobody", PASSWORD), ("stored", PASSWORD)] {
        let told = words(Conn::new(Opts::from(proxy.opts(user, password))).await.unwrap_err());
        let expected =
            format!("1045 28000 Access denied for user '{user}'@'127.0.0.1' (using password: YES)");
        assert_eq!(told, expected + " (TG0102)");
    }
}

#[tokio::test]
async fn a_login_needs_no_server_but_a_statement_does() {
    let server = one_server().await;
    let proxy = proxy(&server, "", "[clusters.test.failover]\nhold = \"50ms\"").await;
    proxy.connect().await.disconnect().await.unwrap();
    assert_eq!(proxy.servers(), (0, 0));
    server.primary().stop(tidegate::lab::mariadb::How::Fast).await;
    let mut conn = proxy.connect().await;
    conn.ping().await.unwrap();
    let told = words(conn.query_drop("DO 1").await.unwrap_err());
    assert!(told.starts_with("2003 HY000"), "{told}");
    assert!(told.contains("(hint: "), "{told}");
}

#[tokio::test]
async fn limits_are_told_with_the_servers_numbers() {
    let server = one_server().await;
    let proxy = proxy(&server, "max_clients = 2\nmax_clients_per_user = 1", "").await;
    let _first = proxy.connect().await;
    let told = words(Conn::new(Opts::from(proxy.opts(APP, PASSWORD))).await.unwrap_err());
    assert!(told.starts_with("1226 42000"), "{told}");
}

#[tokio::test]
async fn another_user_may_take_over_a_connection() {
    let server = one_server().await;
    server.sql("CREATE USER stored@'%' IDENTIFIED BY 'test'").await.unwrap();
    let proxy = proxy(&server, "", "").await;
    let mut conn = proxy.connect().await;
    conn.query_drop("SET @mine := 1").await.unwrap();
    let other = ChangeUserOpts::default()
        .with_user(Some("stored".into()))
        .with_pass(Some("test".into()))
        .with_db_name(None);
    conn.change_user(other).await.unwrap();
    let who = value(&mut conn, "SELECT concat(current_user(), ifnull(@mine, ' none'))").await;
    assert_eq!(who, "stored@% none");
    let wrong = ChangeUserOpts::default().with_pass(Some("wrong".into()));
    assert!(words(conn.change_user(wrong).await.unwrap_err()).starts_with("1045"));
}

#[tokio::test]
async fn a_client_is_known_by_the_address_that_a_balancer_tells() {
    let server = one_server().await;
    let speakers = "proxy_protocol = [\"127.0.0.0/8\"]";
    let proxy = super::fixture::proxy_that(&server, speakers, "", "").await;
    let mut tcp = TcpStream::connect(proxy.mysql).await.unwrap();
    tcp.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 6033\r\n").await.unwrap();
    let _raw = Raw::over(tcp, 0).await;
    until("the client's entry", async || {
        let clients = proxy.proxy.console.mysql.clients.all();
        clients.iter().map(|c| c.address.to_string()).eq(["192.0.2.7:40000"])
    })
    .await;
    let mut tcp = TcpStream::connect(proxy.mysql).await.unwrap();
    tcp.write_all(b"not a header").await.unwrap();
    let mut told = Vec::new();
    tcp.read_to_end(&mut told).await.unwrap();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("does not begin with a header"), "{told}");
}
