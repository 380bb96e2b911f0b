//! The keys of this host: made here, never sent (SECURITY 12). A TLS key with its certificate, and an Ed25519 key
//! for evidence.
//!
//! The TLS key and its chain lie in one PEM file, so that a renewal changes both at once or neither.

use std::path::Path;

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use upheld_evidence::{SigningKey, from_hex, to_hex};

use crate::{
    failure::{Code, Failure},
    files,
    state::StateFolder,
};

/// A TLS key without a certificate yet.
pub(crate) struct FreshKey {
    key: KeyPair,
}

/// A TLS key with the chain that the collector gave for it. Prints without the key: rustls elides it.
#[derive(Debug)]
pub(crate) struct TlsIdentity {
    /// The agent's certificate, then the intermediate.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The private key.
    pub(crate) key: PrivateKeyDer<'static>,
    /// From when the certificate is valid.
    pub(crate) not_before: Timestamp,
    /// Until when.
    pub(crate) not_after: Timestamp,
}

impl FreshKey {
    /// Makes an ECDSA P-256 key from the system's random source.
    pub(crate) fn generate() -> Result<Self, Failure> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|error| Failure::new(Code::Failed, "cannot make a TLS key").because(error))?;
        Ok(Self { key })
    }

    /// The key that a host asks to be taken back with: the one that is kept, or a new one, kept before it is used.
    pub(crate) fn for_return(state: &StateFolder) -> Result<Self, Failure> {
        let path = state.return_pem();
        let kept = files::read_if_there(&path).map_err(|error| state.unusable(error))?;
        // One that cannot be read is as good as none: it has signed nothing yet.
        if let Some(key) = kept.and_then(|pem| KeyPair::from_pem(&pem).ok()) {
            return Ok(Self { key });
        }
        let fresh = Self::generate()?;
        files::replace(&path, fresh.key.serialize_pem().as_bytes()).map_err(|error| state.unusable(error))?;
        Ok(fresh)
    }

    /// The PKCS #10 request, PEM. Its names mean nothing: the collector gives the id.
    pub(crate) fn request_pem(&self) -> Result<String, Failure> {
        CertificateParams::default()
            .serialize_request(&self.key)
            .and_then(|request| request.pem())
            .map_err(|error| Failure::new(Code::Failed, "cannot make a certificate request").because(error))
    }

    /// Key and chain as one PEM text, after a look that the certificate is for this key.
    pub(crate) fn with_chain(&self, chain_pem: &str) -> Result<String, Failure> {
        let pem = format!("{}{chain_pem}", self.key.serialize_pem());
        let identity = TlsIdentity::from_pem(&pem).map_err(|why| chain_refused().why(why))?;
        // TlsIdentity has at least one certificate, and it was parsed there.
        let ours = x509_parser::parse_x509_certificate(&identity.chain[0]).is_ok_and(|(_, certificate)| {
            certificate.public_key().subject_public_key.data == self.key.public_key_raw()
        });
        if ours { Ok(pem) } else { Err(chain_refused().why("its key is not the one that was made here")) }
    }
}

impl TlsIdentity {
    /// Reads the state folder's key and chain.
    pub(crate) fn load(state: &StateFolder) -> Result<Self, Failure> {
        let path = state.tls_pem();
        let pem = required(state, &path)?;
        Self::from_pem(&pem).map_err(|why| damaged(&path).why(why))
    }

    /// Takes a PEM text with a key and its chain apart.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, String> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| format!("no private key: {error}"))?;
        let chain = certificates(pem)?;
        let leaf = chain.first().ok_or("no certificate")?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf).map_err(|error| format!("certificate: {error}"))?;
        let instant = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).map_err(|error| format!("certificate: {error}"))
        };
        let (not_before, not_after) = (instant(parsed.validity().not_before)?, instant(parsed.validity().not_after)?);
        Ok(Self { not_before, not_after, chain, key })
    }

    /// When a new certificate is due: after a third of its life, day 15 of 45 (SECURITY 14).
    pub(crate) fn renew_from(&self) -> Timestamp {
        let life = self.not_after.duration_since(self.not_before);
        self.not_before.saturating_add(life / 3).unwrap_or(self.not_after)
    }
}

/// The certificates of a PEM text, in order.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("certificate: {error}"))
}

/// Makes the key that signs what this agent saw; returns it with the text to keep.
pub(crate) fn new_signing_key() -> Result<(SigningKey, String), Failure> {
    let mut seed = [0; 32];
    let failed = || Failure::new(Code::Failed, "cannot make a signing key");
    getrandom::fill(&mut seed).map_err(|error| failed().because(error))?;
    let key = SigningKey::from_seed(&seed).map_err(|error| failed().because(error))?;
    Ok((key, format!("{}\n", to_hex(&seed))))
}

/// Reads the state folder's signing key.
pub(crate) fn load_signing_key(state: &StateFolder) -> Result<SigningKey, Failure> {
    let path = state.signing_key();
    let text = required(state, &path)?;
    let seed = from_hex::<32>(text.trim()).map_err(|error| damaged(&path).because(error))?;
    SigningKey::from_seed(&seed).map_err(|error| damaged(&path).because(error))
}

fn required(state: &StateFolder, path: &Path) -> Result<String, Failure> {
    match files::read_if_there(path).map_err(|error| state.unusable(error))? {
        Some(text) => Ok(text),
        None => Err(damaged(path).why("there is no such file")),
    }
}

fn damaged(path: &Path) -> Failure {
    Failure::new(Code::Invalid, format!("cannot use {}", path.display()))
        .help("restore it from a backup, or get a new link and enroll again with --replace")
}

fn chain_refused() -> Failure {
    Failure::new(Code::Refused, "the collector's certificate for this host cannot be used")
        .help("this is the collector's fault: look at its log, then enroll again with a new link")
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateSigningRequestParams, Issuer};

    use super::*;

    fn certified(request_pem: &str) -> String {
        let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let issuer = Issuer::new(CertificateParams::default(), ca_key);
        let mut request = CertificateSigningRequestParams::from_pem(request_pem).unwrap();
        request.params.not_before = rcgen::date_time_ymd(2026, 11, 1);
        request.params.not_after = rcgen::date_time_ymd(2026, 12, 16);
        request.signed_by(&issuer).unwrap().pem()
    }

    #[test]
    fn renewal_is_due_from_day_fifteen_of_forty_five() {
        let key = FreshKey::generate().unwrap();
        let pem = key.with_chain(&certified(&key.request_pem().unwrap())).unwrap();
        let identity = TlsIdentity::from_pem(&pem).unwrap();
        assert_eq!(identity.renew_from().to_string(), "2026-11-16T00:00:00Z");
    }

    #[test]
    fn a_certificate_for_another_key_is_refused() {
        let (mine, other) = (FreshKey::generate().unwrap(), FreshKey::generate().unwrap());
        let refused = mine.with_chain(&certified(&other.request_pem().unwrap())).unwrap_err();
        assert!(refused.to_string().contains("not the one that was made here"));
    }

    #[test]
    fn a_signing_key_reads_back_and_its_text_is_nowhere_in_what_it_prints() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        let (made, text) = new_signing_key().unwrap();
        files::replace(&state.signing_key(), text.as_bytes()).unwrap();
        let read = load_signing_key(&state).unwrap();
        assert_eq!(read.public(), made.public());
        assert!(!format!("{read:?}").contains(text.trim()));
    }
}
