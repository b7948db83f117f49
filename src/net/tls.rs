//! TLS to clients and to servers: rustls on ring, TLS 1.2 and 1.3, sessions resumed.
//!
//! [`Acceptor`] keeps our certificate and replaces it on `reload`; [`Connector`] checks a
//! server's certificate as far as its mode asks. Both hand out a [`Secured`]: the stream and what
//! the handshake established. Deadlines are the caller's: a dropped handshake closes the socket.

mod acceptor;
mod certificate;
mod connector;
mod files;
mod trust;

pub use acceptor::{Acceptor, ClientMode, ClientSide};
pub use certificate::{Identity, end_point};
pub use connector::{Connector, ServerMode, ServerSide};
pub use files::{Authorities, TlsError};

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use std::io;
use std::sync::Arc;

use super::Stream;

/// The protocol name of PostgreSQL for ALPN, needed where TLS comes without an SSLRequest.
pub const ALPN_POSTGRESQL: &[u8] = b"postgresql";

/// Oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static ONLY_13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        match self {
            MinVersion::Tls12 => rustls::ALL_VERSIONS,
            MinVersion::Tls13 => ONLY_13,
        }
    }
}

/// What a handshake established.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channel {
    /// `tls-server-end-point` (RFC 5929) of the server's certificate: ours towards clients, the
    /// peer's towards servers. `None` where its signature defines no hash (Ed25519).
    pub end_point: Option<Vec<u8>>,
    /// Whom the peer's certificate names. For a client only if it was checked.
    pub peer: Option<Identity>,
    /// The protocol agreed on by ALPN.
    pub alpn: Option<Vec<u8>>,
}

/// A connection after its handshake.
pub struct Secured {
    pub stream: Stream,
    pub channel: Channel,
}

/// Why a handshake failed, classed by what an operator does about it.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("TLS is off here")]
    Off,
    #[error("{host:?} is neither a host name nor an address that a certificate could be for")]
    HostName { host: String },
    #[error(
        "the certificate of {host:?} is for other names: {source} (hint: set the name it is for, \
         or mode verify-ca; a certificate needs a subjectAltName)"
    )]
    WrongName { host: String, source: rustls::Error },
    #[error("the peer's certificate is not trusted: {source}")]
    Untrusted { source: rustls::Error },
    #[error("the peer did not agree on the protocol {0:?} by ALPN")]
    NoAlpn(String),
    #[error("TLS handshake: {source}")]
    Protocol { source: rustls::Error },
    #[error("TLS handshake: {source}")]
    Io { source: io::Error },
}

impl HandshakeError {
    fn of(error: io::Error, host: &str) -> Self {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()).cloned();
        match inner {
            Some(
                source @ rustls::Error::InvalidCertificate(
                    NotValidForName | NotValidForNameContext { .. },
                ),
            ) => Self::WrongName { host: host.to_owned(), source },
            Some(
                source @ (rustls::Error::InvalidCertificate(_)
                | rustls::Error::NoCertificatesPresented),
            ) => Self::Untrusted { source },
            Some(source) => Self::Protocol { source },
            None => Self::Io { source: error },
        }
    }
}

/// Named everywhere: a process-wide default would depend on who set it first.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests;
