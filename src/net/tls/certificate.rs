//! What a certificate says: whom it names, and the hash that binds a login to it.

use ring::digest::{self, Algorithm, SHA256, SHA384, SHA512};
use std::ops::RangeInclusive;
use x509_cert::Certificate;
use x509_cert::der::asn1::ContextSpecific;
use x509_cert::der::{Any, Decode, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::AlgorithmIdentifierOwned;

const COMMON_NAME: &str = "2.5.4.3";

/// Whom a certificate names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The subject's CN, if there is exactly one that is plain text.
    pub common_name: Option<String>,
    /// DNS names of the subjectAltName.
    pub dns_names: Vec<String>,
}

impl Identity {
    /// Reads a DER certificate; nothing is known of one that cannot be read.
    pub fn of(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let names = certificate.tbs_certificate.get::<SubjectAltName>().ok().flatten();
        let dns_names = names.into_iter().flat_map(|(_, names)| names.0);
        let dns_names = dns_names.filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            _ => None,
        });
        Some(Self { common_name: common_name(&certificate), dns_names: dns_names.collect() })
    }
}

fn common_name(certificate: &Certificate) -> Option<String> {
    let parts = certificate.tbs_certificate.subject.0.iter().flat_map(|rdn| rdn.0.iter());
    let mut names = parts.filter(|part| part.oid.to_string() == COMMON_NAME);
    let (first, second) = (names.next()?, names.next());
    // Two names, or a name with a zero byte, are how one passes for somebody else.
    let text = text(&first.value).filter(|t| second.is_none() && !t.contains('\0'))?;
    Some(text.to_owned())
}

fn text(value: &Any) -> Option<&str> {
    let plain = [Tag::Utf8String, Tag::PrintableString, Tag::Ia5String, Tag::TeletexString];
    plain.contains(&value.tag()).then(|| std::str::from_utf8(value.value()).ok()).flatten()
}

/// `tls-server-end-point` of a DER certificate (RFC 5929 section 4.1): its hash by the hash
/// function of its own signature, SHA-256 in place of MD5 and SHA-1.
pub fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(der).ok()?;
    let hash = signature_hash(&certificate.signature_algorithm)?;
    Some(digest::digest(hash, der).as_ref().to_vec())
}

/// When a DER certificate is valid, in seconds since 1970, both ends included.
pub(super) fn validity(der: &[u8]) -> Option<RangeInclusive<u64>> {
    let valid = Certificate::from_der(der).ok()?.tbs_certificate.validity;
    let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
    Some(seconds(valid.not_before)..=seconds(valid.not_after))
}

fn signature_hash(signature: &AlgorithmIdentifierOwned) -> Option<&'static Algorithm> {
    match signature.oid.to_string().as_str() {
        // RSA with MD5, SHA-1, SHA-256; ECDSA with SHA-1, SHA-256.
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" => Some(&SHA256),
        "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => Some(&SHA256),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(&SHA384),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(&SHA512),
        "1.2.840.113549.1.1.10" => pss_hash(signature.parameters.as_ref()),
        _ => None,
    }
}

/// RSASSA-PSS names its hash in the parameters, SHA-1 if it does not (RFC 4055 section 3.1).
fn pss_hash(parameters: Option<&Any>) -> Option<&'static Algorithm> {
    let mut reader = SliceReader::new(parameters?.value()).ok()?;
    let hash =
        ContextSpecific::<AlgorithmIdentifierOwned>::decode_explicit(&mut reader, TagNumber::N0);
    match hash.ok()?.map(|field| field.value.oid.to_string()).as_deref() {
        None | Some("1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1") => Some(&SHA256),
        Some("2.16.840.1.101.3.4.2.2") => Some(&SHA384),
        Some("2.16.840.1.101.3.4.2.3") => Some(&SHA512),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SignatureAlgorithm};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    /// A self-signed certificate with these common names.
    fn made(algorithm: &'static SignatureAlgorithm, names: &[&str]) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name = rcgen::DistinguishedName::new();
        names.iter().for_each(|n| params.distinguished_name.push(DnType::CommonName, *n));
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    fn end_point_of_pem(pem: &[u8]) -> String {
        let der = CertificateDer::from_pem_slice(pem).expect("a certificate");
        let hash = end_point(&der).expect("a hash");
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The hashes are `openssl x509 -outform der | sha…sum` of the same files.
    #[test]
    fn the_hash_is_the_one_of_the_signature_and_never_sha1() {
        let old = end_point_of_pem(include_bytes!("fixtures/rsa_sha1.pem"));
        assert_eq!(old, "5c57795a7fad22f1cbae5c810dec7b88ba07c92e5eb978e38f8aeb455e62112d");
        let pss = end_point_of_pem(include_bytes!("fixtures/rsa_pss_sha384.pem"));
        assert_eq!(
            pss,
            "3fd667b803e9272ee95c28b5ce45858d0810a44149dc23a2\
             1d002861a6e0778270705dc3ac3dd0b90e6058975e1a3f1d"
        );
        let length = |algorithm| end_point(&made(algorithm, &["x"])).map(|hash| hash.len());
        assert_eq!(length(&rcgen::PKCS_ECDSA_P256_SHA256), Some(32));
        assert_eq!(length(&rcgen::PKCS_ECDSA_P384_SHA384), Some(48));
        assert_eq!(length(&rcgen::PKCS_ED25519), None);
    }

    #[test]
    fn a_common_name_is_taken_only_if_it_is_plain() {
        let name = |names| {
            let der = made(&rcgen::PKCS_ECDSA_P256_SHA256, names);
            Identity::of(&der).expect("a certificate").common_name
        };
        assert_eq!(name(&["app"]).as_deref(), Some("app"));
        assert_eq!(name(&["app\0.evil.example"]), None);
        assert_eq!(name(&[]), None);
        assert_eq!(Identity::of(b"no certificate"), None);
        assert_eq!(end_point(b"no certificate"), None);
    }
}
