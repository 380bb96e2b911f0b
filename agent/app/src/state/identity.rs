//! `identity.json`: who this host is to its provider.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{AgentId, ClientId, SiteId};

/// Who this host is, as the collector told it at enrolment. The keys are elsewhere ([`crate::identity`]).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The version of this file's form.
    pub(crate) schema: Schema,
    /// The agent's id.
    pub(crate) agent: AgentId,
    /// Whose host it is.
    pub(crate) client: ClientId,
    /// The client's name for people.
    pub(crate) client_name: String,
    /// Where it stands.
    pub(crate) site: SiteId,
    /// The site's name for people.
    pub(crate) site_name: String,
    /// The provider's name for people.
    pub(crate) provider_name: String,
    /// `host` or `host:port` of the collector, from the link.
    pub(crate) collector: String,
    /// Where the provider's collectors are, as that one said at enrolment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) collectors: Vec<String>,
    /// SHA-256 of the provider root's public key, base64url, from the link.
    pub(crate) root_fingerprint: String,
    /// When the link was issued: no clock is right before (SECURITY 39).
    pub(crate) link_issued: Timestamp,
    /// When the collector took this host in, by the collector's clock.
    pub(crate) enrolled_at: Timestamp,
    /// The settings file given at enrolment; `None` for the default place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings_file: Option<PathBuf>,
    /// The allow file given at enrolment; `None` for what the settings or the default place say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allow_file: Option<PathBuf>,
}

/// The form of `identity.json`; a form of a newer agent is refused by the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Schema {
    /// The first form.
    #[serde(rename = "upheld.agent-identity/1")]
    V1,
}
