//! TLS towards clients: our certificate, replaced without a restart.

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::certificate::validity;
use super::files::{Authorities, TlsError, certificates, private_key};
use super::{Channel, HandshakeError, Identity, MinVersion, Secured, end_point, provider};
use crate::net::Stream;

/// Whether clients speak TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientMode {
    #[default]
    Off,
    /// Those who ask for it.
    Allow,
    /// All of them.
    Require,
    /// All of them, each with a certificate by `ca_file`.
    Verify,
}

impl ClientMode {
    pub const ALL: [ClientMode; 4] = [Self::Off, Self::Allow, Self::Require, Self::Verify];

    /// The word for it in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            ClientMode::Off => "off",
            ClientMode::Allow => "allow",
            ClientMode::Require => "require",
            ClientMode::Verify => "verify",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// Settings of TLS towards clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSide {
    pub mode: ClientMode,
    /// PEM: our certificate first, then what leads to its authority.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// PEM: who may sign client certificates. With `allow` and `require` a certificate is then
    /// asked for and checked if it comes; without it none is asked for.
    pub ca_file: Option<PathBuf>,
    pub min_version: MinVersion,
    /// Protocols agreed on by ALPN with clients that name any.
    pub alpn: Vec<Vec<u8>>,
}

struct Tls {
    acceptor: TlsAcceptor,
    end_point: Option<Vec<u8>>,
    /// When our certificate ends.
    ends: Option<SystemTime>,
}

struct Live {
    settings: ClientSide,
    tls: Option<Tls>,
}

/// Makes TLS connections of TCP connections of clients.
pub struct Acceptor {
    live: ArcSwap<Live>,
}

impl Acceptor {
    pub fn new(settings: ClientSide, authorities: &mut Authorities) -> Result<Self, TlsError> {
        Ok(Self { live: ArcSwap::from_pointee(Live::build(settings, authorities)?) })
    }

    pub fn mode(&self) -> ClientMode {
        self.live.load().settings.mode
    }

    /// Reads certificate, key and authorities again. On an error all stays as it was.
    /// Sessions of before are not resumed afterwards: they may rest on a withdrawn authority.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.replace(self.live.load().settings.clone(), &mut Authorities::default())
    }

    /// As `reload`, with other settings.
    pub fn replace(
        &self,
        settings: ClientSide,
        authorities: &mut Authorities,
    ) -> Result<(), TlsError> {
        self.live.store(Arc::new(Live::build(settings, authorities)?));
        Ok(())
    }

    /// `tls-server-end-point` of our certificate.
    pub fn end_point(&self) -> Option<Vec<u8>> {
        self.live.load().tls.as_ref()?.end_point.clone()
    }

    /// When our certificate ends; `None`: there is no TLS here.
    pub fn ends(&self) -> Option<SystemTime> {
        self.live.load().tls.as_ref()?.ends
    }

    /// The handshake, as the server. No byte of the client may have been read ahead.
    /// `direct`: TLS came without a request in plain, so ALPN must have agreed on a protocol.
    pub async fn accept(&self, tcp: TcpStream, direct: bool) -> Result<Secured, HandshakeError> {
        let live = self.live.load_full();
        let tls = live.tls.as_ref().ok_or(HandshakeError::Off)?;
        let stream =
            tls.acceptor.accept(tcp).await.map_err(|e| HandshakeError::of(e, "the client"))?;
        let session = stream.get_ref().1;
        let peer = session.peer_certificates().and_then(|chain| chain.first());
        let channel = Channel {
            end_point: tls.end_point.clone(),
            peer: peer.and_then(|der| Identity::of(der)),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
        };
        if direct && channel.alpn.is_none() {
            let names: Vec<_> =
                live.settings.alpn.iter().map(|n| String::from_utf8_lossy(n)).collect();
            return Err(HandshakeError::NoAlpn(names.join(", ")));
        }
        Ok(Secured { stream: Stream::ToClient(Box::new(stream)), channel })
    }
}

impl Live {
    fn build(settings: ClientSide, authorities: &mut Authorities) -> Result<Self, TlsError> {
        let tls = match settings.mode {
            ClientMode::Off => None,
            _ => Some(Tls::build(&settings, authorities)?),
        };
        Ok(Self { settings, tls })
    }
}

impl Tls {
    fn build(settings: &ClientSide, authorities: &mut Authorities) -> Result<Self, TlsError> {
        let missing = |key| TlsError::Missing { key, mode: settings.mode.name() };
        let cert_file = settings.cert_file.as_deref().ok_or(missing("cert_file"))?;
        let key_file = settings.key_file.as_deref().ok_or(missing("key_file"))?;
        let chain = certificates("cert_file", cert_file)?;
        let key = private_key("key_file", key_file)?;
        let end_point = chain.first().and_then(|der| end_point(der));
        let valid = chain.first().and_then(|der| validity(der));
        let ends = valid.map(|valid| SystemTime::UNIX_EPOCH + Duration::from_secs(*valid.end()));

        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(settings.min_version.versions())?;
        let builder = match client_verifier(settings, authorities)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        // Here it shows if certificate and key do not belong together.
        let mut config = builder.with_single_cert(chain, key).map_err(|source| {
            TlsError::Certificate { key: "cert_file", path: cert_file.to_path_buf(), source }
        })?;
        config.alpn_protocols.clone_from(&settings.alpn);
        config.ticketer = Ticketer::new()?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), end_point, ends })
    }
}

fn client_verifier(
    settings: &ClientSide,
    authorities: &mut Authorities,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let key = "ca_file";
    let roots = match (&settings.ca_file, settings.mode) {
        (Some(path), _) => authorities.load(key, path)?.roots.clone(),
        (None, ClientMode::Verify) => {
            return Err(TlsError::Missing { key, mode: settings.mode.name() });
        }
        (None, _) => return Ok(None),
    };
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let builder = match settings.mode {
        ClientMode::Verify => builder,
        _ => builder.allow_unauthenticated(),
    };
    builder.build().map(Some).map_err(|source| TlsError::Verifier { key, source })
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("settings", &self.live.load().settings).finish()
    }
}
