//! Login links, sessions and API tokens: hashes only (SECURITY 26, 28).

use jiff::Timestamp;
use rusqlite::{Row, params};
use upheld_model::{ClientId, Digest};

use crate::{
    StoreError,
    sqlite::{
        columns::{At, Parsed, Sha},
        query::{Query, SqliteTx, query},
    },
};

/// One API token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTokenRow {
    /// SHA-256 of the token's text.
    pub hash: Digest,
    /// Its name.
    pub name: String,
    /// The one client it may see; `None` for all.
    pub client: Option<ClientId>,
    /// What it may do, a word of the desk's.
    pub rights: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom (an id of [`crate::people`]).
    pub created_by: String,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// One login link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginLinkRow {
    /// SHA-256 of the link's secret.
    pub hash: Digest,
    /// Whom it signs in (an id of [`crate::people`]).
    pub who: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// SHA-256 of the session's secret.
    pub hash: Digest,
    /// Whose (an id of [`crate::people`]).
    pub who: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

/// Reading.
pub trait AccessReads {
    /// The API token of this hash, whatever became of it.
    fn api_token(&self, hash: &Digest) -> Result<Option<ApiTokenRow>, StoreError>;
    /// The session of this hash, whatever became of it.
    fn session(&self, hash: &Digest) -> Result<Option<SessionRow>, StoreError>;
}

/// Writing.
pub trait AccessWrites {
    /// Adds an API token.
    fn insert_api_token(&mut self, row: &ApiTokenRow) -> Result<(), StoreError>;
    /// Revokes the API tokens of a name that are not yet; how many.
    fn revoke_api_tokens(&mut self, name: &str, at: Timestamp) -> Result<u64, StoreError>;
    /// Adds a login link.
    fn insert_login_link(&mut self, row: &LoginLinkRow) -> Result<(), StoreError>;
    /// Uses an unused link that has not ended; whom it signs in, if this call did it.
    fn use_login_link(&mut self, hash: &Digest, now: Timestamp) -> Result<Option<String>, StoreError>;
    /// Adds a session.
    fn insert_session(&mut self, row: &SessionRow) -> Result<(), StoreError>;
    /// Notes that a session is used.
    fn touch_session(&mut self, hash: &Digest, now: Timestamp) -> Result<(), StoreError>;
    /// Ends a session.
    fn end_session(&mut self, hash: &Digest, now: Timestamp) -> Result<(), StoreError>;
}

const API_TOKEN: Query = query!(
    "api_tokens.get",
    "SELECT hash, name, client, rights, created_at, created_by, expires_at, revoked_at FROM api_tokens WHERE hash = ?1"
);
const SESSION: Query =
    query!("sessions.get", "SELECT hash, who, begun_at, last_used_at, ended_at FROM sessions WHERE hash = ?1");
const INSERT_API_TOKEN: Query = query!(
    "api_tokens.insert",
    "INSERT INTO api_tokens (hash, name, client, rights, created_at, created_by, expires_at, revoked_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
);
const REVOKE_API_TOKENS: Query =
    query!("api_tokens.revoke", "UPDATE api_tokens SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL");
const INSERT_LINK: Query =
    query!("login_links.insert", "INSERT INTO login_links (hash, who, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)");
const USE_LINK: Query = query!(
    "login_links.use",
    "UPDATE login_links SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 RETURNING who"
);
const INSERT_SESSION: Query = query!(
    "sessions.insert",
    "INSERT INTO sessions (hash, who, begun_at, last_used_at, ended_at) VALUES (?1, ?2, ?3, ?4, ?5)"
);
const TOUCH_SESSION: Query =
    query!("sessions.touch", "UPDATE sessions SET last_used_at = ?2 WHERE hash = ?1 AND last_used_at < ?2");
const END_SESSION: Query =
    query!("sessions.end", "UPDATE sessions SET ended_at = ?2 WHERE hash = ?1 AND ended_at IS NULL");

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[API_TOKEN, SESSION, USE_LINK, TOUCH_SESSION, END_SESSION];

fn api_token_row(row: &Row<'_>) -> rusqlite::Result<ApiTokenRow> {
    Ok(ApiTokenRow {
        hash: row.get::<_, Sha>(0)?.0,
        name: row.get(1)?,
        client: row.get::<_, Option<Parsed<_>>>(2)?.map(|client| client.0),
        rights: row.get(3)?,
        created_at: row.get::<_, At>(4)?.0,
        created_by: row.get(5)?,
        expires_at: row.get::<_, Option<At>>(6)?.map(|at| at.0),
        revoked_at: row.get::<_, Option<At>>(7)?.map(|at| at.0),
    })
}

impl AccessReads for SqliteTx<'_> {
    fn api_token(&self, hash: &Digest) -> Result<Option<ApiTokenRow>, StoreError> {
        self.one(&API_TOKEN, [&hash.0], api_token_row)
    }

    fn session(&self, hash: &Digest) -> Result<Option<SessionRow>, StoreError> {
        self.one(&SESSION, [&hash.0], |row| {
            Ok(SessionRow {
                hash: row.get::<_, Sha>(0)?.0,
                who: row.get(1)?,
                begun_at: row.get::<_, At>(2)?.0,
                last_used_at: row.get::<_, At>(3)?.0,
                ended_at: row.get::<_, Option<At>>(4)?.map(|at| at.0),
            })
        })
    }
}

impl AccessWrites for SqliteTx<'_> {
    fn insert_api_token(&mut self, row: &ApiTokenRow) -> Result<(), StoreError> {
        let ApiTokenRow { hash, name, client, rights, created_at, created_by, expires_at, revoked_at } = row;
        self.run(
            &INSERT_API_TOKEN,
            params![
                hash.0,
                name,
                client.as_ref().map(ClientId::as_str),
                rights,
                At(*created_at),
                created_by,
                expires_at.map(At),
                revoked_at.map(At)
            ],
        )
        .map(drop)
    }

    fn revoke_api_tokens(&mut self, name: &str, at: Timestamp) -> Result<u64, StoreError> {
        self.run(&REVOKE_API_TOKENS, params![name, At(at)]).map(|count| count as u64)
    }

    fn insert_login_link(&mut self, row: &LoginLinkRow) -> Result<(), StoreError> {
        let LoginLinkRow { hash, who, created_at, expires_at } = row;
        self.run(&INSERT_LINK, params![hash.0, who, At(*created_at), At(*expires_at)]).map(drop)
    }

    fn use_login_link(&mut self, hash: &Digest, now: Timestamp) -> Result<Option<String>, StoreError> {
        self.one(&USE_LINK, params![hash.0, At(now)], |row| row.get(0))
    }

    fn insert_session(&mut self, row: &SessionRow) -> Result<(), StoreError> {
        let SessionRow { hash, who, begun_at, last_used_at, ended_at } = row;
        let params = params![hash.0, who, At(*begun_at), At(*last_used_at), ended_at.map(At)];
        self.run(&INSERT_SESSION, params).map(drop)
    }

    fn touch_session(&mut self, hash: &Digest, now: Timestamp) -> Result<(), StoreError> {
        self.run(&TOUCH_SESSION, params![hash.0, At(now)]).map(drop)
    }

    fn end_session(&mut self, hash: &Digest, now: Timestamp) -> Result<(), StoreError> {
        self.run(&END_SESSION, params![hash.0, At(now)]).map(drop)
    }
}
