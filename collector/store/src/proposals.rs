//! What hosts propose to watch, and what people decided of it.

use jiff::Timestamp;
use upheld_model::{AgentId, ClientId, SiteId};

use crate::{
    StoreError,
    sql::{At, Parsed, Query, Read, Row, Sql, params, query},
};

/// The last proposal of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalRow {
    /// The agent's client.
    pub client: ClientId,
    /// Its site.
    pub site: SiteId,
    /// The agent.
    pub agent: AgentId,
    /// When it came.
    pub sent_at: Timestamp,
    /// The assets as JSON.
    pub assets: String,
}

/// What a person decided of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRow {
    /// The thing, by a key that later proposals have too.
    pub item: String,
    /// Whether he took it; else he dismissed it.
    pub is_taken: bool,
    /// When.
    pub decided_at: Timestamp,
    /// By whom (an id of [`crate::people`]).
    pub decided_by: String,
}

/// Reading proposals.
pub trait ProposalReads {
    /// The proposals of one site, by agent; of all sites without one.
    fn proposals(&self, of: Option<(&ClientId, &SiteId)>) -> Result<Vec<ProposalRow>, StoreError>;
    /// What was decided at a site, by item.
    fn proposal_decisions(&self, client: &ClientId, site: &SiteId) -> Result<Vec<DecisionRow>, StoreError>;
}

/// Writing proposals.
pub trait ProposalWrites {
    /// Puts an agent's proposal in the place of the one before.
    fn put_proposal(&mut self, row: &ProposalRow) -> Result<(), StoreError>;
    /// Puts a decision in the place of the one before.
    fn put_proposal_decision(&mut self, client: &ClientId, site: &SiteId, row: &DecisionRow) -> Result<(), StoreError>;
}

const OF_SITE: Query = query!(
    "proposals.of_site",
    "SELECT client, site, agent, sent_at, assets FROM proposals WHERE client = ?1 AND site = ?2 ORDER BY agent"
);
const ALL: Query =
    query!("proposals.all", "SELECT client, site, agent, sent_at, assets FROM proposals ORDER BY client, site, agent");
const PUT: Query = query!(
    "proposals.put",
    "INSERT INTO proposals (client, site, agent, sent_at, assets) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (client, site, agent) DO UPDATE SET sent_at = excluded.sent_at, assets = excluded.assets"
);
const DECISIONS: Query = query!(
    "proposal_decisions.of_site",
    "SELECT item, is_taken, decided_at, decided_by FROM proposal_decisions WHERE client = ?1 AND site = ?2 ORDER BY item"
);
const DECIDE: Query = query!(
    "proposal_decisions.put",
    "INSERT INTO proposal_decisions (client, site, item, is_taken, decided_at, decided_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
     ON CONFLICT (client, site, item) DO UPDATE \
     SET is_taken = excluded.is_taken, decided_at = excluded.decided_at, decided_by = excluded.decided_by"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[OF_SITE, DECISIONS];

fn proposal_row(row: &Row<'_>) -> Read<ProposalRow> {
    let (client, site) = (row.get::<Parsed<_>>(0)?.0, row.get::<Parsed<_>>(1)?.0);
    let (agent, sent_at) = (row.get::<Parsed<_>>(2)?.0, row.get::<At>(3)?.0);
    Ok(ProposalRow { client, site, agent, sent_at, assets: row.get(4)? })
}

fn decision_row(row: &Row<'_>) -> Read<DecisionRow> {
    let decided_at = row.get::<At>(2)?.0;
    Ok(DecisionRow { item: row.get(0)?, is_taken: row.get(1)?, decided_at, decided_by: row.get(3)? })
}

impl ProposalReads for Sql<'_> {
    fn proposals(&self, of: Option<(&ClientId, &SiteId)>) -> Result<Vec<ProposalRow>, StoreError> {
        match of {
            Some((client, site)) => self.all(&OF_SITE, [client.as_str(), site.as_str()], proposal_row),
            None => self.all(&ALL, params![], proposal_row),
        }
    }

    fn proposal_decisions(&self, client: &ClientId, site: &SiteId) -> Result<Vec<DecisionRow>, StoreError> {
        self.all(&DECISIONS, [client.as_str(), site.as_str()], decision_row)
    }
}

impl ProposalWrites for Sql<'_> {
    fn put_proposal(&mut self, row: &ProposalRow) -> Result<(), StoreError> {
        let ProposalRow { client, site, agent, sent_at, assets } = row;
        self.run(&PUT, params![client.as_str(), site.as_str(), agent.as_str(), At(*sent_at), assets])?;
        Ok(())
    }

    fn put_proposal_decision(&mut self, client: &ClientId, site: &SiteId, row: &DecisionRow) -> Result<(), StoreError> {
        let DecisionRow { item, is_taken, decided_at, decided_by } = row;
        let decided_at = At(*decided_at);
        self.run(&DECIDE, params![client.as_str(), site.as_str(), item, i64::from(*is_taken), decided_at, decided_by])?;
        Ok(())
    }
}
