//! Who may read and act: one-time login links, sessions, API tokens (SECURITY 11, 26, 28, 30). Secrets are shown
//! once and stored as hashes.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Actor, Desk, DeskError, Scope};

/// How long a login link works.
pub const LOGIN_LINK_TTL: SignedDuration = SignedDuration::from_mins(15);
/// A session without a request ends after this.
pub const SESSION_IDLE: SignedDuration = SignedDuration::from_mins(30);
/// A session ends after this in any case.
pub const SESSION_MAX: SignedDuration = SignedDuration::from_hours(12);

/// What a session or token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rights {
    /// Look.
    Read,
    /// Look, and give the commands of [`crate::commands`].
    Respond,
}

/// Whoever stands behind a session or token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who, for audit and ledger.
    pub actor: Actor,
    /// Whose incidents he may see.
    pub scope: Scope,
    /// What he may do.
    pub rights: Rights,
}

/// A new API token, shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// The token's text: `upheld_` and 43 base64url characters.
    pub token: String,
    /// Its name, for lists and the audit.
    pub name: String,
}

impl std::fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiToken({}, REDACTED)", self.name)
    }
}

impl Desk {
    /// Makes a login link's secret (43 base64url characters), for the command line on the host only.
    pub async fn new_login_link(&self, person: &str, who: &Actor, now: Timestamp) -> Result<String, DeskError> {
        let _ = (person, who, now);
        Err(DeskError::NotBuilt("new_login_link"))
    }

    /// Uses a login link: exactly one of many uses at once gets the new session's secret, the others `None`, as
    /// does an unknown or old link.
    pub async fn sign_in(&self, link: &str, now: Timestamp) -> Result<Option<String>, DeskError> {
        let _ = (link, now);
        Err(DeskError::NotBuilt("sign_in"))
    }

    /// Who stands behind a session's secret; `None` when it ended. Moves its idle time.
    pub async fn session(&self, secret: &str, now: Timestamp) -> Result<Option<SignedIn>, DeskError> {
        let _ = (secret, now);
        Err(DeskError::NotBuilt("session"))
    }

    /// Ends a session.
    pub async fn sign_out(&self, secret: &str, now: Timestamp) -> Result<(), DeskError> {
        let _ = (secret, now);
        Err(DeskError::NotBuilt("sign_out"))
    }

    /// Makes an API token; `ttl` none for one that lives until it is revoked.
    pub async fn new_api_token(
        &self,
        name: &str,
        scope: &Scope,
        rights: Rights,
        ttl: Option<SignedDuration>,
        who: &Actor,
        now: Timestamp,
    ) -> Result<ApiToken, DeskError> {
        let _ = (name, scope, rights, ttl, who, now);
        Err(DeskError::NotBuilt("new_api_token"))
    }

    /// Who stands behind an API token; `None` when it is unknown, over, or revoked.
    pub async fn api_token(&self, token: &str, now: Timestamp) -> Result<Option<SignedIn>, DeskError> {
        let _ = (token, now);
        Err(DeskError::NotBuilt("api_token"))
    }

    /// Revokes API tokens by name; how many there were.
    pub async fn revoke_api_token(&self, name: &str, who: &Actor, now: Timestamp) -> Result<u64, DeskError> {
        let _ = (name, who, now);
        Err(DeskError::NotBuilt("revoke_api_token"))
    }
}
