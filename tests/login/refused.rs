//! What a client is told that may not come in.

use crate::fixture::{PATIENCE, Said, Secrets, log_in, refused, servers, stored, who, who_in};
use crate::support::proxy::{Running, proxy};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn start(servers: &crate::support::Cluster, secrets: &Secrets, top: &str) -> Running {
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    proxy(servers).top(top).with("auth", &auth).start().await
}

#[tokio::test]
async fn an_unknown_database_is_named_by_us_or_by_the_server() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let any = start(&servers, &secrets, "").await;
    let said = who_in(&any, "app", "pencil", "atlantis").await;
    let message = "database \"atlantis\" does not exist".to_owned();
    assert_eq!(said, Err(Said { code: "3D000".into(), message, hint: String::new() }));

    let auth = format!("method = \"scram\"\n{}", secrets.user("app", "pencil"));
    let text = proxy(&servers).with("auth", &auth).with_cluster("databases = [\"postgres\"]");
    let listed = text.start().await;
    assert_eq!(who(&listed, "app", "pencil").await, Ok("app".into()));
    let said = who_in(&listed, "app", "pencil", "atlantis").await.expect_err("not served");
    assert_eq!(said.code, "3D000");
    assert_eq!(said.message, "database \"atlantis\" is not served here");
    assert!(said.hint.contains("databases"), "{}", said.hint);
}

/// Tag, type of authentication and length of what answers a startup packet, then the first
/// message of SCRAM with its nonce and the server's part of the other's taken out.
async fn scram_appearance(address: SocketAddr, user: &str) -> (Vec<u8>, String) {
    let mut tcp = TcpStream::connect(address).await.expect("TCP");
    let body = format!("\0\x03\0\0user\0{user}\0database\0postgres\0\0");
    let length = u32::try_from(body.len() + 4).expect("short");
    tcp.write_all(&[&length.to_be_bytes()[..], body.as_bytes()].concat()).await.expect("written");
    let offer = message(&mut tcp).await;
    let first = "n,,n=,r=abcdefgh";
    let mut initial = b"SCRAM-SHA-256\0".to_vec();
    initial.extend(u32::try_from(first.len()).expect("short").to_be_bytes());
    initial.extend(first.as_bytes());
    let length = u32::try_from(initial.len() + 4).expect("short");
    tcp.write_all(&[b"p", &length.to_be_bytes()[..], &initial].concat()).await.expect("written");
    let challenge = message(&mut tcp).await;
    let text = String::from_utf8_lossy(&challenge[9..]).into_owned();
    let (nonce, rest) = text.split_once(',').expect("a nonce and more");
    assert!(nonce.starts_with("r=abcdefgh"), "{nonce}");
    (offer, format!("{} {rest}", nonce.len()))
}

async fn message(tcp: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 5];
    tcp.read_exact(&mut head).await.expect("a message");
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut body = vec![0; length - 4];
    tcp.read_exact(&mut body).await.expect("its body");
    [&head[..], &body].concat()
}

#[tokio::test]
async fn a_user_that_does_not_exist_looks_like_one_that_does() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let verifier = stored(&servers, "app").await;
    let auth = format!("method = \"scram\"\n{}", secrets.user("app", &verifier));
    let running = proxy(&servers).with("auth", &auth).start().await;
    assert_eq!(who(&running, "app", "pen").await, refused("app"));
    assert_eq!(who(&running, "nobody", "pen").await, refused("nobody"));
    let (offer, challenge) = scram_appearance(running.postgres, "app").await;
    let (mock_offer, mock_challenge) = scram_appearance(running.postgres, "nobody").await;
    assert_eq!(offer, mock_offer);
    assert_eq!(challenge.len(), mock_challenge.len());
    // The salt of a real user does not change from one login to the next.
    let again = scram_appearance(running.postgres, "nobody").await;
    assert_eq!(again.1, mock_challenge);
    assert_ne!(scram_appearance(running.postgres, "noone").await.1, mock_challenge);
}

/// Says this and no more; all that comes until the other side hangs up.
async fn until_the_end(address: SocketAddr, says: &[u8]) -> String {
    let mut tcp = TcpStream::connect(address).await.expect("TCP");
    tcp.write_all(says).await.expect("written");
    let mut answer = Vec::new();
    let end = tcp.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, end).await.expect("the end").expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_login_that_takes_too_long_is_ended_and_told_so() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let running = start(&servers, &secrets, "login_timeout = \"1s\"").await;
    let patient = log_in(&running, "app", "pencil", "postgres").await.expect("a client");
    // Who said nothing at all is told nothing.
    assert_eq!(until_the_end(running.postgres, b"").await, "");
    let startup = b"\0\0\0\x24\0\x03\0\0user\0app\0database\0postgres\0\0";
    let said = until_the_end(running.postgres, startup).await;
    assert!(said.contains("C57014") && said.contains("login took longer"), "{said}");
    // A client that is in may be silent.
    patient.simple_query("SELECT 1").await.expect("an answer");
}

#[tokio::test]
async fn failed_logins_disturb_nobody() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let running = start(&servers, &secrets, "").await;
    let mut early = log_in(&running, "app", "pencil", "postgres").await.expect("a client");
    let work = early.transaction().await.expect("a transaction");
    let pid = "SELECT pg_backend_pid()";
    let before: i32 = work.query_one(pid, &[]).await.expect("an answer").get(0);
    let attempts = (0..30).map(|n| {
        let user = if n % 2 == 0 { "app" } else { "nobody" };
        who(&running, user, "wrong")
    });
    let answers = futures_util::future::join_all(attempts).await;
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    let after: i32 = work.query_one(pid, &[]).await.expect("an answer").get(0);
    assert_eq!(before, after);
    work.commit().await.expect("committed");
    assert_eq!(running.admin("SHOW CLIENTS").await.len(), 1);
    assert_eq!(running.admin("SHOW SERVERS").await.len(), 1);
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
}
