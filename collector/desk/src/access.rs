//! Who may read and act: one-time login links, sessions, API tokens (SECURITY 11, 26, 28, 30). Secrets are shown
//! once and stored as hashes.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use upheld_store::{
    ReadTx,
    access::{ApiTokenRow, LoginLinkRow, SessionRow},
    users::UserRow,
};

use crate::{
    AccountError, Actor, Desk, DeskError, Role, Scope, accounts, audit, clock, random,
    roles::{self, Action},
};

/// How long a login link works.
pub const LOGIN_LINK_TTL: SignedDuration = SignedDuration::from_mins(15);
/// A session without a request ends after this.
pub const SESSION_IDLE: SignedDuration = SignedDuration::from_mins(30);
/// A session ends after this in any case.
pub const SESSION_MAX: SignedDuration = SignedDuration::from_hours(12);
/// A session's use is written down at most so often: a page that is looked at does not write.
const TOUCH_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Tells our tokens from others in logs and secret scanners.
const API_TOKEN_PREFIX: &str = "upheld_";

upheld_model::vocabulary! {
    /// What a session or token may do.
    Rights, "right", {
        /// Look.
        Read = "read",
        /// Look, and give the commands of [`crate::commands`].
        Respond = "respond",
    }
}

/// Whoever stands behind a session or token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who, for audit and ledger.
    pub actor: Actor,
    /// Whose incidents he may see.
    pub scope: Scope,
    /// As what.
    pub role: Role,
    /// How much of what the role may: all of it, or looking alone.
    pub rights: Rights,
}

impl SignedIn {
    /// Whoever types on the host, where all may be done (SECURITY 30); in a client's scope what his owner may.
    pub(crate) fn of_host(actor: Actor, scope: Scope) -> Self {
        let role = if scope.client().is_some() { Role::ClientOwner } else { Role::ProviderAdmin };
        Self { actor, scope, role, rights: Rights::Respond }
    }

    /// Whether he may: by his role, by the rights of his token, and never by a token what is for people only.
    pub fn may(&self, action: Action) -> bool {
        let is_token = matches!(self.actor, Actor::Token(_));
        roles::may(self.role, action)
            && (self.rights >= Rights::Respond || action.is_look())
            && !(is_token && action.is_persons())
    }
}

/// A new API token, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// A new API token's text.
pub(crate) fn new_api_token_text() -> Result<String, DeskError> {
    Ok(format!("{API_TOKEN_PREFIX}{}", random::secret()?))
}

/// Whether a session may be used at this instant.
pub(crate) fn may_be_used(session: &SessionRow, now: Timestamp) -> bool {
    is_alive(session, now)
}

impl Desk {
    /// Makes a login link's secret (43 base64url characters), for the command line on the host only. A person without
    /// an account gets one with all rights; a disabled account gets no link.
    pub async fn new_login_link(&self, person: &str, who: &Actor, now: Timestamp) -> Result<String, AccountError> {
        let now = clock::stored(now);
        let secret = random::secret()?;
        let (person, who, hash) = (person.to_owned(), who.clone(), random::hash(&secret));
        self.store
            .write("desk.new_login_link", move |tx| {
                let id = accounts::let_in(tx, &person, &who, now)?;
                audit::note(tx, now, &who, None, "login-link.made", &json!({ "for": id }))?;
                let expires_at = now.saturating_add(LOGIN_LINK_TTL).unwrap_or(now);
                tx.insert_login_link(&LoginLinkRow { hash, who: id, created_at: now, expires_at })
                    .map_err(AccountError::from)
            })
            .await?;
        Ok(secret)
    }

    /// Uses a login link: exactly one of many uses at once gets the new session's secret, the others `None`, as
    /// does an unknown or old link.
    pub async fn sign_in(&self, link: &str, now: Timestamp) -> Result<Option<String>, DeskError> {
        let now = clock::stored(now);
        let secret = random::secret()?;
        let (link, hash) = (random::hash(link), random::hash(&secret));
        let signed_in = self
            .store
            .write("desk.sign_in", move |tx| -> Result<bool, DeskError> {
                let Some(who) = tx.use_login_link(&link, now)? else {
                    audit::note(tx, now, &Actor::Collector, None, "login-link.refused", &json!({}))?;
                    return Ok(false);
                };
                let actor = Actor::of(&*tx, &who)?;
                audit::note(tx, now, &actor, None, "session.begun", &json!({}))?;
                tx.insert_session(&SessionRow { hash, who, begun_at: now, last_used_at: now, ended_at: None })?;
                Ok(true)
            })
            .await?;
        Ok(signed_in.then_some(secret))
    }

    /// Who stands behind a session's secret; `None` when it ended. Moves its idle time.
    pub async fn session(&self, secret: &str, now: Timestamp) -> Result<Option<SignedIn>, DeskError> {
        let now = clock::stored(now);
        let hash = random::hash(secret);
        let found = self
            .store
            .read("desk.session", move |tx| -> Result<_, DeskError> {
                let Some(session) = tx.session(&hash)?.filter(|session| is_alive(session, now)) else {
                    return Ok(None);
                };
                // Read at each request: whoever is disabled or gets another role is that from his next one.
                let Some(user) = tx.user(&session.who)?.filter(|user| user.disabled_at.is_none()) else {
                    return Ok(None);
                };
                let signed_in = of_account(tx, &user)?;
                Ok(Some((session, signed_in)))
            })
            .await?;
        let Some((session, signed_in)) = found else { return Ok(None) };
        if now.duration_since(session.last_used_at) >= TOUCH_EVERY {
            self.store
                .write("desk.session_used", move |tx| tx.touch_session(&hash, now).map_err(DeskError::from))
                .await?;
        }
        Ok(Some(signed_in))
    }

    /// Ends a session.
    pub async fn sign_out(&self, secret: &str, now: Timestamp) -> Result<(), DeskError> {
        let now = clock::stored(now);
        let hash = random::hash(secret);
        self.store.write("desk.sign_out", move |tx| tx.end_session(&hash, now).map_err(DeskError::from)).await
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
        let now = clock::stored(now);
        let token = new_api_token_text()?;
        let (hash, who, client, given) = (random::hash(&token), who.clone(), scope.client().cloned(), name.to_owned());
        self.store
            .write("desk.new_api_token", move |tx| -> Result<(), DeskError> {
                let detail = json!({ "name": given, "rights": rights });
                audit::note(tx, now, &who, client.as_ref(), "api-token.made", &detail)?;
                let row = ApiTokenRow {
                    hash,
                    name: given,
                    client,
                    rights: rights.as_str().to_owned(),
                    owner: None,
                    created_at: now,
                    created_by: who.id(tx)?,
                    expires_at: ttl.and_then(|ttl| now.saturating_add(ttl).ok()),
                    revoked_at: None,
                };
                Ok(tx.insert_api_token(&row)?)
            })
            .await?;
        Ok(ApiToken { token, name: name.to_owned() })
    }

    /// Who stands behind an API token; `None` when it is unknown, over, or revoked.
    pub async fn api_token(&self, token: &str, now: Timestamp) -> Result<Option<SignedIn>, DeskError> {
        let hash = random::hash(token);
        self.store
            .read("desk.api_token", move |tx| match api_token_behind(tx, &hash, now)? {
                Some(token) => accounts::within_the_owners(tx, &hash, token),
                None => Ok(None),
            })
            .await
    }

    /// Revokes API tokens by name; how many there were.
    pub async fn revoke_api_token(&self, name: &str, who: &Actor, now: Timestamp) -> Result<u64, DeskError> {
        let now = clock::stored(now);
        let (name, who) = (name.to_owned(), who.clone());
        self.store
            .write("desk.revoke_api_token", move |tx| -> Result<u64, DeskError> {
                let revoked = tx.revoke_api_tokens(&name, now)?;
                let detail = json!({ "name": name, "revoked": revoked });
                audit::note(tx, now, &who, None, "api-token.revoked", &detail)?;
                Ok(revoked)
            })
            .await
    }
}

/// What the person behind an account may see and do.
pub(crate) fn of_account(tx: &dyn ReadTx, user: &UserRow) -> Result<SignedIn, DeskError> {
    let actor = Actor::of(tx, &user.person)?;
    let scope = user.client.clone().map_or(Scope::Provider, Scope::Client);
    Ok(SignedIn { actor, scope, role: user.role, rights: Rights::Respond })
}

fn is_alive(session: &SessionRow, now: Timestamp) -> bool {
    session.ended_at.is_none()
        && now.duration_since(session.begun_at) < SESSION_MAX
        && now.duration_since(session.last_used_at) < SESSION_IDLE
}

fn api_token_behind(
    tx: &dyn ReadTx,
    hash: &upheld_model::Digest,
    now: Timestamp,
) -> Result<Option<SignedIn>, DeskError> {
    let Some(row) = tx.api_token(hash)? else { return Ok(None) };
    if row.revoked_at.is_some() || row.expires_at.is_some_and(|end| end <= now) {
        return Ok(None);
    }
    let rights = row.rights.parse().map_err(|error| DeskError::unreadable("API token", &error))?;
    let (scope, role) = match row.client {
        Some(client) => (Scope::Client(client), Role::ClientOwner),
        None => (Scope::Provider, Role::Dispatcher),
    };
    Ok(Some(SignedIn { actor: Actor::Token(row.name), scope, role, rights }))
}
