//! The two verifiers: webpki's own, on pinned anchors, with the fixed name, at a survivable time.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::digest;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use upheld_wire::v1;

use super::{TlsSetupError, clock::BoundedClock};

/// How many bounds a chain can name before it is given up: each certificate of a chain of four has one that matters.
const BOUNDS_MAX: usize = 4;

/// Believes a chain that ends at one of the pinned roots and names the fixed host.
#[derive(Debug)]
pub(super) struct LinkVerifier {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
    clock: Arc<BoundedClock>,
}

/// Believes a chain that ends at the presented certificate with the link's fingerprint.
#[derive(Debug)]
pub(super) struct EnrollVerifier {
    fingerprint: String,
    clock: Arc<BoundedClock>,
    provider: Arc<CryptoProvider>,
}

/// The collector is another one than the link names. Travels inside `rustls::Error::Other`.
#[derive(Debug, thiserror::Error)]
#[error("the server does not show the provider's key that the link names")]
pub(crate) struct WrongRoot;

impl LinkVerifier {
    pub(super) fn new(
        anchors: RootCertStore,
        name: &'static str,
        clock: Arc<BoundedClock>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsSetupError> {
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(anchors), Arc::clone(provider))
            .build()
            .map_err(TlsSetupError::Roots)?;
        let name = ServerName::try_from(name).map_err(|_| Error::General("the fixed name is no DNS name".into()))?;
        Ok(Self { inner, name, clock })
    }

    fn verify_at(&self, seen: &Seen<'_>, at: UnixTime) -> Result<ServerCertVerified, Error> {
        self.inner.verify_server_cert(seen.leaf, seen.others, &self.name, seen.ocsp, at)
    }

    /// Verifies at `now`, or at the floor where `now` lies before it and so cannot be true; where only the time is
    /// wrong, at the bound that the error names, and never before the floor.
    fn verify_bounded(&self, seen: &Seen<'_>, now: UnixTime) -> Result<ServerCertVerified, Error> {
        let floor = self.clock.floor();
        let mut at = now.max(floor);
        let mut outcome = self.verify_at(seen, at);
        for _ in 0..BOUNDS_MAX {
            // The error itself carries the bound: no second reading of the certificate that could differ.
            at = match &outcome {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => *not_before,
                Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }))
                    if *not_after >= floor =>
                {
                    *not_after
                }
                Ok(_) | Err(_) => break,
            };
            outcome = self.verify_at(seen, at);
        }
        if outcome.is_ok() {
            self.clock.note(at != now);
        }
        outcome
    }
}

/// What a server showed.
struct Seen<'a> {
    leaf: &'a CertificateDer<'a>,
    others: &'a [CertificateDer<'a>],
    ocsp: &'a [u8],
}

impl ServerCertVerifier for LinkVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _link_host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify_bounded(&Seen { leaf, others, ocsp }, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl EnrollVerifier {
    pub(super) fn new(fingerprint: String, clock: Arc<BoundedClock>, provider: Arc<CryptoProvider>) -> Self {
        Self { fingerprint, clock, provider }
    }

    fn anchored(&self, shown: &[CertificateDer<'_>]) -> Result<LinkVerifier, Error> {
        let root = shown.iter().find(|certificate| fingerprint_of(certificate).is_some_and(|f| f == self.fingerprint));
        let root = root.ok_or_else(|| Error::Other(rustls::OtherError(Arc::new(WrongRoot))))?;
        let mut anchors = RootCertStore::empty();
        anchors.add(root.clone().into_owned())?;
        LinkVerifier::new(anchors, v1::NAME_ENROLL, Arc::clone(&self.clock), &self.provider)
            .map_err(|error| Error::General(error.to_string()))
    }
}

impl ServerCertVerifier for EnrollVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _link_host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Never the leaf: a root that serves is no root.
        self.anchored(others)?.verify_bounded(&Seen { leaf, others, ocsp }, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Base64url SHA-256 of a certificate's public key with its header (SPKI), the same bytes that
/// `curl --pinnedpubkey` hashes. `None` for what is no certificate.
pub(crate) fn fingerprint_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, parsed.public_key().raw)))
}
