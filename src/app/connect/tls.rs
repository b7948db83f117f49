//! TLS for `check --connect`, as `clusters.X.tls` asks for it.

use crate::config::{ServerTls, ServerTlsMode};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::path::Path;
use std::sync::Arc;
use tokio_postgres::config::SslMode;

pub(super) fn libpq_mode(mode: ServerTlsMode) -> SslMode {
    match mode {
        ServerTlsMode::Disable => SslMode::Disable,
        ServerTlsMode::Prefer => SslMode::Prefer,
        _ => SslMode::Require,
    }
}

/// `None` yields a configuration for connections that do not use TLS.
pub(super) fn client(settings: Option<&ServerTls>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let mode = settings.map_or(ServerTlsMode::Disable, |s| s.mode);
    let trusted = match settings.and_then(|s| s.ca.as_ref()) {
        Some(ca) => Some(authorities(ca, &provider)?),
        None => None,
    };
    let verifier = Arc::new(Verifier { mode, trusted, provider: provider.clone() });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match settings.and_then(|s| Some((s.cert.as_ref()?, s.key.as_ref()?))) {
        None => Ok(builder.with_no_client_auth()),
        Some((cert, key)) => {
            let private =
                PrivateKeyDer::from_pem_file(key).map_err(|e| format!("{}: {e}", key.display()))?;
            builder
                .with_client_auth_cert(certificates(cert)?, private)
                .map_err(|e| format!("{}: {e}", cert.display()))
        }
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let named = |e| format!("{}: {e}", file.display());
    let found = CertificateDer::pem_file_iter(file).map_err(named)?;
    found.collect::<Result<Vec<_>, _>>().map_err(named)
}

fn authorities(
    file: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|e| format!("{}: {e}", file.display()))
}

/// Verifies as much of a server's certificate as the mode asks for. Source: libpq's
/// documentation, "Protection Provided in Different Modes".
#[derive(Debug)]
struct Verifier {
    mode: ServerTlsMode,
    trusted: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifies = matches!(self.mode, ServerTlsMode::VerifyCa | ServerTlsMode::VerifyFull);
        if !verifies {
            return Ok(ServerCertVerified::assertion());
        }
        let Some(trusted) = &self.trusted else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        match trusted.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The name is checked last, so everything before it was in order.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.mode == ServerTlsMode::VerifyCa => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
