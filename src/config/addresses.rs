//! Addresses: where Tidegate listens, and where the servers do.

use super::values::{Complaint, Value};
use std::fmt;
use std::net::SocketAddr;
use toml::de::DeValue;

/// Where a listener opens: an address and port, or nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    At(SocketAddr),
    Off,
}

impl Door {
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Door::At(address) => Some(address),
            Door::Off => None,
        }
    }
    /// True when other machines can reach it.
    pub fn is_public(self) -> bool {
        self.address().is_some_and(|a| !a.ip().is_loopback())
    }
}

impl Value for Door {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "an IP address with a port such as \"127.0.0.1:6432\" or \"[::]:6432\", or \"off\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        match value.as_str().map(|text| (text, text.parse())) {
            Some(("off", _)) => Ok(Door::Off),
            Some((_, Ok(address))) => Ok(Door::At(address)),
            _ => Err(Complaint::new(format!("must be {}", Self::allowed()))),
        }
    }
    fn show(&self) -> String {
        match self {
            Door::At(address) => format!("\"{address}\""),
            Door::Off => "\"off\"".into(),
        }
    }
    fn unset() -> Self {
        Door::Off
    }
}

/// Where a database server listens. The name is looked up anew for each connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    pub port: u16,
}

impl Address {
    fn parse(text: &str) -> Option<Address> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!host.is_empty() && host.chars().all(plain))
            .then(|| Address { host: host.to_string(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Value for Address {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "a host and port such as \"db1.example:5432\" or \"[fd00::1]:5432\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let text = value.as_str().ok_or_else(complaint)?;
        Address::parse(text).ok_or_else(|| match Address::parse(&format!("{text}:5432")) {
            Some(with_port) => complaint().hint(format!("add the port: \"{with_port}\"")),
            None => complaint(),
        })
    }
    fn show(&self) -> String {
        format!("\"{self}\"")
    }
    fn unset() -> Self {
        Address { host: String::new(), port: 0 }
    }
}
