//! The three TLS configurations, each with sessions of its own.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};

use super::Door;
use crate::pki::{Pki, Presented};

/// One configuration per door.
pub(crate) struct TlsSet {
    data: Arc<ServerConfig>,
    enrolment: Arc<ServerConfig>,
    portal: Arc<ServerConfig>,
}

/// Why keys and certificates do not make a configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A key does not fit its certificate, or the anchor is none.
    #[error("the collector's own certificates cannot be used")]
    Certificates(#[from] rustls::Error),
    /// The verifier of agents' certificates cannot be built.
    #[error("the root cannot be used to verify agents")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

impl TlsSet {
    /// Configurations that present the authority's certificates.
    pub(crate) fn new(pki: &Pki) -> Result<Self, TlsError> {
        Ok(Self {
            data: Arc::new(data(pki)?),
            enrolment: Arc::new(open(pki.enrolment_door(), &[&TLS13])?),
            // The install lines of older systems (curl, PowerShell) speak TLS 1.2.
            portal: Arc::new(open(pki.portal(), &[&TLS13, &TLS12])?),
        })
    }

    /// The configuration of one door.
    pub(super) fn of(&self, door: Door) -> Arc<ServerConfig> {
        Arc::clone(match door {
            Door::Data => &self.data,
            Door::Enrolment => &self.enrolment,
            Door::Portal => &self.portal,
        })
    }
}

/// A client certificate is required and no session outlives its handshake: a resumed one would skip the verifier,
/// and kept an expired certificate alive in trials (SECURITY 13).
fn data(pki: &Pki) -> Result<ServerConfig, TlsError> {
    let mut anchors = RootCertStore::empty();
    for root in pki.roots() {
        anchors.add(root)?;
    }
    let verifier = WebPkiClientVerifier::builder(Arc::new(anchors)).build()?;
    let Presented { chain, key } = pki.data_door();
    let mut config = ServerConfig::builder_with_protocol_versions(&[&TLS13])
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(with_http(config))
}

/// Each call makes a session storage of its own (the library's default), never shared between doors.
fn open(
    presented: Presented,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<ServerConfig, TlsError> {
    let config = ServerConfig::builder_with_protocol_versions(versions)
        .with_no_client_auth()
        .with_single_cert(presented.chain, presented.key)?;
    Ok(with_http(config))
}

fn with_http(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
