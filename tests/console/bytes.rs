//! A client that sends whatever bytes it likes.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Raw(pub(crate) TcpStream);

pub(crate) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A message with its right length.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    claiming(kind, body.len() as u32 + 4, body)
}

/// A message that claims this length.
pub(crate) fn claiming(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// A startup packet for this user.
pub(crate) fn startup(user: &str) -> Vec<u8> {
    let body = format!("user\0{user}\0database\0tidegate\0\0");
    let length = body.len() as u32 + 8;
    [&length.to_be_bytes()[..], &[0, 3, 0, 0], body.as_bytes()].concat()
}

/// Every error in a stream of answers: severity, SQLSTATE and message.
pub(crate) fn errors(answers: &[u8]) -> Vec<String> {
    let mut rest = answers;
    let mut found = Vec::new();
    while let [kind, a, b, c, d, ..] = *rest {
        let end = 1 + u32::from_be_bytes([a, b, c, d]) as usize;
        let body = rest.get(5..end).expect("whole answers");
        if kind == b'E' {
            let fields = String::from_utf8_lossy(body);
            let field = |key| {
                let found = fields.split('\0').find_map(|f| f.strip_prefix(key));
                found.expect("every error has it")
            };
            found.push(format!("{} {} {}", field('V'), field('C'), field('M')));
        }
        rest = &rest[end..];
    }
    found
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Raw {
        Raw(TcpStream::connect(address).await.expect("a connection"))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sent");
    }

    /// Logs in where everyone is trusted, up to ReadyForQuery.
    pub(crate) async fn login(&mut self) {
        self.send(&startup("admin")).await;
        self.until_ready().await;
    }

    /// Everything up to and with the next ReadyForQuery.
    pub(crate) async fn until_ready(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).await.expect("an answer");
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut body = vec![0; length as usize - 4];
            self.0.read_exact(&mut body).await.expect("a whole answer");
            all.extend_from_slice(&head);
            all.extend_from_slice(&body);
            if head[0] == b'Z' {
                return all;
            }
        }
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn until_closed(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.0.read_to_end(&mut all).await.expect("an orderly end, not a reset");
        all
    }
}
