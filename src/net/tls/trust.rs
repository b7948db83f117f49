//! How much of a server's certificate is checked, where that is less than everything.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

/// Checks less than rustls does by itself. In every case the peer has to hold the private key
/// of the certificate it shows, or channel binding would prove nothing.
#[derive(Debug)]
pub(super) enum Lenient {
    /// Any certificate: encrypted, but the peer may be anyone (`prefer`, `require`).
    Anything(Arc<CryptoProvider>),
    /// The chain, not the name (`verify-ca`).
    Chain(Arc<WebPkiServerVerifier>),
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Lenient::Chain(webpki) = self else { return Ok(ServerCertVerified::assertion()) };
        match webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
            // rustls checks the name last, after the whole chain.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
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
            Lenient::Anything(provider) => verify_tls12_signature(
                message,
                cert,
                signed,
                &provider.signature_verification_algorithms,
            ),
            Lenient::Chain(webpki) => webpki.verify_tls12_signature(message, cert, signed),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self {
            Lenient::Anything(provider) => verify_tls13_signature(
                message,
                cert,
                signed,
                &provider.signature_verification_algorithms,
            ),
            Lenient::Chain(webpki) => webpki.verify_tls13_signature(message, cert, signed),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self {
            Lenient::Anything(provider) => {
                provider.signature_verification_algorithms.supported_schemes()
            }
            Lenient::Chain(webpki) => webpki.supported_verify_schemes(),
        }
    }
}
