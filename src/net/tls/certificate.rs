//! What a certificate says: whom it names, and the hash that binds a login to it.

use ring::digest::{self, Algorithm, SHA256, SHA384, SHA512};
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
