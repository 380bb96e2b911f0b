//! Host tokens: hashed, one use (SECURITY 11).

use jiff::Timestamp;
use upheld_model::{AgentId, ClientId, Digest, SiteId};

use crate::{
    StoreError,
    sql::{At, Parsed, Query, Read, Row, Sha, Sql, params, query},
};

/// One host token. The token itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
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
    /// When it was used, and by which agent.
    pub used: Option<(Timestamp, AgentId)>,
}

/// Reading tokens.
pub trait TokenReads {
    /// The token of this hash.
    fn token(&self, hash: &Digest) -> Result<Option<TokenRow>, StoreError>;
    /// Unused tokens that have not ended, the newest first.
    fn open_tokens(&self, now: Timestamp) -> Result<Vec<TokenRow>, StoreError>;
}

/// Writing tokens.
pub trait TokenWrites {
    /// Adds a token.
    fn insert_token(&mut self, row: &TokenRow) -> Result<(), StoreError>;
    /// Uses an unused token that has not ended; whether this call did it.
    fn use_token(&mut self, hash: &Digest, agent: &AgentId, now: Timestamp) -> Result<bool, StoreError>;
    /// Ends an unused token now; whether this call did it.
    fn end_token(&mut self, hash: &Digest, now: Timestamp) -> Result<bool, StoreError>;
}

const GET: Query = query!(
    "tokens.get",
    "SELECT hash, client, site, created_at, created_by, expires_at, used_at, used_by FROM tokens WHERE hash = ?1"
);
const INSERT: Query = query!(
    "tokens.insert",
    "INSERT INTO tokens (hash, client, site, created_at, created_by, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
);
const USE: Query = query!(
    "tokens.use",
    "UPDATE tokens SET used_at = ?3, used_by = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?3"
);
const OPEN: Query = query!(
    "tokens.open",
    "SELECT hash, client, site, created_at, created_by, expires_at, used_at, used_by FROM tokens \
     WHERE used_at IS NULL AND expires_at > ?1 ORDER BY created_at DESC"
);
const END: Query =
    query!("tokens.end", "UPDATE tokens SET expires_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2");

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[GET, USE, END];

fn token_row(row: &Row<'_>) -> Read<TokenRow> {
    let used_at = row.get::<Option<At>>(6)?.map(|at| at.0);
    let used_by = row.get::<Option<Parsed<_>>>(7)?.map(|by| by.0);
    Ok(TokenRow {
        hash: row.get::<Sha>(0)?.0,
        client: row.get::<Parsed<_>>(1)?.0,
        site: row.get::<Parsed<_>>(2)?.0,
        created_at: row.get::<At>(3)?.0,
        created_by: row.get(4)?,
        expires_at: row.get::<At>(5)?.0,
        used: used_at.zip(used_by),
    })
}

impl TokenReads for Sql<'_> {
    fn token(&self, hash: &Digest) -> Result<Option<TokenRow>, StoreError> {
        self.one(&GET, [&hash.0], token_row)
    }

    fn open_tokens(&self, now: Timestamp) -> Result<Vec<TokenRow>, StoreError> {
        self.all(&OPEN, [At(now)], token_row)
    }
}

impl TokenWrites for Sql<'_> {
    fn insert_token(&mut self, row: &TokenRow) -> Result<(), StoreError> {
        let TokenRow { hash, client, site, created_at, created_by, expires_at, used: _ } = row;
        self.run(&INSERT, params![hash.0, client.as_str(), site.as_str(), At(*created_at), created_by, At(*expires_at)])
            .map(drop)
    }

    fn use_token(&mut self, hash: &Digest, agent: &AgentId, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.run(&USE, params![hash.0, agent.as_str(), At(now)])? == 1)
    }

    fn end_token(&mut self, hash: &Digest, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.run(&END, params![hash.0, At(now)])? == 1)
    }
}
