//! What a server's certificate says: how long it lasts, whether the public trusts it, whether its name fits.
//!
//! The handshake takes any certificate, because a check must see the one that is there; a secret is sent over such a
//! connection only where `super::auth` permits it. The signatures of the handshake are verified as usual, so that the server at least has the key.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, InvalidMessage, RootCertStore,
    SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use upheld_model::{Outcome, UnknownReason, check::PIN_PREFIX};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{ProbeResult, fault};

/// How long before its end a certificate is worth a word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Days {
    /// Under so many the check warns.
    pub(crate) warn: u16,
    /// Under so many it is bad.
    pub(crate) bad: u16,
}

/// A connection over which a server showed what it has.
pub(crate) struct Session {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) certificate: Certificate,
    /// How long the handshake took.
    pub(crate) took: Duration,
}

/// Takes certificates and describes them.
pub(crate) struct Inspector {
    client: Arc<ClientConfig>,
    public: Option<Arc<WebPkiServerVerifier>>,
}

impl Inspector {
    /// One that offers these protocols; a server that knows none of them ends the handshake.
    pub(crate) fn new(protocols: &[&[u8]]) -> Self {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
        let public = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build().ok();
        let verifier = Arc::new(TakesAny { provider: Arc::clone(&provider) });
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            // The ring provider has suites for both versions, which is all that this can fail for.
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // A resumed session would show the certificate of the first one.
        client.resumption = Resumption::disabled();
        Self { client: Arc::new(client), public }
    }

    /// Makes the handshake and describes what came. Bounded by the caller's deadline, and by rustls: a chain of more than
    /// 64 KiB ends it.
    pub(crate) async fn shake_hands(
        &self,
        stream: TcpStream,
        name: &ServerName<'static>,
        host: &str,
    ) -> Result<Session, ProbeResult> {
        let started = Instant::now();
        let connector = TlsConnector::from(Arc::clone(&self.client));
        let stream = connector.connect(name.clone(), stream).await.map_err(|error| judge_handshake(&error, host))?;
        let took = started.elapsed();
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificate = self.describe(chain, name, Timestamp::now());
        Ok(Session { certificate, stream, took })
    }

    pub(super) fn describe(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>, now: Timestamp) -> Certificate {
        let Some((leaf, issuers)) = chain.split_first() else { return Certificate::default() };
        let days = issuers.iter().filter_map(|issuer| lasts_days(issuer, now));
        let verified = self.public.as_ref().map(|verifier| {
            let at = UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().max(0).unsigned_abs()));
            verifier.verify_server_cert(leaf, issuers, name, &[], at)
        });
        let parsed = ParsedCertificate::try_from(leaf);
        Certificate {
            days_left: lasts_days(leaf, now),
            days_until: begins_in_days(leaf, now).filter(|days| *days > 0.0),
            issuer_days_left: days.reduce(f64::min),
            is_trusted: matches!(verified, Some(Ok(_))),
            is_named: parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok()),
            key: key_of(leaf),
            chain: chain.len(),
        }
    }
}

/// What is known of a certificate; the default knows nothing and trusts nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Certificate {
    days_left: Option<f64>,
    /// Days until it begins to be valid.
    days_until: Option<f64>,
    /// The shortest-lived of the certificates above it that the server sent.
    issuer_days_left: Option<f64>,
    /// Whether the public trusts it, by the roots of Mozilla.
    pub(crate) is_trusted: bool,
    /// Whether it has the name that was asked for.
    pub(crate) is_named: bool,
    /// The fingerprint of its key.
    pub(crate) key: Option<String>,
    /// How many certificates came.
    pub(crate) chain: usize,
}

impl Certificate {
    /// Whether a public authority vouches for it, for the name that was asked.
    pub(crate) fn is_vouched_for(&self) -> bool {
        self.is_trusted
    }

    /// Adds what is known to a result, and makes it worse where the certificate is: a failure of the page stands.
    pub(crate) fn judge(&self, result: ProbeResult, expected: Days) -> ProbeResult {
        let flag = |is: bool| if is { 1.0 } else { 0.0 };
        let mut result = result.value("tls_trusted", flag(self.is_trusted)).value("tls_name_fits", flag(self.is_named));
        for (name, days) in [("tls_days_left", self.days_left), ("tls_issuer_days_left", self.issuer_days_left)] {
            if let Some(days) = days {
                result = result.value(name, (days * 100.0).floor() / 100.0);
            }
        }
        let (verdict, why) = self.verdict(expected);
        if result.outcome == Outcome::Ok && verdict != Outcome::Ok {
            ProbeResult { outcome: verdict, ..result }.evidence(why)
        } else {
            result
        }
    }

    /// The leaf counts fully. An issuer counts as much where nobody but the site trusts the chain; in a publicly
    /// trusted chain it may be a spare that is not needed (as DST Root CA X3 was in 2021), and only warns.
    fn verdict(&self, expected: Days) -> (Outcome, String) {
        let (warn, bad) = (f64::from(expected.warn), f64::from(expected.bad));
        let parts =
            [("the certificate", self.days_left, true), ("its issuer's", self.issuer_days_left, !self.is_trusted)];
        let say = |whose: &str, days: f64| {
            if days < 0.0 {
                format!("{whose} expired {:.1} days ago", -days)
            } else {
                format!("{whose} expires in {days:.1} days")
            }
        };
        for (whose, days, is_decisive) in parts {
            if let Some(days) = days.filter(|days| is_decisive && *days < bad) {
                return (Outcome::Bad, say(whose, days));
            }
        }
        for (whose, days, _) in parts {
            if let Some(days) = days.filter(|days| *days < warn) {
                return (Outcome::Warn, say(whose, days));
            }
        }
        match self.days_until {
            Some(days) => {
                (Outcome::Warn, format!("the certificate becomes valid only in {days:.1} days: is a clock wrong?"))
            }
            None => (Outcome::Ok, String::new()),
        }
    }
}

/// SHA-256 over the public key with its algorithm, as curl's `--pinnedpubkey` takes it.
fn key_of(der: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let digest = Sha256::digest(certificate.public_key().raw);
    Some(format!("{PIN_PREFIX}{}", BASE64_STANDARD.encode(digest)))
}

fn days_from(now: Timestamp, then: x509_parser::time::ASN1Time) -> f64 {
    (then.timestamp() - now.as_second()) as f64 / 86_400.0
}

fn lasts_days(der: &CertificateDer<'_>, now: Timestamp) -> Option<f64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(days_from(now, certificate.validity().not_after))
}

fn begins_in_days(der: &CertificateDer<'_>, now: Timestamp) -> Option<f64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(days_from(now, certificate.validity().not_before))
}

/// A handshake that failed. Old devices speak only what is no longer spoken: that is our limit and not their fault.
fn judge_handshake(error: &std::io::Error, host: &str) -> ProbeResult {
    if let Some(result) = judge_alert(error) {
        return result;
    }
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        Some(
            Error::PeerIncompatible(_)
            | Error::AlertReceived(
                AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::InsufficientSecurity,
            ),
        ) => {
            let why = format!("{host} speaks no version of TLS from 1.2 on that this agent does: {error}");
            ProbeResult::unknown(UnknownReason::CannotProbe, why)
        }
        Some(Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge)) => {
            let why = "a message of its handshake is longer than 64 KiB, as no usual chain of certificates is";
            ProbeResult::bad(format!("TLS with {host} failed: {why}"))
        }
        Some(_) => ProbeResult::bad(format!("TLS with {host} failed: {error}")),
        None => ProbeResult::bad(format!("TLS with {host} broke off: {}", fault::in_words(error))),
    }
}

/// A server that wants a certificate of ours: `Unknown(Credentials)`. In TLS 1.3 it says so only after the handshake.
pub(crate) fn judge_alert(error: &std::io::Error) -> Option<ProbeResult> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    (*error == Error::AlertReceived(AlertDescription::CertificateRequired)).then(|| {
        let why = "the server wants a client certificate, which a check of this kind never has";
        ProbeResult::unknown(UnknownReason::Credentials, why)
    })
}

/// Takes any certificate whose key signed the handshake.
#[derive(Debug)]
struct TakesAny {
    provider: Arc<CryptoProvider>,
}

/// A certificate that the verifier cannot read (X.509 version 1, odd extensions) is taken too; a wrong signature by
/// one that it can read is not.
fn unless_unreadable(verified: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
    match verified {
        Err(Error::InvalidCertificate(error)) if error != CertificateError::BadSignature => {
            Ok(HandshakeSignatureValid::assertion())
        }
        other => other,
    }
}

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        unless_unreadable(verify_tls12_signature(message, certificate, signed, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        unless_unreadable(verify_tls13_signature(message, certificate, signed, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
