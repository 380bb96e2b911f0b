//! How a host becomes an agent, and how it keeps its certificate (SECURITY 11, 12, 14, 15).
//!
//! The link is `https://HOST[:PORT]/e/TOKEN#FINGERPRINT.ISSUED`: the token is 43 base64url characters, the
//! fingerprint the base64url SHA-256 of the provider root's public key (SPKI), `ISSUED` the link's issue time in
//! Unix seconds. The fragment is never sent to anybody.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{AgentId, ClientId, SiteId};

use super::AgentConfig;

/// `POST /v1/enroll` at the enrolment door.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrollRequest {
    /// [`super::PROTOCOL`].
    pub protocol: u32,
    /// The link's token.
    pub token: String,
    /// PKCS #10 request in PEM, made on the host; its names are ignored.
    pub csr_pem: String,
    /// The agent's Ed25519 key for evidence, public part, 64 hexadecimal digits.
    pub signing_key: String,
    /// Proof that the sender holds that key: the Ed25519 signature of `"upheld-enroll/1\0" ‖ token ‖ "\0" ‖ csr_pem`,
    /// 128 hexadecimal digits.
    pub signing_proof: String,
    /// The host's own name, for people.
    pub host: String,
    /// The agent's version.
    pub version: String,
    /// The host's wall clock.
    pub wall: Timestamp,
}

/// The collector took the host in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrollAnswer {
    /// The identity it was given, also in its certificate as `URI:upheld:agent:ID`.
    pub agent: AgentId,
    /// Whose host it is, from the token.
    pub client: ClientId,
    /// The client's name for people.
    pub client_name: String,
    /// Where it stands, from the token.
    pub site: SiteId,
    /// The site's name for people.
    pub site_name: String,
    /// The provider's name for people.
    pub provider_name: String,
    /// The agent's certificate and the intermediate, PEM.
    pub chain_pem: String,
    /// The provider's roots, PEM, one or (during a rotation) two.
    pub roots_pem: String,
    /// What to watch.
    pub config: AgentConfig,
    /// The collector's clock.
    pub collector_time: Timestamp,
    /// Whether the host waits for a person at the provider: nothing that it sends is taken before (SECURITY 11).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
    /// Where the provider's collectors are found, each `host` or `host:port`, that of the link among them or not; empty
    /// where there is but one. Whoever is asked there shows the same root key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collectors: Vec<String>,
}

/// `POST /v1/return` at the enrolment door: an agent whose certificate ended asks for another (SECURITY 15).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReturnRequest {
    /// [`super::PROTOCOL`].
    pub protocol: u32,
    /// Who the host says to be.
    pub agent: AgentId,
    /// PKCS #10 request in PEM, made on the host; its names are ignored. The same key at each try.
    pub csr_pem: String,
    /// Proof that the sender holds the agent's key: the Ed25519 signature of
    /// `"upheld-return/1\0" ‖ agent ‖ "\0" ‖ csr_pem`, 128 hexadecimal digits. Whoever repeats it gets a certificate for a
    /// key that he does not hold.
    pub proof: String,
    /// The host's own name, for the person who may have to tell two apart.
    pub host: String,
    /// The agent's version.
    pub version: String,
    /// The host's wall clock.
    pub wall: Timestamp,
}

/// The agent was taken back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReturnAnswer {
    /// The agent's certificate and the intermediate, PEM.
    pub chain_pem: String,
    /// The provider's roots, PEM.
    pub roots_pem: String,
    /// The collector's clock.
    pub collector_time: Timestamp,
}

/// `POST /v1/renew` at the data door.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenewRequest {
    /// PKCS #10 request in PEM, for the same or a new key.
    pub csr_pem: String,
}

/// A fresh certificate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenewAnswer {
    /// The agent's certificate and the intermediate, PEM.
    pub chain_pem: String,
    /// The provider's roots, PEM.
    pub roots_pem: String,
}

/// An enrolment link, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrollLink {
    /// `host` or `host:port` as it stands in the link.
    pub authority: String,
    /// The token: a secret.
    pub token: String,
    /// SHA-256 of the provider root's SPKI, base64url without padding, 43 characters.
    pub root_fingerprint: String,
    /// When the link was made; with the build date the earliest time that can be true (SECURITY 39).
    pub issued: Timestamp,
}

/// Why a text is not an enrolment link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not an enrolment link: {why}; copy the whole link, in quotes, from `upheld-collector agent token`")]
pub struct LinkError {
    /// What is wrong with it.
    pub why: &'static str,
}

fn is_token(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl FromStr for EnrollLink {
    type Err = LinkError;

    fn from_str(link: &str) -> Result<Self, LinkError> {
        let rest = link.trim().strip_prefix("https://").ok_or(LinkError { why: "it must start with https://" })?;
        let (rest, fragment) = rest
            .split_once('#')
            .ok_or(LinkError { why: "the part after '#' (the provider's key) is missing; a shell may have cut it" })?;
        let (authority, path) = rest.split_once('/').ok_or(LinkError { why: "the path /e/TOKEN is missing" })?;
        let token = path.strip_prefix("e/").ok_or(LinkError { why: "the path /e/TOKEN is missing" })?;
        if !is_token(token) {
            return Err(LinkError { why: "the token must be 43 letters, digits, '-' or '_'" });
        }
        let (root_fingerprint, issued) =
            fragment.split_once('.').ok_or(LinkError { why: "the issue time after '.' is missing" })?;
        if !is_token(root_fingerprint) {
            return Err(LinkError { why: "the provider's key must be 43 letters, digits, '-' or '_'" });
        }
        let issued = issued
            .parse()
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or(LinkError { why: "the issue time is not a number of seconds" })?;
        if authority.is_empty() || authority.contains(['@', '?', ' ']) {
            return Err(LinkError { why: "the host is missing or not a plain host" });
        }
        Ok(Self {
            authority: authority.to_owned(),
            token: token.to_owned(),
            root_fingerprint: root_fingerprint.to_owned(),
            issued,
        })
    }
}

impl fmt::Display for EnrollLink {
    /// The link itself, secret and all: only for the person who asked for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}/e/{}#{}.{}", self.authority, self.token, self.root_fingerprint, self.issued.as_second())
    }
}

impl fmt::Debug for EnrollLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrollLink(https://{}/e/REDACTED#{})", self.authority, self.root_fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> String {
        format!("https://collector.example:7443/e/{}#{}.1795300000", "t".repeat(43), "f".repeat(43))
    }

    #[test]
    fn a_link_reads_back_and_hides_its_token_from_logs() {
        let parsed: EnrollLink = link().parse().unwrap();
        assert_eq!(parsed.to_string(), link());
        assert!(!format!("{parsed:?}").contains(&parsed.token));
    }

    #[test]
    fn a_cut_or_foreign_link_says_what_is_missing() {
        for (bad, why) in [
            (link().split_once('#').unwrap().0.to_owned(), "a shell may have cut it"),
            (link().replace("https", "http"), "https://"),
            (link().replace("/e/", "/x/"), "/e/TOKEN"),
            (link().replace("ttt", ""), "43"),
            (link().replace(".1795300000", ""), "issue time"),
            (link().replace("collector", "user@collector"), "plain host"),
        ] {
            let error = bad.parse::<EnrollLink>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
