//! Tokens for several hosts of a site, and the hosts that came with one (SECURITY 11).

use jiff::Timestamp;
use upheld_model::{AgentId, ClientId, Digest, SiteId};

use crate::{
    StoreError,
    sql::{At, Parsed, Query, Read, Row, Sha, Sql, params, query},
};

/// One site token. The token itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteTokenRow {
    /// SHA-256 of the token's text.
    pub hash: Digest,
    /// Whose hosts it lets in.
    pub client: ClientId,
    /// Where they stand.
    pub site: SiteId,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom (an id of [`crate::people`]).
    pub created_by: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How many hosts it lets in.
    pub uses_max: u32,
    /// How many it has let in.
    pub uses: u32,
    /// From which networks, a JSON array of CIDRs.
    pub networks: String,
    /// Which hosts are approved by themselves, JSON.
    pub rule: String,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A host that came with a site token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivalRow {
    /// Whose host it is.
    pub client: ClientId,
    /// The agent that it became.
    pub agent: AgentId,
    /// The token's hash.
    pub token: Digest,
    /// Where it came from.
    pub address: String,
    /// When.
    pub asked_at: Timestamp,
    /// When it was approved or refused, and by whom.
    pub decided: Option<(Timestamp, String)>,
}

/// Reading site tokens and arrivals.
pub trait SiteTokenReads {
    /// The site token of this hash.
    fn site_token(&self, hash: &Digest) -> Result<Option<SiteTokenRow>, StoreError>;
    /// All site tokens, the newest first.
    fn site_tokens(&self) -> Result<Vec<SiteTokenRow>, StoreError>;
    /// How an agent arrived; `None` for one of a host token.
    fn arrival(&self, client: &ClientId, agent: &AgentId) -> Result<Option<ArrivalRow>, StoreError>;
    /// Arrivals that wait for a person, the first to arrive first.
    fn arrivals_waiting(&self, limit: u32) -> Result<Vec<ArrivalRow>, StoreError>;
}

/// Writing site tokens and arrivals.
pub trait SiteTokenWrites {
    /// Adds a site token.
    fn insert_site_token(&mut self, row: &SiteTokenRow) -> Result<(), StoreError>;
    /// Uses one of what is left of a token that has neither ended nor been revoked; whether this call did it.
    fn use_site_token(&mut self, hash: &Digest, now: Timestamp) -> Result<bool, StoreError>;
    /// Revokes a site token; whether this call did it.
    fn revoke_site_token(&mut self, hash: &Digest, at: Timestamp) -> Result<bool, StoreError>;
    /// Adds an arrival.
    fn insert_arrival(&mut self, row: &ArrivalRow) -> Result<(), StoreError>;
    /// Notes who decided about an arrival; whether it was waiting.
    fn decide_arrival(
        &mut self,
        client: &ClientId,
        agent: &AgentId,
        at: Timestamp,
        by: &str,
    ) -> Result<bool, StoreError>;
}

const GET: Query = query!(
    "site_tokens.get",
    "SELECT hash, client, site, created_at, created_by, expires_at, uses_max, uses, networks, rule, revoked_at \
     FROM site_tokens WHERE hash = ?1"
);
const ALL: Query = query!(
    "site_tokens.all",
    "SELECT hash, client, site, created_at, created_by, expires_at, uses_max, uses, networks, rule, revoked_at \
     FROM site_tokens ORDER BY created_at DESC"
);
const INSERT: Query = query!(
    "site_tokens.insert",
    "INSERT INTO site_tokens (hash, client, site, created_at, created_by, expires_at, uses_max, uses, networks, rule, \
     revoked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
);
const USE: Query = query!(
    "site_tokens.use",
    "UPDATE site_tokens SET uses = uses + 1 WHERE hash = ?1 AND uses < uses_max AND expires_at > ?2 AND revoked_at IS NULL"
);
const REVOKE: Query = query!(
    "site_tokens.revoke",
    "UPDATE site_tokens SET revoked_at = ?2 WHERE hash = ?1 AND revoked_at IS NULL AND expires_at > ?2"
);
const ARRIVAL: Query = query!(
    "arrivals.get",
    "SELECT client, agent, token, address, asked_at, decided_at, decided_by FROM arrivals WHERE client = ?1 AND agent = ?2"
);
const WAITING: Query = query!(
    "arrivals.waiting",
    "SELECT client, agent, token, address, asked_at, decided_at, decided_by FROM arrivals WHERE decided_at IS NULL \
     ORDER BY asked_at LIMIT ?1"
);
const INSERT_ARRIVAL: Query = query!(
    "arrivals.insert",
    "INSERT INTO arrivals (client, agent, token, address, asked_at, decided_at, decided_by) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
);
const DECIDE: Query = query!(
    "arrivals.decide",
    "UPDATE arrivals SET decided_at = ?3, decided_by = ?4 WHERE client = ?1 AND agent = ?2 AND decided_at IS NULL"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[GET, USE, REVOKE, ARRIVAL, DECIDE];

fn token_row(row: &Row<'_>) -> Read<SiteTokenRow> {
    Ok(SiteTokenRow {
        hash: row.get::<Sha>(0)?.0,
        client: row.get::<Parsed<_>>(1)?.0,
        site: row.get::<Parsed<_>>(2)?.0,
        created_at: row.get::<At>(3)?.0,
        created_by: row.get(4)?,
        expires_at: row.get::<At>(5)?.0,
        uses_max: row.get(6)?,
        uses: row.get(7)?,
        networks: row.get(8)?,
        rule: row.get(9)?,
        revoked_at: row.get::<Option<At>>(10)?.map(|at| at.0),
    })
}

fn arrival_row(row: &Row<'_>) -> Read<ArrivalRow> {
    let decided_at = row.get::<Option<At>>(5)?.map(|at| at.0);
    let decided_by = row.get::<Option<String>>(6)?;
    Ok(ArrivalRow {
        client: row.get::<Parsed<_>>(0)?.0,
        agent: row.get::<Parsed<_>>(1)?.0,
        token: row.get::<Sha>(2)?.0,
        address: row.get(3)?,
        asked_at: row.get::<At>(4)?.0,
        decided: decided_at.zip(decided_by),
    })
}

impl SiteTokenReads for Sql<'_> {
    fn site_token(&self, hash: &Digest) -> Result<Option<SiteTokenRow>, StoreError> {
        self.one(&GET, [&hash.0], token_row)
    }

    fn site_tokens(&self) -> Result<Vec<SiteTokenRow>, StoreError> {
        self.all(&ALL, params![], token_row)
    }

    fn arrival(&self, client: &ClientId, agent: &AgentId) -> Result<Option<ArrivalRow>, StoreError> {
        self.one(&ARRIVAL, [client.as_str(), agent.as_str()], arrival_row)
    }

    fn arrivals_waiting(&self, limit: u32) -> Result<Vec<ArrivalRow>, StoreError> {
        self.all(&WAITING, [limit], arrival_row)
    }
}

impl SiteTokenWrites for Sql<'_> {
    fn insert_site_token(&mut self, row: &SiteTokenRow) -> Result<(), StoreError> {
        let SiteTokenRow { hash, client, site, created_at, created_by, expires_at, .. } = row;
        let SiteTokenRow { uses_max, uses, networks, rule, revoked_at, .. } = row;
        let revoked_at = revoked_at.map(At);
        self.run(
            &INSERT,
            params![
                hash.0,
                client.as_str(),
                site.as_str(),
                At(*created_at),
                created_by,
                At(*expires_at),
                uses_max,
                uses,
                networks,
                rule,
                revoked_at
            ],
        )
        .map(drop)
    }

    fn use_site_token(&mut self, hash: &Digest, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.run(&USE, params![hash.0, At(now)])? == 1)
    }

    fn revoke_site_token(&mut self, hash: &Digest, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.run(&REVOKE, params![hash.0, At(at)])? == 1)
    }

    fn insert_arrival(&mut self, row: &ArrivalRow) -> Result<(), StoreError> {
        let ArrivalRow { client, agent, token, address, asked_at, decided } = row;
        let (decided_at, decided_by) = decided.clone().unzip();
        let decided_at = decided_at.map(At);
        self.run(
            &INSERT_ARRIVAL,
            params![client.as_str(), agent.as_str(), token.0, address, At(*asked_at), decided_at, decided_by],
        )
        .map(drop)
    }

    fn decide_arrival(
        &mut self,
        client: &ClientId,
        agent: &AgentId,
        at: Timestamp,
        by: &str,
    ) -> Result<bool, StoreError> {
        Ok(self.run(&DECIDE, params![client.as_str(), agent.as_str(), At(at), by])? == 1)
    }
}
