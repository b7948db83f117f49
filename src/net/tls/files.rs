//! Certificates and keys from PEM files; bundles of authorities are read once and shared.

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why TLS cannot be set up. Names the key and the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{key}: needed by mode {mode:?}")]
    Missing { key: &'static str, mode: &'static str },
    #[error("{key}: needed beside {other}")]
    Alone { key: &'static str, other: &'static str },
    #[error("{key} = {}: {source}", path.display())]
    Read { key: &'static str, path: PathBuf, source: io::Error },
    #[error("{key} = {}: {source}", path.display())]
    Pem { key: &'static str, path: PathBuf, source: pem::Error },
    #[error("{key} = {}: no certificate in the file", path.display())]
    Empty { key: &'static str, path: PathBuf },
    #[error("{key} = {}: {source}", path.display())]
    Certificate { key: &'static str, path: PathBuf, source: rustls::Error },
    #[error("{key}: {source}")]
    Verifier { key: &'static str, source: rustls::server::VerifierBuilderError },
    #[error("tls: {source}")]
    Rustls { source: rustls::Error },
}

impl From<rustls::Error> for TlsError {
    fn from(source: rustls::Error) -> Self {
        Self::Rustls { source }
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { key, path: path.to_path_buf(), source })
}

pub(super) fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(key, path)?).collect();
    let found = found.map_err(|source| TlsError::Pem { key, path: path.to_path_buf(), source })?;
    if found.is_empty() {
        return Err(TlsError::Empty { key, path: path.to_path_buf() });
    }
    Ok(found)
}

pub(super) fn private_key(
    key: &'static str,
    path: &Path,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = zeroize::Zeroizing::new(read(key, path)?);
    PrivateKeyDer::from_pem_slice(&text).map_err(|source| TlsError::Pem {
        key,
        path: path.to_path_buf(),
        source,
    })
}

/// The certificates of one file, as they are and as authorities.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) roots: Arc<RootCertStore>,
}

/// Bundles of authorities by file: one copy in memory, however many clusters and listeners use
/// it. Make a new one for a reload, so that changed files are read again.
#[derive(Debug, Default)]
pub struct Authorities {
    read: HashMap<PathBuf, Arc<Bundle>>,
}

impl Authorities {
    pub(super) fn load(&mut self, key: &'static str, path: &Path) -> Result<Arc<Bundle>, TlsError> {
        if let Some(bundle) = self.read.get(path) {
            return Ok(bundle.clone());
        }
        let mut roots = RootCertStore::empty();
        let certificates = certificates(key, path)?;
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|source| TlsError::Certificate {
                key,
                path: path.to_path_buf(),
                source,
            })?;
        }
        let bundle = Arc::new(Bundle { certificates, roots: Arc::new(roots) });
        self.read.insert(path.to_path_buf(), bundle.clone());
        Ok(bundle)
    }
}
