//! One key with its certificate, in memory and in one PEM file, so that the two can never be of different ages.

use std::{net::IpAddr, path::Path, sync::OnceLock};

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use x509_parser::extensions::GeneralName;

use super::PkiError;

pub(super) const ROOT: &str = "root.pem";
pub(super) const INTERMEDIATE: &str = "intermediate.pem";
pub(super) const DOOR: &str = "doors.pem";
pub(super) const PORTAL: &str = "portal.pem";

/// A key and its certificate.
pub(super) struct Held {
    key_pem: String,
    key_der: Vec<u8>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    not_after: Timestamp,
    /// Asked for with each request of an agent.
    subject: OnceLock<String>,
}

impl Held {
    /// A new key with a certificate by `issuer`, or by itself.
    pub(super) fn signed(
        profile: CertificateParams,
        issuer: Option<&Issuer<'static, KeyPair>>,
        of: &'static str,
    ) -> Result<Self, PkiError> {
        let key = KeyPair::generate().map_err(|source| PkiError::Sign { of, source })?;
        Self::with_key(&key, profile, issuer, of)
    }

    /// The same key with another self-made certificate.
    pub(super) fn signed_again(&self, profile: CertificateParams, of: &'static str) -> Result<Self, PkiError> {
        let key = self.key().map_err(|source| PkiError::Sign { of, source })?;
        Self::with_key(&key, profile, None, of)
    }

    fn with_key(
        key: &KeyPair,
        profile: CertificateParams,
        issuer: Option<&Issuer<'static, KeyPair>>,
        of: &'static str,
    ) -> Result<Self, PkiError> {
        let made = match issuer {
            Some(issuer) => profile.signed_by(key, issuer),
            None => profile.self_signed(key),
        };
        let made = made.map_err(|source| PkiError::Sign { of, source })?;
        Ok(Self {
            key_pem: key.serialize_pem(),
            key_der: key.serialize_der(),
            certificate: made.der().clone(),
            certificate_pem: made.pem(),
            not_after: super::profile::instant(profile.not_after),
            subject: OnceLock::new(),
        })
    }

    /// Reads the pair.
    pub(super) fn load(path: &Path) -> Result<Self, PkiError> {
        Self::parse(&crate::files::read_text(path)?, path)
    }

    /// Reads the pair out of the text, or a part of the text, of `path`.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, PkiError> {
        let content = |why: String| PkiError::Content { path: path.to_owned(), why };
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|e| content(format!("no key ({e})")))?;
        let key = KeyPair::try_from(&key).map_err(|e| content(format!("the key cannot be used ({e})")))?;
        let (certificate, certificate_pem) = certificate_in(text, path)?;
        let (not_after, spki) = {
            let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
                .map_err(|e| content(format!("the certificate cannot be read ({e})")))?;
            let seconds = parsed.validity().not_after.timestamp();
            let not_after = Timestamp::from_second(seconds).map_err(|e| content(e.to_string()))?;
            (not_after, parsed.public_key().raw.to_vec())
        };
        if spki != rcgen::PublicKeyData::subject_public_key_info(&key) {
            return Err(content("the certificate is of another key".to_owned()));
        }
        let (key_pem, key_der, subject) = (key.serialize_pem(), key.serialize_der(), OnceLock::new());
        Ok(Self { key_pem, key_der, certificate, certificate_pem, not_after, subject })
    }

    /// The pair as it is kept.
    pub(super) fn pem(&self) -> String {
        format!("{}{}", self.key_pem, self.certificate_pem)
    }

    /// Writes the pair, whole, for the owner only.
    pub(super) fn store(&self, path: &Path) -> Result<(), PkiError> {
        Ok(crate::files::write_private(path, self.pem().as_bytes())?)
    }

    /// This pair's key, once more certified by another issuer; PEM. `profile` has the name of this pair's own.
    pub(super) fn crossed(
        &self,
        profile: CertificateParams,
        issuer: &Issuer<'static, KeyPair>,
        of: &'static str,
    ) -> Result<String, PkiError> {
        let sign = |source| PkiError::Sign { of, source };
        Ok(profile.signed_by(&self.key().map_err(sign)?, issuer).map_err(sign)?.pem())
    }

    /// Whether this certificate was signed under this issuer's name.
    pub(super) fn is_issued_by(&self, issuer: &Self) -> bool {
        let of = |certificate: &CertificateDer<'_>| {
            let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
            Some((parsed.issuer().as_raw().to_vec(), parsed.subject().as_raw().to_vec()))
        };
        match (of(&self.certificate), of(&issuer.certificate)) {
            (Some((mine, _)), Some((_, its))) => mine == its,
            _ => false,
        }
    }

    /// The name that it signs under, as a certificate that it signed shows it.
    pub(super) fn subject(&self) -> &str {
        self.subject.get_or_init(|| {
            x509_parser::parse_x509_certificate(&self.certificate)
                .map(|(_, parsed)| parsed.subject().to_string())
                .unwrap_or_default()
        })
    }

    /// When it was made.
    pub(super) fn made_at(&self) -> Timestamp {
        let begins = x509_parser::parse_x509_certificate(&self.certificate)
            .ok()
            .and_then(|(_, parsed)| Timestamp::from_second(parsed.validity().not_before.timestamp()).ok());
        super::profile::made_at(begins.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Whether less than `least` is left.
    pub(super) fn ends_within(&self, least: SignedDuration, now: Timestamp) -> bool {
        self.not_after.duration_since(now) < least
    }

    /// Whether the certificate names every one of these hosts and addresses.
    pub(super) fn bears(&self, names: &[String]) -> bool {
        let borne = names_of(&self.certificate);
        names.iter().all(|name| borne.contains(name))
    }

    /// The pair as a signer of others.
    pub(super) fn issuer(&self) -> Result<Issuer<'static, KeyPair>, PkiError> {
        let sign = |source| PkiError::Sign { of: "an issuer", source };
        Issuer::from_ca_cert_der(&self.certificate, self.key().map_err(sign)?).map_err(sign)
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub(super) fn certificate_pem(&self) -> String {
        self.certificate_pem.clone()
    }

    pub(super) fn not_after(&self) -> Timestamp {
        self.not_after
    }

    pub(super) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_der.clone()))
    }

    fn key(&self) -> Result<KeyPair, rcgen::Error> {
        KeyPair::from_pem(&self.key_pem)
    }
}

/// The first certificate of a text, and the text from there on.
pub(super) fn certificate_in(text: &str, path: &Path) -> Result<(CertificateDer<'static>, String), PkiError> {
    let content = |why: String| PkiError::Content { path: path.to_owned(), why };
    let certificate =
        CertificateDer::from_pem_slice(text.as_bytes()).map_err(|e| content(format!("no certificate ({e})")))?;
    let from = text.find("-----BEGIN CERTIFICATE-----").unwrap_or_default();
    let until = text.find(super::rotation::SEPARATOR).unwrap_or(text.len());
    Ok((certificate, text[from..until.max(from)].to_owned()))
}

fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return Vec::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    names.value.general_names.iter().filter_map(name_text).collect()
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(dns) = name {
        return Some((*dns).to_owned());
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    let address = match <[u8; 4]>::try_from(*bytes) {
        Ok(v4) => IpAddr::from(v4),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
    };
    Some(address.to_string())
}
