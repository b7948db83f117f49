//! A throwaway authority and the certificates it signs.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// PEM files of a certificate and its private key.
pub(crate) struct Pair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

fn named(mut parameters: CertificateParams, common_name: &str) -> CertificateParams {
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let folder = tempfile::tempdir().expect("a folder");
        // Authorities of one name would be told apart by their keys only, and late.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut own = named(CertificateParams::default(), &name);
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = own.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("ca.crt"), certificate.pem()).expect("written");
        Authority { folder, issuer: Issuer::new(own, key) }
    }

    /// The file with its own certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// A certificate for these names and addresses, its common name the first of them.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        let alternatives: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let parameters = CertificateParams::new(alternatives).expect("parameters");
        self.sign(named(parameters, names[0]), names[0])
    }

    /// A certificate of a user.
    pub(crate) fn user(&self, name: &str) -> Pair {
        self.sign(named(CertificateParams::default(), name), name)
    }

    fn sign(&self, parameters: CertificateParams, name: &str) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        let pair = Pair { cert: file("crt"), key: file("key") };
        fs::write(&pair.cert, certificate.pem()).expect("written");
        private(&pair.key, &key.serialize_pem());
        pair
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("permissions");
}
