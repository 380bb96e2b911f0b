//! Fingerprints, each in the notation of the tool that will compare it. A pin is over the public key (SPKI), so it
//! survives the renewal of a certificate.

use base64::{Engine, engine::general_purpose};
use sha2::{Digest, Sha256};

/// Base64url without padding, 43 characters: the fragment of an enrolment link.
pub(crate) fn link_fingerprint(certificate: &[u8]) -> String {
    general_purpose::URL_SAFE_NO_PAD.encode(spki_sha256(certificate))
}

/// Standard base64, 44 characters: `curl --pinnedpubkey sha256//…`.
pub(crate) fn curl_pin(certificate: &[u8]) -> String {
    general_purpose::STANDARD.encode(spki_sha256(certificate))
}

/// SHA-256 of the whole certificate in hexadecimal pairs: what a browser shows.
pub(crate) fn certificate_sha256(certificate: &[u8]) -> String {
    let pairs: Vec<String> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// The digest of the public key, or of nothing when the bytes are no certificate: a pin that matches no key.
fn spki_sha256(certificate: &[u8]) -> [u8; 32] {
    let spki = x509_parser::parse_x509_certificate(certificate)
        .map(|(_, parsed)| parsed.public_key().raw.to_vec())
        .unwrap_or_default();
    Sha256::digest(spki).into()
}
