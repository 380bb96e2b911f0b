//! How this agent knows its collector: by the provider's root, pinned at enrolment, and a fixed name instead of the
//! link's host (SECURITY 14). It works by address, by name and through a CONNECT proxy.
//!
//! At enrolment only the root's fingerprint is known: the collector shows its chain with the root at the end, and
//! [`EnrollVerifier`] takes the one certificate with that fingerprint as the only anchor. Afterwards the stored
//! roots are the anchors. A wrong clock of this host is survived within limits ([`clock`]).

pub(crate) mod clock;
pub(crate) mod rotating;
mod verifier;

use std::sync::Arc;

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::{WantsClientCert, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::CertificateDer,
};
use upheld_wire::v1;

use clock::{BoundedClock, Wall};
use rotating::RotatingIdentity;
pub(crate) use verifier::WrongRoot;
#[cfg(test)]
pub(crate) use verifier::fingerprint_of;
use verifier::{EnrollVerifier, LinkVerifier};

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsSetupError {
    /// The stored roots are of no use.
    #[error("the provider's roots cannot be used")]
    Roots(#[source] rustls::client::VerifierBuilderError),
    /// rustls refused.
    #[error("TLS cannot be set up")]
    Rustls(#[from] rustls::Error),
}

/// For the enrolment door: anchors on the root with `fingerprint` (base64url SHA-256 of its public key), shows no
/// certificate.
pub(crate) fn enrollment(
    fingerprint: &str,
    clock: &Arc<BoundedClock>,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientConfig, TlsSetupError> {
    let verifier = EnrollVerifier::new(fingerprint.to_owned(), Arc::clone(clock), Arc::clone(provider));
    let config = builder(Arc::new(verifier), clock, provider)?.with_no_client_auth();
    Ok(marked(config, v1::ALPN_ENROLL))
}

/// For the enrolment door of a collector that is known: anchors on the stored `roots`, shows no certificate.
pub(crate) fn returning(
    roots: &[CertificateDer<'static>],
    clock: &Arc<BoundedClock>,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientConfig, TlsSetupError> {
    let verifier = LinkVerifier::new(anchors(roots)?, v1::NAME_ENROLL, Arc::clone(clock), provider)?;
    let config = builder(Arc::new(verifier), clock, provider)?.with_no_client_auth();
    Ok(marked(config, v1::ALPN_ENROLL))
}

/// For the data door: anchors on the stored `roots`, shows whatever `identity` holds at that moment.
pub(crate) fn data(
    roots: &[CertificateDer<'static>],
    identity: &Arc<RotatingIdentity>,
    clock: &Arc<BoundedClock>,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientConfig, TlsSetupError> {
    let verifier = LinkVerifier::new(anchors(roots)?, v1::NAME_DATA, Arc::clone(clock), provider)?;
    let identity: Arc<RotatingIdentity> = Arc::clone(identity);
    let config = builder(Arc::new(verifier), clock, provider)?.with_client_cert_resolver(identity);
    Ok(marked(config, v1::ALPN_DATA))
}

fn anchors(roots: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut anchors = RootCertStore::empty();
    for root in roots {
        anchors.add(root.clone())?;
    }
    Ok(anchors)
}

fn builder(
    verifier: Arc<dyn ServerCertVerifier>,
    clock: &Arc<BoundedClock>,
    provider: &Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsSetupError> {
    let time = Arc::new(Wall(Arc::clone(clock)));
    Ok(ClientConfig::builder_with_details(Arc::clone(provider), time)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

/// The collector chooses the door by the first protocol offered (SECURITY 13).
fn marked(mut config: ClientConfig, marker: &[u8]) -> ClientConfig {
    config.alpn_protocols = vec![marker.to_vec(), b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use rustls::{CertificateError, ClientConnection, Error, ServerConfig, ServerConnection};

    use super::*;
    use crate::{identity::FreshKey, testing::Provider};

    fn ring() -> Arc<CryptoProvider> {
        Arc::new(rustls::crypto::ring::default_provider())
    }

    /// Unix seconds of the middle of the chain's life in these tests, 2026-11-21.
    const MIDDLE: u64 = 1_795_219_200;

    fn right_time() -> Timestamp {
        "2026-11-21T00:00:00Z".parse().unwrap()
    }

    fn ten_years_ahead() -> Timestamp {
        "2036-11-21T00:00:00Z".parse().unwrap()
    }

    fn ten_years_behind() -> Timestamp {
        "2016-11-21T00:00:00Z".parse().unwrap()
    }

    /// Shakes hands in memory; the client's verdict, or what it sent as its certificate.
    fn handshake(client: ClientConfig, server: ServerConfig) -> Result<(), Error> {
        let mut client = ClientConnection::new(Arc::new(client), "203.0.113.7".try_into().unwrap()).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        for _ in 0..10 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut read = wire.as_slice();
            while !read.is_empty() {
                server.read_tls(&mut read).unwrap();
                server.process_new_packets()?;
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut read = wire.as_slice();
            while !read.is_empty() {
                client.read_tls(&mut read).unwrap();
                client.process_new_packets()?;
            }
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        Ok(())
    }

    fn enroll_at(wall: fn() -> Timestamp, floor: u64, provider: &Provider) -> (Result<(), Error>, bool) {
        let clock = clock::test_clock(wall, floor);
        let client = enrollment(&provider.fingerprint(), &clock, &ring()).unwrap();
        (handshake(client, provider.enroll_door()), clock.is_suspect())
    }

    #[test]
    fn the_root_with_the_links_fingerprint_is_believed_by_its_fixed_name() {
        let provider = Provider::new((2026, 11, 1), (2027, 1, 30));
        assert_eq!(enroll_at(right_time, MIDDLE, &provider), (Ok(()), false));
    }

    #[test]
    fn another_providers_root_is_refused() {
        let (mine, other) = (Provider::new((2026, 11, 1), (2027, 1, 30)), Provider::new((2026, 11, 1), (2027, 1, 30)));
        let clock = clock::test_clock(right_time, MIDDLE);
        let client = enrollment(&mine.fingerprint(), &clock, &ring()).unwrap();
        let refused = handshake(client, other.enroll_door()).unwrap_err();
        assert!(matches!(&refused, Error::Other(other) if other.0.is::<WrongRoot>()), "{refused}");
    }

    #[test]
    fn a_root_that_is_shown_but_did_not_sign_is_refused() {
        let (mine, other) = (Provider::new((2026, 11, 1), (2027, 1, 30)), Provider::new((2026, 11, 1), (2027, 1, 30)));
        let clock = clock::test_clock(right_time, MIDDLE);
        let client = enrollment(&mine.fingerprint(), &clock, &ring()).unwrap();
        let refused = handshake(client, other.door_showing(&mine.root_der())).unwrap_err();
        // Both roots have one name here, so webpki gets as far as the signature.
        assert_eq!(refused, Error::InvalidCertificate(CertificateError::BadSignature));
    }

    #[test]
    fn a_clock_ten_years_off_either_way_is_survived_and_noted() {
        let provider = Provider::new((2026, 11, 1), (2027, 1, 30));
        assert_eq!(enroll_at(ten_years_ahead, MIDDLE, &provider), (Ok(()), true));
        assert_eq!(enroll_at(ten_years_behind, MIDDLE, &provider), (Ok(()), true));
        assert_eq!(enroll_at(ten_years_behind, 0, &provider), (Ok(()), true));
    }

    #[test]
    fn a_chain_that_ended_before_the_floor_is_never_believed() {
        let over = Provider::new((2016, 11, 1), (2017, 1, 30));
        for wall in [right_time, ten_years_ahead, ten_years_behind] {
            let (refused, suspect) = enroll_at(wall, MIDDLE, &over);
            let is_expired = matches!(
                refused,
                Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. } | CertificateError::Expired))
            );
            assert!(is_expired && !suspect, "{refused:?}");
        }
    }

    #[test]
    fn the_data_door_wants_its_own_name_and_takes_a_renewed_certificate() {
        let provider = Provider::new((2026, 11, 1), (2027, 1, 30));
        let clock = clock::test_clock(right_time, MIDDLE);
        let first = provider.identity(&FreshKey::generate().unwrap());
        let identity = Arc::new(RotatingIdentity::new(&first, &ring()).unwrap());
        let config = || data(&[provider.root_der()], &identity, &clock, &ring()).unwrap();
        assert_eq!(handshake(config(), provider.data_door()), Ok(()));
        identity.set(&provider.identity(&FreshKey::generate().unwrap()), &ring()).unwrap();
        assert_eq!(handshake(config(), provider.data_door()), Ok(()));
        let refused = handshake(config(), provider.door_named("collector.example")).unwrap_err();
        assert!(matches!(refused, Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })));
    }
}
