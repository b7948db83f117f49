//! A client that sends exactly the bytes it is told to and reads frames one by one.

use bytes::{Buf, Bytes, BytesMut};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for what must come: as long as a busy machine may take.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// One frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub tag: u8,
    pub body: Bytes,
}

impl Frame {
    /// A field of an ErrorResponse or NoticeResponse.
    pub fn field(&self, code: u8) -> String {
        let fields = self.body.split(|b| *b == 0);
        let found = fields.into_iter().find(|f| f.first() == Some(&code));
        found.map(|f| String::from_utf8_lossy(&f[1..]).into_owned()).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end_matches('\0').to_owned()
    }

    /// The first column of a DataRow, as text.
    pub fn value(&self) -> Option<String> {
        let mut body = self.body.clone();
        assert_eq!(self.tag, b'D', "not a row: {self:?}");
        let _columns = body.get_u16();
        let len = usize::try_from(body.get_i32()).ok()?;
        Some(String::from_utf8_lossy(&body[..len]).into_owned())
    }

    /// What matters of it, on one line.
    pub fn brief(&self) -> String {
        let tag = self.tag as char;
        match self.tag {
            b'E' | b'N' => format!("{tag}:{} {}", self.field(b'C'), self.field(b'M')),
            // The process id is another one for each connection.
            b'A' => format!("A:{}", self.body[4..].escape_ascii()),
            b'C' | b'S' | b'Z' => format!("{tag}:{}", self.text().replace('\0', "=")),
            _ if self.body.len() <= 64 => format!("{tag}:{}", self.body.escape_ascii()),
            _ => format!("{tag}: {} bytes", self.body.len()),
        }
    }
}

pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// A connection of which the test knows every byte.
pub struct Wire {
    pub stream: Box<dyn Socket>,
    pub input: BytesMut,
    pub pid: u32,
    pub secret: Vec<u8>,
    /// Frames between the login and the first ReadyForQuery.
    pub greeting: Vec<Frame>,
}

impl Wire {
    /// Only the TCP connection.
    pub async fn open(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).await.expect("a TCP connection");
        stream.set_nodelay(true).expect("no delay");
        Wire::over(stream)
    }

    /// What speaks the protocol already or will.
    pub fn over(stream: impl Socket + 'static) -> Wire {
        Wire {
            stream: Box::new(stream),
            input: BytesMut::new(),
            pid: 0,
            secret: Vec::new(),
            greeting: Vec::new(),
        }
    }

    /// Logged in as postgres, without a password.
    pub async fn start(address: SocketAddr) -> Wire {
        Wire::start_with(address, &startup(0, &[("user", "postgres"), ("database", "postgres")]))
            .await
    }

    pub async fn start_with(address: SocketAddr, hello: &[u8]) -> Wire {
        let mut wire = Wire::open(address).await;
        wire.send(hello).await;
        wire.greet().await;
        wire
    }

    /// Reads up to the first ReadyForQuery.
    pub async fn greet(&mut self) {
        self.greeting = self.until_ready().await;
        let key = self.greeting.iter().find(|f| f.tag == b'K').unwrap_or_else(|| {
            panic!("no login: {:?}", brief(&self.greeting));
        });
        self.pid = u32::from_be_bytes(key.body[..4].try_into().expect("four bytes"));
        self.secret = key.body[4..].to_vec();
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the proxy reads");
    }

    /// The next frame; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Frame> {
        let next = tokio::time::timeout(PATIENCE, self.frame()).await;
        next.unwrap_or_else(|_| panic!("in vain for a frame; pending: {:?}", self.input))
    }

    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(header) = self.input.first_chunk::<5>() {
                let len = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
                assert!(len >= 4, "a frame of length {len}: {:?}", self.input);
                if self.input.len() > len {
                    let tag = self.input[0];
                    let body = self.input.split_to(len + 1).split_off(5).freeze();
                    return Some(Frame { tag, body });
                }
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Frames up to and with the first of one of these tags, or the end of the stream.
    pub async fn until(&mut self, tags: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            let last = tags.contains(&frame.tag);
            frames.push(frame);
            if last {
                break;
            }
        }
        frames
    }

    pub async fn until_ready(&mut self) -> Vec<Frame> {
        self.until(b"Z").await
    }

    /// Everything up to the end of the stream.
    pub async fn rest(&mut self) -> Vec<Frame> {
        self.until(b"").await
    }

    pub async fn ask(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.send(bytes).await;
        self.until_ready().await
    }

    /// The first column of the first row of a simple query.
    pub async fn value(&mut self, sql: &str) -> String {
        let frames = self.ask(&query(sql)).await;
        let row = frames.iter().find(|f| f.tag == b'D');
        let row = row.unwrap_or_else(|| panic!("no row for {sql}: {:?}", brief(&frames)));
        row.value().unwrap_or_default()
    }

    /// A simple query that must succeed.
    pub async fn run(&mut self, sql: &str) -> Vec<Frame> {
        let frames = self.ask(&query(sql)).await;
        assert_eq!(code(&frames), "", "{sql}: {:?}", brief(&frames));
        assert_eq!(frames.last().map(|f| f.tag), Some(b'Z'), "{sql}: the connection ended");
        frames
    }

    /// True when the connection still answers.
    pub async fn is_alive(&mut self) -> bool {
        self.value("SELECT 'alive'").await == "alive"
    }
}

/// The frames, a line each.
pub fn brief(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(Frame::brief).collect()
}

/// The tags in a row.
pub fn tags(frames: &[Frame]) -> String {
    frames.iter().map(|f| f.tag as char).collect()
}

/// The SQLSTATE of the first error; empty: none.
pub fn code(frames: &[Frame]) -> String {
    frames.iter().find(|f| f.tag == b'E').map(|f| f.field(b'C')).unwrap_or_default()
}

/// Asserts an error as a person needs it: SQLSTATE, message and hint. Answers with the SQLSTATE.
pub fn clear_error(frames: &[Frame]) -> String {
    let error = frames.iter().find(|f| f.tag == b'E');
    let error = error.unwrap_or_else(|| panic!("no error: {:?}", brief(frames)));
    for field in *b"SVCMH" {
        assert_ne!(error.field(field), "", "no field {} in {error:?}", field as char);
    }
    error.field(b'C')
}

/// Waits for what must come true.
pub async fn eventually(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("in vain for: {what}"));
}

/// The message of the first error.
pub fn message(frames: &[Frame]) -> String {
    frames.iter().find(|f| f.tag == b'E').map(|f| f.field(b'M')).unwrap_or_default()
}

pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
    out
}

pub fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let mut out = (body.len() as u32 + 8).to_be_bytes().to_vec();
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(body);
    out
}

pub fn startup(minor: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in parameters {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    packet(3 << 16 | minor, &body)
}

pub fn cancel(pid: u32, secret: &[u8]) -> Vec<u8> {
    packet(80_877_102, &[&pid.to_be_bytes(), secret].concat())
}

pub fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', format!("{sql}\0").as_bytes())
}

pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    frame(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

/// Text parameters, text results.
pub fn bind(portal: &str, name: &str, values: &[&str]) -> Vec<u8> {
    let mut body = format!("{portal}\0{name}\0\0\0").into_bytes();
    body.extend_from_slice(&(values.len() as u16).to_be_bytes());
    for value in values {
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.extend_from_slice(&[0, 0]);
    frame(b'B', &body)
}

pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat())
}

/// `kind`: `S` or `P`.
pub fn describe(kind: char, name: &str) -> Vec<u8> {
    frame(b'D', format!("{kind}{name}\0").as_bytes())
}

pub fn close(kind: char, name: &str) -> Vec<u8> {
    frame(b'C', format!("{kind}{name}\0").as_bytes())
}

pub fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

pub fn flush() -> Vec<u8> {
    frame(b'H', b"")
}

pub fn copy_data(bytes: &str) -> Vec<u8> {
    frame(b'd', bytes.as_bytes())
}

pub fn copy_done() -> Vec<u8> {
    frame(b'c', b"")
}

pub fn copy_fail(why: &str) -> Vec<u8> {
    frame(b'f', format!("{why}\0").as_bytes())
}

/// Parse, Bind, Execute of an unnamed statement, no Sync.
pub fn unnamed(sql: &str) -> Vec<u8> {
    [parse("", sql), bind("", "", &[]), execute("", 0)].concat()
}

/// A function call by OID with one text argument.
pub fn function(oid: u32, argument: &str) -> Vec<u8> {
    let mut body = oid.to_be_bytes().to_vec();
    body.extend_from_slice(&[0, 0, 0, 1]);
    body.extend_from_slice(&(argument.len() as u32).to_be_bytes());
    body.extend_from_slice(argument.as_bytes());
    body.extend_from_slice(&[0, 0]);
    frame(b'F', &body)
}
