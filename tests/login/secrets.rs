//! No secret is in a log, in an answer of the console, in a metric or in an error.

use crate::authority::{Authority, Pair};
use crate::binary::Program;
use crate::fixture::{Secrets, servers, stored, tls};
use crate::support::Cluster;
use crate::support::proxy::proxy;
use std::fmt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::SimpleQueryMessage;

/// Every secret of the configuration that follows, and what clients try.
const SECRETS: [&str; 9] = [
    "pencil",
    "spider",
    "door-key",
    "asks-for",
    "watchman",
    "console-key",
    "http-key",
    "guessed",
    "md5-of",
];

fn config(servers: &Cluster, secrets: &Secrets, verifier: &str, pair: &Pair) -> String {
    let auth = format!(
        "method = \"password\"\n{}\n{}\nusers.front.server_user = \"web\"\n\
         users.front.server_password_file = {:?}\nusers_file = {:?}\n\
         auth_query = {{ user = \"asker\", password_file = {:?} }}",
        secrets.user("app", "pencil"),
        secrets.user("front", "door-key"),
        secrets.file("web", "spider"),
        secrets.file("list", &format!("\"web\" \"{verifier}\"\n")),
        secrets.file("asker", "asks-for"),
    );
    let top = format!(
        "{}[log]\nlevel = \"trace\"\n[console.users.admin]\npassword_file = {:?}\n\
         [http]\ntoken_file = {:?}",
        tls("allow", pair, None),
        secrets.file("admin", "console-key"),
        secrets.file("token", "http-key"),
    );
    proxy(servers).top(&top).with("auth", &auth).text().replace(
        "monitor = { user = \"postgres\" }",
        &format!(
            "monitor = {{ user = \"watch\", password_file = {:?} }}",
            secrets.file("monitor", "watchman")
        ),
    )
}

/// All that a login and a query say, good or bad.
async fn all_of(program: &Program, user: &str, password: &str, sql: &str) -> String {
    let port = program.address("postgres").port();
    talk(
        &format!("host=127.0.0.1 port={port} user={user} password={password} dbname=postgres"),
        sql,
    )
    .await
}

async fn talk(url: &str, sql: &str) -> String {
    let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, connection) = match connected {
        Ok(connected) => connected,
        Err(error) => return format!("{error:?}"),
    };
    tokio::spawn(connection);
    let mut text = String::new();
    match client.simple_query(sql).await {
        Err(error) => writeln!(text, "{error:?}").expect("a String"),
        Ok(messages) => {
            for message in &messages {
                if let SimpleQueryMessage::Row(row) = message {
                    let fields = (0..row.len()).map(|i| row.get(i).unwrap_or_default());
                    let fields: Vec<&str> = fields.collect();
                    writeln!(text, "{}", fields.join("|")).expect("a String");
                }
            }
        }
    }
    text
}

async fn metrics(program: &Program) -> String {
    let mut tcp = tokio::net::TcpStream::connect(program.address("http")).await.expect("TCP");
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   Authorization: Bearer http-key\r\n\r\n";
    tcp.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

#[tokio::test]
async fn nothing_that_the_program_says_holds_a_secret() {
    let servers = servers("scram")
        .user("asker", "asks-for")
        .user("watch", "watchman")
        .user("known", "md5-of")
        .sql("GRANT pg_monitor TO watch; GRANT SELECT ON pg_shadow TO asker")
        .start()
        .await
        .expect("a cluster");
    let verifier = stored(&servers, "web").await;
    let secrets = Secrets::new();
    let authority = Authority::new();
    let pair = authority.issue(&["localhost"]);
    let program = Program::start(&config(&servers, &secrets, &verifier, &pair)).await;
    let mut said = String::new();
    for (user, password, works) in [
        ("app", "pencil", true),
        ("web", "spider", true),
        ("front", "door-key", true),
        ("known", "md5-of", true),
        ("app", "guessed", false),
        ("web", "guessed", false),
        ("known", "guessed", false),
        ("nobody", "guessed", false),
    ] {
        let answer = all_of(&program, user, password, "SELECT 'it works'").await;
        assert_eq!(answer.contains("it works"), works, "{user}: {answer}\n{}", program.said());
        said += &answer;
    }
    // What opens the server is wrong now.
    secrets.file("web", "guessed");
    let port = program.address("console").port();
    let console =
        format!("host=127.0.0.1 port={port} user=admin password=console-key dbname=tidegate");
    for command in
        ["RELOAD", "SHOW CONFIG", "SHOW CLIENTS", "SHOW SERVERS", "SHOW POOLS", "SHOW NODES"]
    {
        said += &talk(&console, command).await;
    }
    assert!(said.contains("clusters.test.auth.users.app.password"), "{said}");
    said += &talk(&console.replace("console-key", "guessed"), "SHOW CONFIG").await;
    servers.primary().sql("ALTER ROLE app PASSWORD 'changed'").await.expect("another password");
    servers
        .primary()
        .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
        .await
        .expect("gone");
    said += &all_of(&program, "app", "pencil", "SELECT 1").await;
    // A configuration that is wrong.
    let text = std::fs::read_to_string(&program.config).expect("the configuration");
    std::fs::write(&program.config, text + "\n[clusters.test.pool]\nsize = -1\n").expect("written");
    secrets.file("list", "\"web\" guessed\n");
    said += &talk(&console, "RELOAD").await;
    said += &metrics(&program).await;
    said += &program.said();
    assert!(said.contains("DEBUG") && said.contains("a login failed"), "{said}");
    for secret in SECRETS.iter().copied().chain([&verifier[20..]]) {
        let found = said.lines().find(|line| line.contains(secret));
        assert_eq!(found, None, "{secret} was told");
    }
}
