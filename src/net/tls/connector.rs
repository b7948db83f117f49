//! TLS towards servers.

use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::files::{Authorities, TlsError, certificates, private_key};
use super::trust::Trust;
use super::{Channel, HandshakeError, Identity, MinVersion, Secured, end_point, provider};
use crate::net::Stream;

/// How much TLS a server has to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerMode {
    Disable,
    /// If the server can; its certificate is not looked at.
    #[default]
    Prefer,
    /// Encrypted or not at all. As libpq does, the chain is checked if `ca_file` is given.
    Require,
    /// The certificate must come from `ca_file`, for whomever.
    VerifyCa,
    /// The certificate must come from `ca_file` and be for this very host.
    VerifyFull,
}

impl ServerMode {
    pub const ALL: [ServerMode; 5] =
        [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The word for it in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            ServerMode::Disable => "disable",
            ServerMode::Prefer => "prefer",
            ServerMode::Require => "require",
            ServerMode::VerifyCa => "verify-ca",
            ServerMode::VerifyFull => "verify-full",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// Settings of TLS towards servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSide {
    pub mode: ServerMode,
    /// PEM: who may sign server certificates.
    pub ca_file: Option<PathBuf>,
    /// PEM: our own certificate, for servers that ask for one.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// The name the certificate must be for, where it is not the host connected to.
    pub server_name: Option<String>,
    pub min_version: MinVersion,
    /// Protocols offered by ALPN.
    pub alpn: Vec<Vec<u8>>,
}

/// Makes TLS connections of TCP connections to servers. One serves all servers of its settings.
#[derive(Clone)]
pub struct Connector {
    mode: ServerMode,
    server_name: Option<String>,
    /// `None` only with `Disable`.
    tls: Option<TlsConnector>,
}

impl Connector {
    pub fn new(settings: &ServerSide, authorities: &mut Authorities) -> Result<Self, TlsError> {
        let tls = match settings.mode {
            ServerMode::Disable => None,
            _ => Some(TlsConnector::from(Arc::new(client_config(settings, authorities)?))),
        };
        Ok(Self { mode: settings.mode, server_name: settings.server_name.clone(), tls })
    }

    pub fn mode(&self) -> ServerMode {
        self.mode
    }

    /// The handshake, as the client. `host`: the name or address that was connected to. No byte
    /// of the server may have been read ahead.
    pub async fn connect(&self, tcp: TcpStream, host: &str) -> Result<Secured, HandshakeError> {
        let tls = self.tls.as_ref().ok_or(HandshakeError::Off)?;
        let host = self.server_name.as_deref().unwrap_or(host);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| HandshakeError::HostName { host: host.to_owned() })?;
        let stream =
            tls.connect(name, tcp).await.map_err(|error| HandshakeError::of(error, host))?;
        let session = stream.get_ref().1;
        let peer = session.peer_certificates().and_then(|chain| chain.first());
        let channel = Channel {
            end_point: peer.and_then(|der| end_point(der)),
            peer: peer.and_then(|der| Identity::of(der)),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
        };
        Ok(Secured { stream: Stream::ToServer(Box::new(stream)), channel })
    }
}

fn client_config(
    settings: &ServerSide,
    authorities: &mut Authorities,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(settings.min_version.versions())?
        .dangerous()
        .with_custom_certificate_verifier(verifier(settings, authorities)?);
    let mut config =
        match (&settings.cert_file, &settings.key_file) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert_file), Some(key_file)) => {
                let chain = certificates("cert_file", cert_file)?;
                let key = private_key("key_file", key_file)?;
                builder.with_client_auth_cert(chain, key).map_err(|source| {
                    TlsError::Certificate { key: "cert_file", path: cert_file.clone(), source }
                })?
            }
            (Some(_), None) => return Err(TlsError::Alone { key: "key_file", other: "cert_file" }),
            (None, Some(_)) => return Err(TlsError::Alone { key: "cert_file", other: "key_file" }),
        };
    config.alpn_protocols.clone_from(&settings.alpn);
    Ok(config)
}

fn verifier(
    settings: &ServerSide,
    authorities: &mut Authorities,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let key = "ca_file";
    let path = match (settings.mode, &settings.ca_file) {
        (ServerMode::Disable | ServerMode::Prefer, _) | (ServerMode::Require, None) => {
            return Ok(Arc::new(Trust::Anything(provider())));
        }
        (ServerMode::VerifyCa | ServerMode::VerifyFull, None) => {
            return Err(TlsError::Missing { key, mode: settings.mode.name() });
        }
        (_, Some(path)) => path,
    };
    let bundle = authorities.load(key, path)?;
    let webpki = WebPkiServerVerifier::builder_with_provider(bundle.roots.clone(), provider());
    let webpki = webpki.build().map_err(|source| TlsError::Verifier { key, source })?;
    Ok(Arc::new(Trust::Chain { webpki, bundle, name: settings.mode == ServerMode::VerifyFull }))
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({}, {:?})", self.mode.name(), self.server_name)
    }
}
