//! Records that could not be read: they advance their agent's chain, and wait for a person (DELIVERY 2).

use jiff::Timestamp;
use serde::Serialize;
use upheld_model::{AgentId, ClientId, Epoch, Seq, SiteId};
use upheld_store::{
    ReadTx,
    agents::AgentRow,
    records::{AgentKey, DeadLetterRow},
};

use crate::{Desk, DeskError, Scope};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Whose host sent it.
    pub client: ClientId,
    /// Where that stands.
    pub site: SiteId,
    /// The agent.
    pub agent: AgentId,
    /// The host's own name.
    pub host: String,
    /// The agent's version, as it last said; empty before it said one.
    pub version: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its place there.
    pub seq: Seq,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Why it could not be read.
    pub reason: String,
    /// Its bytes, as the agent sent them: for a machine, never for a terminal.
    pub body: String,
}

impl Desk {
    /// What could not be read of all agents in scope, or of one, each agent's by place. An agent that is not in scope is
    /// [`DeskError::NoSuchAgent`].
    pub async fn dead_letters(&self, scope: &Scope, agent: Option<&AgentId>) -> Result<Vec<DeadLetter>, DeskError> {
        let (client, agent) = (scope.client().cloned(), agent.cloned());
        self.store
            .read("desk.dead_letters", move |tx| {
                let mut rows = tx.agents(client.as_ref())?;
                if let Some(agent) = agent {
                    rows.retain(|row| row.agent == agent);
                    if rows.is_empty() {
                        return Err(DeskError::NoSuchAgent(agent.to_string()));
                    }
                }
                let mut all = Vec::new();
                for row in rows {
                    of_agent(tx, &row, &mut all)?;
                }
                Ok(all)
            })
            .await
    }
}

fn of_agent(tx: &dyn ReadTx, row: &AgentRow, all: &mut Vec<DeadLetter>) -> Result<(), DeskError> {
    let letters = tx.dead_letters(AgentKey { client: &row.client, agent: &row.agent })?;
    if letters.is_empty() {
        return Ok(());
    }
    let version = tx.agent_now(&row.client, &row.agent)?.map(|now| now.version).unwrap_or_default();
    all.extend(letters.into_iter().map(|letter| {
        let DeadLetterRow { epoch, seq, received_at, reason, body } = letter;
        DeadLetter {
            client: row.client.clone(),
            site: row.site.clone(),
            agent: row.agent.clone(),
            host: row.host.clone(),
            version: version.clone(),
            epoch,
            seq,
            received_at,
            reason,
            body,
        }
    }));
    Ok(())
}
