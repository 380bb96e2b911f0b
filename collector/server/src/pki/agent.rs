//! Agents' certificates: given against a request whose names are ignored, and read back from a connection.
//!
//! The identity stands in one place, the URI `upheld:agent:ID`. TLS has verified the chain before [`identify`] is
//! asked; it refuses what our own authority never signs, as a second line.

use jiff::Timestamp;
use rcgen::CertificateSigningRequestParams;
use sha2::{Digest as _, Sha256};
use upheld_model::AgentId;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

use super::{Pki, PkiError, profile};

const PREFIX: &str = "upheld:agent:";

/// An agent's new certificate.
#[derive(Debug)]
pub(crate) struct Issued {
    /// The agent's certificate and the intermediate, PEM.
    pub(crate) chain_pem: String,
    /// When it was made, in whole seconds: what [`Peer::issued_at`] reads out of it.
    pub(crate) issued_at: Timestamp,
    /// When it ends.
    pub(crate) not_after: Timestamp,
}

/// Who is at the other end of a connection to the data door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The agent.
    pub(crate) agent: AgentId,
    /// When its certificate was made.
    pub(crate) issued_at: Timestamp,
    /// The name of the intermediate that signed it.
    pub(crate) issuer: String,
    /// When its certificate ends.
    pub(crate) not_after: Timestamp,
}

/// Why a verified certificate is not an agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeerError {
    /// It cannot be parsed.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It may sign others.
    #[error("the certificate is a CA's")]
    Ca,
    /// Its uses are not exactly clientAuth.
    #[error("the certificate is not for clients only")]
    Use,
    /// It has no name, or more than one, or another kind of name.
    #[error("the certificate does not name exactly one agent")]
    Name,
}

impl Pki {
    /// Signs an agent's key. Whether `id` may have a certificate has been decided by the desk.
    pub(crate) fn issue(&self, csr_pem: &str, id: &AgentId, now: Timestamp) -> Result<Issued, PkiError> {
        let request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(PkiError::Request)?;
        let profile = profile::agent(id, now, self.intermediate.not_after())?;
        let made = profile
            .signed_by(&request.public_key, &self.issuer()?)
            .map_err(|source| PkiError::Sign { of: "an agent", source })?;
        Ok(Issued {
            chain_pem: format!("{}{}", made.pem(), self.intermediate.certificate_pem()),
            issued_at: profile::made_at(profile::instant(profile.not_before)),
            not_after: profile::instant(profile.not_after),
        })
    }
}

/// The identity as it stands in the certificate.
pub(super) fn uri(id: &AgentId) -> String {
    format!("{PREFIX}{id}")
}

/// Reads who a verified certificate belongs to.
pub(crate) fn identify(certificate: &[u8]) -> Result<Peer, PeerError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|_| PeerError::Unreadable)?;
    if parsed.is_ca() {
        return Err(PeerError::Ca);
    }
    if !is_for_clients_only(&parsed) {
        return Err(PeerError::Use);
    }
    let names = parsed.subject_alternative_name().map_err(|_| PeerError::Unreadable)?.ok_or(PeerError::Name)?;
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else { return Err(PeerError::Name) };
    let agent = uri.strip_prefix(PREFIX).and_then(|id| id.parse().ok()).ok_or(PeerError::Name)?;
    let not_after =
        Timestamp::from_second(parsed.validity().not_after.timestamp()).map_err(|_| PeerError::Unreadable)?;
    let not_before =
        Timestamp::from_second(parsed.validity().not_before.timestamp()).map_err(|_| PeerError::Unreadable)?;
    Ok(Peer { agent, issued_at: profile::made_at(not_before), issuer: parsed.issuer().to_string(), not_after })
}

/// SHA-256 of the public key that a request asks a certificate for; `None` for what is no request.
pub(crate) fn key_of(csr_pem: &str) -> Option<upheld_model::Digest> {
    let request = CertificateSigningRequestParams::from_pem(csr_pem).ok()?;
    let spki = rcgen::PublicKeyData::subject_public_key_info(&request.public_key);
    Some(upheld_model::Digest(Sha256::digest(spki).into()))
}

fn is_for_clients_only(certificate: &X509Certificate<'_>) -> bool {
    let Ok(Some(uses)) = certificate.extended_key_usage() else { return false };
    let uses = uses.value;
    uses.client_auth
        && !(uses.any
            || uses.server_auth
            || uses.code_signing
            || uses.email_protection
            || uses.time_stamping
            || uses.ocsp_signing)
        && uses.other.is_empty()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};
    use rustls_pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    fn now() -> Timestamp {
        "2026-11-16T16:10:00Z".parse().unwrap()
    }

    fn greedy_request() -> String {
        let mut wanted = CertificateParams::new(vec!["data.upheld.internal".to_owned()]).unwrap();
        wanted.subject_alt_names.push(SanType::URI("upheld:agent:another".try_into().unwrap()));
        wanted.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
    }

    #[test]
    fn security_12_the_id_is_assigned_and_the_requests_names_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(folder.path(), &["127.0.0.1".into()], now()).unwrap();
        let issued = pki.issue(&greedy_request(), &"a-7".parse().unwrap(), now()).unwrap();
        let leaf = CertificateDer::from_pem_slice(issued.chain_pem.as_bytes()).unwrap();
        let peer = identify(&leaf).unwrap();
        let (agent, issuer) = ("a-7".parse().unwrap(), pki.intermediate_name().to_owned());
        assert_eq!(peer, Peer { agent, issued_at: now(), issuer, not_after: issued.not_after });
        assert_eq!(issued.not_after.to_string(), "2026-12-31T16:10:00Z", "45 days");
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).unwrap();
        assert!(!parsed.is_ca());
        assert_eq!(parsed.subject().to_string(), "CN=a-7");
    }

    #[test]
    fn a_door_certificate_is_no_agent() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(folder.path(), &["127.0.0.1".into()], now()).unwrap();
        assert_eq!(identify(&pki.data_door().chain[0]), Err(PeerError::Use));
        assert_eq!(identify(&pki.data_door().chain[1]), Err(PeerError::Ca));
        assert_eq!(identify(b"nonsense"), Err(PeerError::Unreadable));
    }

    #[test]
    fn a_request_that_is_not_signed_by_its_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(folder.path(), &["127.0.0.1".into()], now()).unwrap();
        for bad in ["", "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"] {
            assert!(matches!(pki.issue(bad, &"a-7".parse().unwrap(), now()), Err(PkiError::Request(_))));
        }
    }
}
