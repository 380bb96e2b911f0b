//! Agents as the provider knows them.

mod dead_letters;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use upheld_model::{AgentId, ClientId, SiteId};
use upheld_store::{
    ReadTx,
    agents::{AgentNowRow, AgentRow},
    records::AgentKey,
};
use upheld_wire::v1::{AgentConfig, Problem, codes};

pub use dead_letters::DeadLetter;
pub use upheld_store::agents::AgentStatus;

use crate::{
    Actor, Desk, DeskError, Scope, audit, clock,
    problem::{problem, unavailable},
    recovery,
};

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

/// What a verified certificate is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// There is no such agent.
    Unknown,
    /// The agent was taken back with a newer one.
    Void,
    /// It is the agent's.
    Good(AgentPeer),
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
    /// Its version, as last reported; empty before the first report.
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
    /// agent (answer 403 [`codes::UNKNOWN_AGENT`]). A revoked or quarantined agent is still a peer:
    /// [`Desk::deliver`] and [`Desk::admit`] tell it why it is refused.
    pub async fn peer(&self, agent: &AgentId) -> Result<Option<AgentPeer>, DeskError> {
        let agent = agent.clone();
        let row = self.store.read("desk.peer", move |tx| tx.agent(&agent).map_err(DeskError::from)).await?;
        Ok(row.map(|AgentRow { agent, client, site, .. }| AgentPeer { agent, client, site }))
    }

    /// The same for a certificate that was issued at this instant: one from before the agent was taken back is void
    /// ([`Desk::take_back`], [`Desk::approve_agent`]).
    pub async fn peer_showing(&self, agent: &AgentId, issued_at: Timestamp) -> Result<Shown, DeskError> {
        let agent = agent.clone();
        self.store.read("desk.peer_showing", move |tx| Ok(showing(tx, &agent, issued_at, |_, _| Ok(()))?.0)).await
    }

    /// Whether the agent's row lets it do more than deliver (fetch its configuration, renew its certificate).
    /// `Err` is the problem to answer with.
    pub async fn admit(&self, peer: &AgentPeer) -> Result<(), Problem> {
        let agent = peer.agent.clone();
        let row = self
            .store
            .read("desk.admit", move |tx| {
                recovery::refuse(tx)?;
                tx.agent(&agent).map_err(DeskError::from)
            })
            .await
            .map_err(|error| unavailable(&error))?;
        refusal_of(row.as_ref(), peer).map_or(Ok(()), Err)
    }

    /// All agents, or one client's, by client and id.
    pub async fn agents(&self, scope: &Scope) -> Result<Vec<AgentView>, DeskError> {
        let client = scope.client().cloned();
        self.store
            .read("desk.agents", move |tx| -> Result<_, DeskError> {
                let rows = tx.agents(client.as_ref())?;
                rows.into_iter().map(|row| view(tx, row)).collect()
            })
            .await
    }

    /// Revokes an agent: from the commit on each of its requests is answered 403. Revoking twice is no error; the
    /// answer says whether this call did it.
    pub async fn revoke_agent(&self, agent: &AgentId, who: &Actor, now: Timestamp) -> Result<bool, DeskError> {
        let now = clock::stored(now);
        let (agent, who) = (agent.clone(), who.clone());
        self.store
            .write("desk.revoke_agent", move |tx| {
                let row = tx.agent(&agent)?.ok_or_else(|| DeskError::NoSuchAgent(agent.to_string()))?;
                let changed = row.status != AgentStatus::Revoked
                    && tx.change_agent_status(&agent, row.status, AgentStatus::Revoked, now)?;
                if changed {
                    audit::note(tx, now, &who, Some(&row.client), "agent.revoked", &json!({ "agent": agent }))?;
                }
                Ok(changed)
            })
            .await
    }

    /// What an agent should watch: all checks of its site. The version is the book's.
    pub async fn config_for(&self, peer: &AgentPeer) -> Result<AgentConfig, DeskError> {
        let book = self.current_book().await?;
        Ok(Arc::as_ref(&book).config_for(&peer.agent, &peer.client, &peer.site))
    }
}

/// What a certificate of this agent is worth that was issued at this instant, and the agent's row. `ahead` may ask what will
/// be asked next, together with the certificate.
pub(crate) fn showing(
    tx: &dyn ReadTx,
    agent: &AgentId,
    issued_at: Timestamp,
    ahead: impl FnOnce(AgentKey<'_>, &SiteId) -> Result<(), DeskError>,
) -> Result<(Shown, Option<AgentRow>), DeskError> {
    let Some(row) = tx.agent(agent)? else { return Ok((Shown::Unknown, None)) };
    ahead(AgentKey { client: &row.client, agent: &row.agent }, &row.site)?;
    let known = tx.certificate(&row.client, &row.agent)?;
    let is_void = known.and_then(|known| known.void_before).is_some_and(|void| issued_at < void);
    if is_void {
        return Ok((Shown::Void, Some(row)));
    }
    let peer = AgentPeer { agent: row.agent.clone(), client: row.client.clone(), site: row.site.clone() };
    Ok((Shown::Good(peer), Some(row)))
}

/// Why an agent's row refuses it; `None` when it does not (DELIVERY 2, step 1).
pub(crate) fn refusal_of(row: Option<&AgentRow>, peer: &AgentPeer) -> Option<Problem> {
    let Some(row) = row.filter(|row| row.client == peer.client && row.site == peer.site) else {
        let detail = "the collector may have been restored from before the enrolment; enrol again";
        return Some(problem(403, codes::UNKNOWN_AGENT, "this agent is not known here", detail));
    };
    match row.status {
        AgentStatus::Active => None,
        AgentStatus::Revoked => {
            let detail = "somebody at the provider revoked it; nothing that it sends is taken";
            Some(problem(403, codes::REVOKED, "this agent was revoked", detail))
        }
        AgentStatus::Pending => Some(pending(&row.agent)),
        AgentStatus::Quarantined => Some(quarantined()),
    }
}

/// A host that came with a site token and waits.
pub(crate) fn pending(agent: &AgentId) -> Problem {
    let detail = format!("a person at the provider lets it in: upheld-collector agent approve {agent}");
    problem(403, codes::PENDING, "this host waits to be approved; nothing that it sends is taken", &detail)
}

/// Two hosts with one identity.
pub(crate) fn quarantined() -> Problem {
    let detail = "two hosts seem to use one identity; a person at the provider must decide";
    problem(423, codes::QUARANTINED, "this agent is in quarantine", detail)
}

fn view(tx: &dyn ReadTx, row: AgentRow) -> Result<AgentView, DeskError> {
    let AgentRow { client, agent, site, host, status, enrolled_at, signing_key: _, status_at: _, first_seen: _ } = row;
    let now = tx.agent_now(&client, &agent)?;
    let ailments = now.as_ref().map_or(Ok(Vec::new()), |now| {
        serde_json::from_str(&now.ailments).map_err(|error| DeskError::unreadable("agent's ailments", &error))
    })?;
    Ok(AgentView {
        version: now.as_ref().map(|now| now.version.clone()).unwrap_or_default(),
        last_seen: now.as_ref().map(|now| now.last_seen),
        offset_ms: now.as_ref().map(|now| now.offset_ms),
        waiting: now.as_ref().map_or(0, |AgentNowRow { waiting, .. }| *waiting),
        agent,
        client,
        site,
        host,
        status,
        enrolled_at,
        ailments,
    })
}
