//! Agents as the provider knows them.

use jiff::Timestamp;
use serde::Serialize;
use upheld_model::{AgentId, ClientId, SiteId};
use upheld_wire::v1::AgentConfig;

use crate::{Actor, Desk, DeskError};

/// The agent at the other end of a connection, from its certificate and its row, never from a body (SECURITY 16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentPeer {
    /// Its id.
    pub agent: AgentId,
    /// Whose host it is.
    pub client: ClientId,
    /// Where it stands.
    pub site: SiteId,
}

/// Whether an agent may deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentStatus {
    /// It may.
    Active,
    /// A person revoked it: 403.
    Revoked,
    /// Two hosts use its identity: 423 until a person decides.
    Quarantined,
}

/// One agent for lists and pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentView {
    /// Its id.
    pub agent: AgentId,
    /// Whose host it is.
    pub client: ClientId,
    /// Where it stands.
    pub site: SiteId,
    /// The host's own name, as it said at enrolment.
    pub host: String,
    /// Its version, as last reported.
    pub version: String,
    /// Whether it may deliver.
    pub status: AgentStatus,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// When it last reported; `None` before the first time.
    pub last_seen: Option<Timestamp>,
    /// The collector's clock minus the agent's, in milliseconds, as last measured.
    pub offset_ms: Option<i64>,
    /// Records waiting at the agent, as last reported.
    pub waiting: u64,
    /// What ails it, in words.
    pub ailments: Vec<String>,
}

impl Desk {
    /// The peer behind an agent id of a certificate that the TLS layer has verified; `None` when there is no such
    /// agent (answer 403 [`upheld_wire::v1::codes::UNKNOWN_AGENT`]). A revoked or quarantined agent is still a peer:
    /// [`Desk::deliver`] tells it why it is refused.
    pub async fn peer(&self, agent: &AgentId) -> Result<Option<AgentPeer>, DeskError> {
        let _ = agent;
        Err(DeskError::NotBuilt("peer"))
    }

    /// Whether the agent's row lets it do more than deliver (fetch its configuration, renew its certificate).
    /// `Err` is the problem to answer with.
    pub async fn admit(&self, peer: &AgentPeer) -> Result<(), upheld_wire::v1::Problem> {
        let _ = peer;
        Err(crate::deliver::unavailable(&DeskError::NotBuilt("admit")))
    }

    /// All agents, or one client's, by client, site and id.
    pub async fn agents(&self, scope: &crate::Scope) -> Result<Vec<AgentView>, DeskError> {
        let _ = scope;
        Err(DeskError::NotBuilt("agents"))
    }

    /// Revokes an agent: from the commit on each of its requests is answered 403. Revoking twice is no error; the
    /// answer says whether this call did it.
    pub async fn revoke_agent(&self, agent: &AgentId, who: &Actor, now: Timestamp) -> Result<bool, DeskError> {
        let _ = (agent, who, now);
        Err(DeskError::NotBuilt("revoke_agent"))
    }

    /// What an agent should watch: all checks of its site. The version is the book's.
    pub async fn config_for(&self, peer: &AgentPeer) -> Result<AgentConfig, DeskError> {
        let _ = peer;
        Err(DeskError::NotBuilt("config_for"))
    }
}
