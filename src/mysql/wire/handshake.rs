//! The packets of a login, as both sides send them.

use super::reader::{Reader, put_lenenc_bytes};
use super::{WireError, capability, put_packet};
use bytes::{BufMut, BytesMut};

/// Bytes of the challenge that every method of login works with.
pub const SCRAMBLE: usize = 20;

pub const NATIVE: &str = "mysql_native_password";
pub const CACHING_SHA2: &str = "caching_sha2_password";
pub const ED25519: &str = "client_ed25519";

/// `MYSQL_CLIENT` of MariaDB: without it the peer has MariaDB's extended capabilities.
const IS_MYSQL: u32 = capability::LONG_PASSWORD;

/// How a server introduces itself (protocol version 10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    pub version: String,
    pub thread: u32,
    pub scramble: Vec<u8>,
    pub capabilities: u32,
    pub collation: u8,
    pub status: u16,
    pub plugin: String,
}

impl Greeting {
    pub fn parse(payload: &[u8]) -> Result<Greeting, WireError> {
        let mut reader = Reader::new(payload, "a server's greeting");
        match reader.u8()? {
            10 => {}
            first => return Err(WireError::Unexpected { first, place: "a greeting" }),
        }
        let version = text(reader.until_zero()?);
        let thread = reader.u32()?;
        let mut scramble = reader.bytes(8)?.to_vec();
        reader.u8()?;
        let mut capabilities = u32::from(reader.u16()?);
        let (collation, status) = (reader.u8()?, reader.u16()?);
        capabilities |= u32::from(reader.u16()?) << 16;
        let length = usize::from(reader.u8()?);
        reader.bytes(10)?;
        if capabilities & capability::SECURE_CONNECTION != 0 {
            let rest = reader.at_most(length.saturating_sub(8).max(13));
            scramble.extend_from_slice(rest.strip_suffix(b"\0").unwrap_or(rest));
        }
        let plugin = match capabilities & capability::PLUGIN_AUTH != 0 {
            true => text(reader.until_zero_or_end()),
            false => NATIVE.to_owned(),
        };
        Ok(Greeting { version, thread, scramble, capabilities, collation, status, plugin })
    }

    pub fn is_mariadb(&self) -> bool {
        self.version.contains("MariaDB") || self.capabilities & IS_MYSQL == 0
    }

    /// Appends it as the first packet of a connection.
    pub fn put(&self, out: &mut BytesMut) {
        let mut body = BytesMut::with_capacity(128);
        body.put_u8(10);
        body.put_slice(self.version.as_bytes());
        body.put_u8(0);
        body.put_u32_le(self.thread);
        let (first, rest) = self.scramble.split_at(self.scramble.len().min(8));
        body.put_slice(first);
        body.put_u8(0);
        body.put_u16_le(self.capabilities as u16);
        body.put_u8(self.collation);
        body.put_u16_le(self.status);
        body.put_u16_le((self.capabilities >> 16) as u16);
        body.put_u8(self.scramble.len() as u8 + 1);
        body.put_bytes(0, 10);
        body.put_slice(rest);
        body.put_u8(0);
        body.put_slice(self.plugin.as_bytes());
        body.put_u8(0);
        put_packet(out, 0, &body);
    }
}

/// How a client answers the greeting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub capabilities: u32,
    pub max_packet: u32,
    pub collation: u8,
    pub user: String,
    pub proof: Vec<u8>,
    pub database: Option<String>,
    pub plugin: String,
    /// Names and values, as the client tells of itself.
    pub attributes: Vec<(String, String)>,
}

/// The first answer of a client: who it is, or that it wants TLS before it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    Tls,
    Response(Response),
}

impl First {
    pub fn parse(payload: &[u8]) -> Result<First, WireError> {
        /// Bytes up to the user's name.
        const HEAD: usize = 32;
        let mut reader = Reader::new(payload, "a client's greeting");
        let capabilities = reader.u32()?;
        if capabilities & capability::PROTOCOL_41 == 0 {
            return Err(WireError::Malformed { what: "a greeting of protocol 4.1" });
        }
        if capabilities & capability::SSL != 0 && payload.len() == HEAD {
            return Ok(First::Tls);
        }
        let (max_packet, collation) = (reader.u32()?, reader.u8()?);
        reader.bytes(23)?;
        let user = text(reader.until_zero()?);
        let has = |flag: u32| capabilities & flag != 0;
        let proof = if has(capability::PLUGIN_AUTH_LENENC) {
            reader.lenenc_bytes()?
        } else if has(capability::SECURE_CONNECTION) {
            let length = usize::from(reader.u8()?);
            reader.bytes(length)?
        } else {
            reader.until_zero_or_end()
        };
        let database = has(capability::CONNECT_WITH_DB).then(|| text(reader.until_zero_or_end()));
        let plugin = match has(capability::PLUGIN_AUTH) {
            true => text(reader.until_zero_or_end()),
            false => NATIVE.to_owned(),
        };
        let attributes = match has(capability::CONNECT_ATTRS) && !reader.is_empty() {
            true => attributes(&mut reader)?,
            false => Vec::new(),
        };
        Ok(First::Response(Response {
            capabilities,
            max_packet,
            collation,
            user,
            proof: proof.to_vec(),
            database: database.filter(|name| !name.is_empty()),
            plugin,
            attributes,
        }))
    }
}

fn attributes(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, WireError> {
    let mut all = Reader::new(reader.lenenc_bytes()?, "connection attributes");
    let mut found = Vec::new();
    while !all.is_empty() {
        found.push((text(all.lenenc_bytes()?), text(all.lenenc_bytes()?)));
    }
    Ok(found)
}

fn put_head(body: &mut BytesMut, capabilities: u32, max_packet: u32, collation: u8) {
    body.put_u32_le(capabilities);
    body.put_u32_le(max_packet);
    body.put_u8(collation);
    body.put_bytes(0, 23);
}

/// Appends the request for TLS.
pub fn put_tls_request(out: &mut BytesMut, sequence: u8, response: &Response) {
    let mut body = BytesMut::with_capacity(32);
    let capabilities = response.capabilities | capability::SSL;
    put_head(&mut body, capabilities, response.max_packet, response.collation);
    put_packet(out, sequence, &body);
}

impl Response {
    pub fn put(&self, out: &mut BytesMut, sequence: u8) {
        let mut body = BytesMut::with_capacity(128);
        put_head(&mut body, self.capabilities, self.max_packet, self.collation);
        body.put_slice(self.user.as_bytes());
        body.put_u8(0);
        put_lenenc_bytes(&mut body, &self.proof);
        if let Some(database) = &self.database {
            body.put_slice(database.as_bytes());
            body.put_u8(0);
        }
        body.put_slice(self.plugin.as_bytes());
        body.put_u8(0);
        put_packet(out, sequence, &body);
    }
}

/// Asks for another method of login. `data` as the method wants it.
pub fn put_switch(out: &mut BytesMut, sequence: u8, plugin: &str, scramble: &[u8]) {
    let mut body = BytesMut::with_capacity(64);
    body.put_u8(super::ok::END);
    body.put_slice(plugin.as_bytes());
    body.put_u8(0);
    body.put_slice(scramble);
    body.put_u8(0);
    put_packet(out, sequence, &body);
}

/// The method and the challenge of a switch request; an empty one means the oldest method, which
/// nobody speaks any more.
pub fn parse_switch(payload: &[u8]) -> Result<(String, Vec<u8>), WireError> {
    let mut reader = Reader::new(payload, "a request for another login");
    reader.u8()?;
    if reader.is_empty() {
        return Ok(("mysql_old_password".into(), Vec::new()));
    }
    let plugin = text(reader.until_zero()?);
    let data = reader.rest();
    Ok((plugin, data.strip_suffix(b"\0").unwrap_or(data).to_vec()))
}

/// Names are shown and compared; one that is not UTF-8 is nobody's.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::HEADER;
    use super::*;

    fn greeting() -> Greeting {
        Greeting {
            version: "5.5.5-10.11.6-MariaDB".into(),
            thread: 7,
            scramble: (1..=20).collect(),
            capabilities: capability::TO_CLIENTS & !IS_MYSQL,
            collation: 45,
            status: 2,
            plugin: NATIVE.into(),
        }
    }

    #[test]
    fn a_greeting_reads_back() {
        let mut out = BytesMut::new();
        greeting().put(&mut out);
        assert_eq!(Greeting::parse(&out[HEADER..]), Ok(greeting()));
        assert!(greeting().is_mariadb());
        for cut in 0..out.len() - HEADER - NATIVE.len() - 15 {
            assert!(Greeting::parse(&out[HEADER..HEADER + cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn an_answer_reads_back_at_every_cut_without_a_panic() {
        let response = Response {
            capabilities: capability::TO_SERVERS | capability::CONNECT_WITH_DB,
            max_packet: 1 << 24,
            collation: 45,
            user: "app".into(),
            proof: vec![9; 20],
            database: Some("orders".into()),
            plugin: NATIVE.into(),
            attributes: Vec::new(),
        };
        let mut out = BytesMut::new();
        response.put(&mut out, 1);
        assert_eq!(First::parse(&out[HEADER..]), Ok(First::Response(response.clone())));
        for cut in HEADER..out.len() {
            let _ = First::parse(&out[HEADER..cut]);
        }
        let mut out = BytesMut::new();
        put_tls_request(&mut out, 1, &response);
        assert_eq!(First::parse(&out[HEADER..]), Ok(First::Tls));
    }

    #[test]
    fn a_switch_reads_back() {
        let mut out = BytesMut::new();
        put_switch(&mut out, 2, CACHING_SHA2, &[5; 20]);
        let read = parse_switch(&out[HEADER..]);
        assert_eq!(read, Ok((CACHING_SHA2.to_owned(), vec![5; 20])));
        assert_eq!(
            parse_switch(&[0xfe]).map(|(plugin, _)| plugin),
            Ok("mysql_old_password".into())
        );
    }
}
