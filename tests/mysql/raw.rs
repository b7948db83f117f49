//! A client that shows every byte it gets.

use super::fixture::{APP, PASSWORD};
use std::net::SocketAddr;
use tidegate::mysql::auth::{self, Plugin, ServerSecret};
use tidegate::mysql::wire::handshake::{Greeting, Response};
use tidegate::mysql::wire::{HEADER, capability, peek};
use tidegate::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Logs in as the application with exactly these capabilities beside those of the login.
    pub(crate) async fn connect(address: SocketAddr, capabilities: u32) -> Raw {
        Raw::over(TcpStream::connect(address).await.unwrap(), capabilities).await
    }

    /// The same over a connection on which something was said before.
    pub(crate) async fn over(tcp: TcpStream, capabilities: u32) -> Raw {
        let mut raw = Raw(tcp);
        let greeting = Greeting::parse(&raw.packet().await).unwrap();
        let secret = ServerSecret::password(Secret::new(PASSWORD));
        let login = capability::PROTOCOL_41
            | capability::SECURE_CONNECTION
            | capability::PLUGIN_AUTH
            | capability::PLUGIN_AUTH_LENENC
            | capability::LONG_PASSWORD
            | capability::CONNECT_WITH_DB;
        let response = Response {
            capabilities: login | capabilities,
            max_packet: 1 << 30,
            collation: 45,
            user: APP.into(),
            proof: auth::answer(Plugin::Native, &secret, &greeting.scramble).unwrap(),
            database: Some("test".into()),
            plugin: Plugin::Native.name().into(),
            attributes: Vec::new(),
        };
        let mut out = bytes::BytesMut::new();
        response.put(&mut out, 1);
        raw.0.write_all(&out).await.unwrap();
        assert_eq!(raw.packet().await.first(), Some(&0), "an OK for the login");
        raw
    }

    /// The payload of the next packet.
    pub(crate) async fn packet(&mut self) -> Vec<u8> {
        let mut header = [0; HEADER];
        self.0.read_exact(&mut header).await.unwrap();
        let mut payload = vec![0; peek(&header).unwrap().len];
        self.0.read_exact(&mut payload).await.unwrap();
        payload
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// All that comes until the other side hangs up.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.0.read_to_end(&mut all).await.unwrap();
        all
    }
}
