//! The way to an agent: one connection for each order.

use super::{Done, How, ORDERS, Order, Refused, STATUS, Source, Status, What};
use crate::net::Stream;
use crate::net::tls::Connector;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(2);

/// No answer is longer, in bytes.
const ANSWER: usize = 1 << 20;

/// Why an order was not carried out, or is not known to be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AgentError {
    #[error("its agent at {address} cannot be reached: {cause}")]
    Unreachable { address: Arc<str>, cause: String },
    #[error("its agent at {address} refused: {}", said.error)]
    Refused { address: Arc<str>, said: Refused },
    #[error("its agent at {address} does not know our token or certificate")]
    Stranger { address: Arc<str> },
}

/// Where an agent listens, and what it wants to see.
#[derive(Clone)]
pub struct Door {
    /// `host:port`
    pub address: Arc<str>,
    pub token: Option<Arc<str>>,
    /// `None`: without TLS.
    pub tls: Option<Connector>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Door({})", self.address)
    }
}

/// The agent of one node.
#[derive(Clone, Debug)]
pub struct Agent {
    door: Door,
}

/// In whose name an order is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    pub term: u64,
    pub system: u64,
}

impl Agent {
    pub fn new(door: Door) -> Agent {
        Agent { door }
    }

    pub async fn status(&self) -> Result<Status, AgentError> {
        self.ask(Method::GET, STATUS.into(), Vec::new()).await
    }

    /// The primary of this term is ours, and well.
    pub async fn renew(&self, of: Name) -> Result<(), AgentError> {
        self.order(of, true, What::Renew).await.map(drop)
    }

    /// The server and all its processes are gone when this answers.
    pub async fn stop(&self, of: Name, how: How) -> Result<String, AgentError> {
        self.order(of, false, What::Stop { how }).await
    }

    pub async fn start(&self, of: Name, reigns: bool) -> Result<String, AgentError> {
        self.order(of, reigns, What::Start).await
    }

    pub async fn rewind(&self, of: Name, source: Source) -> Result<String, AgentError> {
        self.order(of, false, What::Rewind { source }).await
    }

    pub async fn copy(&self, of: Name, source: Source) -> Result<String, AgentError> {
        self.order(of, false, What::Clone { source }).await
    }

    pub async fn follow(&self, of: Name, source: Source) -> Result<String, AgentError> {
        self.order(of, false, What::Follow { source }).await
    }

    async fn order(&self, of: Name, reigns: bool, what: What) -> Result<String, AgentError> {
        let path = format!("{ORDERS}{}", what.name());
        let order = Order { term: of.term, reigns, system: of.system, what };
        let body = serde_json::to_vec(&order).map_err(|error| self.unreachable(error))?;
        let done: Done = self.ask(Method::POST, path, body).await?;
        Ok(done.says)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        body: Vec<u8>,
    ) -> Result<T, AgentError> {
        let (status, body) = self.exchange(method, path, body).await?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|error| self.unreachable(error));
        }
        if status == StatusCode::UNAUTHORIZED {
            return Err(AgentError::Stranger { address: self.door.address.clone() });
        }
        match serde_json::from_slice(&body) {
            Ok(said) => Err(AgentError::Refused { address: self.door.address.clone(), said }),
            Err(_) => Err(self.unreachable(format!("it answered with status {status}"))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: String,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), AgentError> {
        let opened = timeout(CONNECT, self.open()).await;
        let stream = opened.map_err(|_| self.unreachable("no answer"))??;
        let io = TokioIo::new(stream);
        let (mut send, connection) = hyper::client::conn::http1::handshake(io)
            .await
            .map_err(|error| self.unreachable(error))?;
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::HOST, &*self.door.address);
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.door.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| self.unreachable(error))?;
        let talk = async {
            let answer = send.send_request(request).await.map_err(|e| self.unreachable(e))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER).collect().await;
            let body = body.map_err(|error| self.unreachable(error))?;
            Ok((status, body.to_bytes()))
        };
        tokio::pin!(connection, talk);
        tokio::select! {
            biased;
            answered = &mut talk => answered,
            // The connection ends when the answer is there, or with its error.
            _ = &mut connection => talk.await,
        }
    }

    async fn open(&self) -> Result<Stream, AgentError> {
        let address = &*self.door.address;
        let tcp = TcpStream::connect(address).await.map_err(|error| self.unreachable(error))?;
        let Some(tls) = &self.door.tls else { return Ok(Stream::Plain(tcp)) };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let secured = tls.connect(tcp, host).await;
        secured.map(|secured| secured.stream).map_err(|error| self.unreachable(error))
    }

    fn unreachable(&self, cause: impl ToString) -> AgentError {
        let address = self.door.address.clone();
        AgentError::Unreachable { address, cause: cause.to_string() }
    }
}
