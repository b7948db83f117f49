//! How much of a server's certificate is checked.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

use super::certificate::validity;
use super::files::Bundle;

/// Checks as much as the mode asks. In every case the peer has to hold the private key
/// of the certificate it shows, or channel binding would prove nothing.
#[derive(Debug)]
pub(super) enum Trust {
    /// Any certificate: encrypted, but the peer may be anyone (`prefer`, `require`).
    Anything(Arc<CryptoProvider>),
    /// The chain, and with `name` whom the certificate is for (`verify-ca`, `verify-full`).
    Chain { webpki: Arc<WebPkiServerVerifier>, bundle: Arc<Bundle>, name: bool },
}

/// A self-signed certificate that stands in `ca_file` itself: PostgreSQL's manual makes such
/// (`openssl req -x509`) and libpq takes them, rustls does not, for it is marked as an authority.
fn listed_itself(
    end_entity: &CertificateDer<'_>,
    server_name: Option<&ServerName<'_>>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    let refuse = |why| Err(Error::InvalidCertificate(why));
    match validity(end_entity) {
        None => return refuse(CertificateError::BadEncoding),
        Some(valid) if now.as_secs() < *valid.start() => {
            return refuse(CertificateError::NotValidYet);
        }
        Some(valid) if now.as_secs() > *valid.end() => return refuse(CertificateError::Expired),
        Some(_) => {}
    }
    if let Some(name) = server_name {
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
    }
    Ok(ServerCertVerified::assertion())
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trust::Chain { webpki, bundle, name } = self else {
            return Ok(ServerCertVerified::assertion());
        };
        if bundle.certificates.iter().any(|listed| listed == end_entity) {
            return listed_itself(end_entity, name.then_some(server_name), now);
        }
        match webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
            // rustls checks the name last, after the whole chain.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self {
            Trust::Anything(provider) => verify_tls12_signature(
                message,
                cert,
                signed,
                &provider.signature_verification_algorithms,
            ),
            Trust::Chain { webpki, .. } => webpki.verify_tls12_signature(message, cert, signed),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self {
            Trust::Anything(provider) => verify_tls13_signature(
                message,
                cert,
                signed,
                &provider.signature_verification_algorithms,
            ),
            Trust::Chain { webpki, .. } => webpki.verify_tls13_signature(message, cert, signed),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self {
            Trust::Anything(provider) => {
                provider.signature_verification_algorithms.supported_schemes()
            }
            Trust::Chain { webpki, .. } => webpki.supported_verify_schemes(),
        }
    }
}
