//! Login links, sessions and API tokens: hashes only (SECURITY 26, 28).

use jiff::Timestamp;
use upheld_model::{ClientId, Digest};

use crate::{
    StoreError,
    sql::{At, Parsed, Query, Read, Row, Sha, Sql, params, query},
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
    /// Whose own it is (an id of [`crate::people`]): it may no more than he may; `None` for one of the host's command
    /// line.
    pub owner: Option<String>,
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

/// One link by which a person chooses a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordLinkRow {
    /// SHA-256 of the link's secret.
    pub hash: Digest,
    /// Whose password (an id of [`crate::people`]).
    pub person: String,
    /// What it is for, a word of the desk's.
    pub kind: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom (an id of [`crate::people`]).
    pub created_by: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// Reading.
pub trait AccessReads {
    /// The API token of this hash, whatever became of it.
    fn api_token(&self, hash: &Digest) -> Result<Option<ApiTokenRow>, StoreError>;
    /// The session of this hash, whatever became of it.
    fn session(&self, hash: &Digest) -> Result<Option<SessionRow>, StoreError>;
    /// A person's sessions that were not ended, the newest first; they may be over by themselves.
    fn sessions_of(&self, who: &str) -> Result<Vec<SessionRow>, StoreError>;
    /// The API tokens that are a person's own and not revoked, the newest first.
    fn api_tokens_of(&self, owner: &str) -> Result<Vec<ApiTokenRow>, StoreError>;
    /// The password link of this hash, whatever became of it.
    fn password_link(&self, hash: &Digest) -> Result<Option<PasswordLinkRow>, StoreError>;
}

/// Writing.
pub trait AccessWrites {
    /// Adds an API token.
    fn insert_api_token(&mut self, row: &ApiTokenRow) -> Result<(), StoreError>;
    /// Revokes the API tokens of a name that are not yet; how many.
    fn revoke_api_tokens(&mut self, name: &str, at: Timestamp) -> Result<u64, StoreError>;
    /// Revokes one API token that is this person's own; whether this call did it.
    fn revoke_own_api_token(&mut self, hash: &Digest, owner: &str, at: Timestamp) -> Result<bool, StoreError>;
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
    /// Ends every session of a person but one; how many.
    fn end_sessions_of(&mut self, who: &str, but: Option<&Digest>, now: Timestamp) -> Result<u64, StoreError>;
    /// Adds a password link.
    fn insert_password_link(&mut self, row: &PasswordLinkRow) -> Result<(), StoreError>;
    /// Uses an unused password link that has not ended; whose password it lets choose, if this call did it.
    fn use_password_link(&mut self, hash: &Digest, now: Timestamp) -> Result<Option<String>, StoreError>;
    /// Ends the unused password links of a person; how many worked still.
    fn void_password_links_of(&mut self, person: &str, now: Timestamp) -> Result<u64, StoreError>;
    /// Ends the unused login links of a person; how many worked still.
    fn void_login_links_of(&mut self, person: &str, now: Timestamp) -> Result<u64, StoreError>;
}

const API_TOKEN: Query = query!(
    "api_tokens.get",
    "SELECT hash, name, client, rights, created_at, created_by, expires_at, revoked_at, owner FROM api_tokens WHERE hash = ?1"
);
const SESSION: Query =
    query!("sessions.get", "SELECT hash, who, begun_at, last_used_at, ended_at FROM sessions WHERE hash = ?1");
const SESSIONS_OF: Query = query!(
    "sessions.of",
    "SELECT hash, who, begun_at, last_used_at, ended_at FROM sessions WHERE who = ?1 AND ended_at IS NULL \
     ORDER BY begun_at DESC"
);
const API_TOKENS_OF: Query = query!(
    "api_tokens.of_owner",
    "SELECT hash, name, client, rights, created_at, created_by, expires_at, revoked_at, owner FROM api_tokens \
     WHERE owner = ?1 AND revoked_at IS NULL ORDER BY created_at DESC"
);
const PASSWORD_LINK: Query = query!(
    "password_links.get",
    "SELECT hash, person, kind, created_at, created_by, expires_at, used_at FROM password_links WHERE hash = ?1"
);
const INSERT_PASSWORD_LINK: Query = query!(
    "password_links.insert",
    "INSERT INTO password_links (hash, person, kind, created_at, created_by, expires_at, used_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
);
const USE_PASSWORD_LINK: Query = query!(
    "password_links.use",
    "UPDATE password_links SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 RETURNING person"
);
const VOID_PASSWORD_LINKS_OF: Query = query!(
    "password_links.void",
    "UPDATE password_links SET expires_at = ?2 WHERE person = ?1 AND used_at IS NULL AND expires_at > ?2"
);
const VOID_LOGIN_LINKS_OF: Query = query!(
    "login_links.void",
    "UPDATE login_links SET expires_at = ?2 WHERE who = ?1 AND used_at IS NULL AND expires_at > ?2"
);
const END_SESSIONS_OF: Query = query!(
    "sessions.end_all",
    "UPDATE sessions SET ended_at = ?3 WHERE who = ?1 AND ended_at IS NULL AND (hash <> ?2 OR ?2 IS NULL)"
);
const REVOKE_OWN: Query = query!(
    "api_tokens.revoke_own",
    "UPDATE api_tokens SET revoked_at = ?3 WHERE hash = ?1 AND owner = ?2 AND revoked_at IS NULL"
);
const INSERT_API_TOKEN: Query = query!(
    "api_tokens.insert",
    "INSERT INTO api_tokens (hash, name, client, rights, created_at, created_by, expires_at, revoked_at, owner) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
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
pub(crate) const HOT: &[Query] = &[
    API_TOKEN,
    SESSION,
    SESSIONS_OF,
    API_TOKENS_OF,
    PASSWORD_LINK,
    USE_LINK,
    USE_PASSWORD_LINK,
    VOID_PASSWORD_LINKS_OF,
    VOID_LOGIN_LINKS_OF,
    TOUCH_SESSION,
    END_SESSION,
    END_SESSIONS_OF,
    REVOKE_OWN,
];

fn api_token_row(row: &Row<'_>) -> Read<ApiTokenRow> {
    Ok(ApiTokenRow {
        hash: row.get::<Sha>(0)?.0,
        name: row.get(1)?,
        client: row.get::<Option<Parsed<_>>>(2)?.map(|client| client.0),
        rights: row.get(3)?,
        created_at: row.get::<At>(4)?.0,
        created_by: row.get(5)?,
        expires_at: row.get::<Option<At>>(6)?.map(|at| at.0),
        revoked_at: row.get::<Option<At>>(7)?.map(|at| at.0),
        owner: row.get(8)?,
    })
}

fn session_row(row: &Row<'_>) -> Read<SessionRow> {
    Ok(SessionRow {
        hash: row.get::<Sha>(0)?.0,
        who: row.get(1)?,
        begun_at: row.get::<At>(2)?.0,
        last_used_at: row.get::<At>(3)?.0,
        ended_at: row.get::<Option<At>>(4)?.map(|at| at.0),
    })
}

fn password_link_row(row: &Row<'_>) -> Read<PasswordLinkRow> {
    Ok(PasswordLinkRow {
        hash: row.get::<Sha>(0)?.0,
        person: row.get(1)?,
        kind: row.get(2)?,
        created_at: row.get::<At>(3)?.0,
        created_by: row.get(4)?,
        expires_at: row.get::<At>(5)?.0,
        used_at: row.get::<Option<At>>(6)?.map(|at| at.0),
    })
}

impl AccessReads for Sql<'_> {
    fn api_token(&self, hash: &Digest) -> Result<Option<ApiTokenRow>, StoreError> {
        self.one(&API_TOKEN, [&hash.0], api_token_row)
    }

    fn session(&self, hash: &Digest) -> Result<Option<SessionRow>, StoreError> {
        self.one(&SESSION, [&hash.0], session_row)
    }

    fn sessions_of(&self, who: &str) -> Result<Vec<SessionRow>, StoreError> {
        self.all(&SESSIONS_OF, [who], session_row)
    }

    fn api_tokens_of(&self, owner: &str) -> Result<Vec<ApiTokenRow>, StoreError> {
        self.all(&API_TOKENS_OF, [owner], api_token_row)
    }

    fn password_link(&self, hash: &Digest) -> Result<Option<PasswordLinkRow>, StoreError> {
        self.one(&PASSWORD_LINK, [&hash.0], password_link_row)
    }
}

impl AccessWrites for Sql<'_> {
    fn insert_api_token(&mut self, row: &ApiTokenRow) -> Result<(), StoreError> {
        let ApiTokenRow { hash, name, client, rights, created_at, created_by, expires_at, revoked_at, owner } = row;
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
                revoked_at.map(At),
                owner
            ],
        )
        .map(drop)
    }

    fn revoke_api_tokens(&mut self, name: &str, at: Timestamp) -> Result<u64, StoreError> {
        self.run(&REVOKE_API_TOKENS, params![name, At(at)]).map(|count| count as u64)
    }

    fn revoke_own_api_token(&mut self, hash: &Digest, owner: &str, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.run(&REVOKE_OWN, params![hash.0, owner, At(at)])? == 1)
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

    fn end_sessions_of(&mut self, who: &str, but: Option<&Digest>, now: Timestamp) -> Result<u64, StoreError> {
        let but = but.map(|hash| hash.0);
        self.run(&END_SESSIONS_OF, params![who, but, At(now)]).map(|count| count as u64)
    }

    fn insert_password_link(&mut self, row: &PasswordLinkRow) -> Result<(), StoreError> {
        let PasswordLinkRow { hash, person, kind, created_at, created_by, expires_at, used_at } = row;
        let params = params![hash.0, person, kind, At(*created_at), created_by, At(*expires_at), used_at.map(At)];
        self.run(&INSERT_PASSWORD_LINK, params).map(drop)
    }

    fn use_password_link(&mut self, hash: &Digest, now: Timestamp) -> Result<Option<String>, StoreError> {
        self.one(&USE_PASSWORD_LINK, params![hash.0, At(now)], |row| row.get(0))
    }

    fn void_password_links_of(&mut self, person: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.run(&VOID_PASSWORD_LINKS_OF, params![person, At(now)]).map(|count| count as u64)
    }

    fn void_login_links_of(&mut self, person: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.run(&VOID_LOGIN_LINKS_OF, params![person, At(now)]).map(|count| count as u64)
    }
}
