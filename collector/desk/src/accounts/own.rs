//! What each does with his own account: password, sessions, tokens. The session's secret says whose it is.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;
use upheld_model::Digest;
use upheld_store::{
    ReadTx,
    access::{ApiTokenRow, SessionRow},
    users::UserRow,
};

use super::{
    AccountError, Login, PasswordError, PersonName, Role, UserView,
    hashing::Checked,
    links::set_password,
    log_in::{begin, throttled_as},
    policy::{self, Password},
    throttle::Source,
};
use crate::{
    Actor, ApiToken, Desk, DeskError, Rights, SignedIn,
    access::{self, may_be_used},
    audit, clock, random,
};

/// One of a person's sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnSession {
    /// Tells it from his others; it opens nothing.
    pub id: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
    /// Whether it is the one that asks.
    pub is_this: bool,
}

/// One of a person's own API tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnToken {
    /// Tells it from his others; it opens nothing.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may do, as long as he may.
    pub rights: Rights,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

impl Desk {
    /// Whose account a session is.
    pub async fn own_account(&self, session: &str, now: Timestamp) -> Result<Option<UserView>, DeskError> {
        let hash = random::hash(session);
        self.store
            .read("desk.own_account", move |tx| {
                owner(tx, &hash, now)?.map(|(_, user)| UserView::of(tx, user)).transpose()
            })
            .await
    }

    /// Changes a person's password. Who has none yet (he came by a log-in link) need not say it. All his sessions end,
    /// and a new one begins in place of this one: its secret is the answer.
    pub async fn change_password(
        &self,
        session: &str,
        present: &str,
        [password, again]: [&str; 2],
        from: IpAddr,
        now: Timestamp,
    ) -> Result<String, AccountError> {
        let now = clock::stored(now);
        let hash = random::hash(session);
        let (user, login, name) = self
            .store
            .read("desk.password_owner", move |tx| {
                let (_, user) = owner(tx, &hash, now)?.ok_or_else(gone)?;
                let login = tx.login_of(&user.person)?.unwrap_or_default().parse::<Login>()?;
                let name = tx.name_of(&user.person)?.unwrap_or_default().parse::<PersonName>()?;
                Ok::<_, AccountError>((user, login, name))
            })
            .await?;
        let chosen = policy::choose(password, &login, &name)
            .and_then(|chosen| if password == again { Ok(chosen) } else { Err(PasswordError::Differs) })?;
        if user.password.is_some() {
            self.prove(&user, &login, present, from, now).await?;
        }
        let stored = self.shared.hasher.hash(chosen).await?;
        self.store
            .write("desk.change_password", move |tx| {
                let (_, row) = owner(&*tx, &hash, now)?.ok_or_else(gone)?;
                if row.password != user.password {
                    return Err(AccountError::Stale);
                }
                let actor = set_password(tx, &row, stored, now)?;
                let detail = json!({ "user": row.person, "by": "himself", "from": from.to_string() });
                audit::note(tx, now, &actor, row.client.as_ref(), "password.chosen", &detail)?;
                begin(tx, &row, Some(&hash), "password change", from, now)
            })
            .await
    }

    /// Checks the present password; a wrong one counts as a failed log-in.
    async fn prove(
        &self,
        user: &UserRow,
        login: &Login,
        present: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let (account, source) = (throttled_as(login.as_str()), Source::from(from));
        if let Some(until) = self.held(account, source, Some(user), from, now).await? {
            return Err(AccountError::Wait { until });
        }
        let checked = match Password::typed(present) {
            Some(present) => self.shared.hasher.check(present, user.password.clone()).await?,
            None => Checked::Wrong,
        };
        if checked == Checked::Wrong {
            self.note_refused(Some(user.clone()), from, now).await?;
            return Err(AccountError::WrongPassword);
        }
        self.throttle().succeeded(account, source, now);
        Ok(())
    }

    /// A person's sessions that are not over, the newest first.
    pub async fn own_sessions(&self, session: &str, now: Timestamp) -> Result<Vec<OwnSession>, DeskError> {
        let hash = random::hash(session);
        self.store
            .read("desk.own_sessions", move |tx| {
                let Some((_, user)) = owner(tx, &hash, now)? else { return Ok(vec![]) };
                let rows = tx.sessions_of(&user.person)?.into_iter().filter(|row| may_be_used(row, now));
                Ok(rows
                    .map(|row| OwnSession {
                        id: id_of(&row.hash),
                        begun_at: row.begun_at,
                        last_used_at: row.last_used_at,
                        is_this: row.hash == hash,
                    })
                    .collect())
            })
            .await
    }

    /// Ends a person's sessions but the one that asks: all of them, or the one of this id. How many there were.
    pub async fn end_own_sessions(
        &self,
        session: &str,
        only: Option<&str>,
        now: Timestamp,
    ) -> Result<u64, AccountError> {
        let (hash, only, now) = (random::hash(session), only.map(str::to_owned), clock::stored(now));
        self.store
            .write("desk.end_own_sessions", move |tx| {
                let (_, user) = owner(&*tx, &hash, now)?.ok_or_else(gone)?;
                let ended = match &only {
                    None => tx.end_sessions_of(&user.person, Some(&hash), now)?,
                    Some(id) => {
                        let mut rows = tx.sessions_of(&user.person)?.into_iter();
                        match rows.find(|row| id_of(&row.hash) == *id && row.hash != hash) {
                            Some(row) => tx.end_session(&row.hash, now).map(|()| 1)?,
                            None => 0,
                        }
                    }
                };
                let actor = Actor::of(&*tx, &user.person)?;
                let detail = json!({ "user": user.person, "sessions": ended });
                audit::note(tx, now, &actor, user.client.as_ref(), "sessions.ended", &detail)?;
                Ok(ended)
            })
            .await
    }

    /// A person's own API tokens that work still.
    pub async fn own_tokens(&self, session: &str, now: Timestamp) -> Result<Vec<OwnToken>, DeskError> {
        let hash = random::hash(session);
        self.store
            .read("desk.own_tokens", move |tx| {
                let Some((_, user)) = owner(tx, &hash, now)? else { return Ok(vec![]) };
                let rows = tx.api_tokens_of(&user.person)?.into_iter();
                rows.filter(|row| row.expires_at.is_none_or(|end| end > now)).map(OwnToken::of).collect()
            })
            .await
    }

    /// Makes an API token that is a person's own: it sees what he sees, and may at no time do more than he.
    pub async fn new_own_token(
        &self,
        session: &str,
        name: &str,
        rights: Rights,
        ttl: SignedDuration,
        now: Timestamp,
    ) -> Result<ApiToken, AccountError> {
        let now = clock::stored(now);
        let name = name.parse::<PersonName>()?;
        let signed_in = self.session(session, now).await?.ok_or_else(gone)?;
        let token = access::new_api_token_text()?;
        let (hash, given) = (random::hash(session), name.to_string());
        let text = random::hash(&token);
        self.store
            .write("desk.new_own_token", move |tx| {
                let (_, user) = owner(&*tx, &hash, now)?.ok_or_else(gone)?;
                let rights = rights.min(signed_in.rights);
                let detail = json!({ "name": given, "rights": rights, "owner": user.person });
                audit::note(tx, now, &signed_in.actor, user.client.as_ref(), "api-token.made", &detail)?;
                tx.insert_api_token(&ApiTokenRow {
                    hash: text,
                    name: given,
                    client: signed_in.scope.client().cloned(),
                    rights: rights.as_str().to_owned(),
                    owner: Some(user.person.clone()),
                    created_at: now,
                    created_by: user.person,
                    expires_at: Some(now.saturating_add(ttl).unwrap_or(now)),
                    revoked_at: None,
                })
                .map_err(AccountError::from)
            })
            .await?;
        Ok(ApiToken { token, name: name.to_string() })
    }

    /// Revokes a person's own API token; whether it was there.
    pub async fn revoke_own_token(&self, session: &str, id: &str, now: Timestamp) -> Result<bool, AccountError> {
        let (hash, id, now) = (random::hash(session), id.to_owned(), clock::stored(now));
        self.store
            .write("desk.revoke_own_token", move |tx| {
                let (_, user) = owner(&*tx, &hash, now)?.ok_or_else(gone)?;
                let mut rows = tx.api_tokens_of(&user.person)?.into_iter();
                let Some(row) = rows.find(|row| id_of(&row.hash) == id) else { return Ok(false) };
                let revoked = tx.revoke_own_api_token(&row.hash, &user.person, now)?;
                let actor = Actor::of(&*tx, &user.person)?;
                let detail = json!({ "name": row.name, "revoked": u64::from(revoked) });
                audit::note(tx, now, &actor, user.client.as_ref(), "api-token.revoked", &detail)?;
                Ok(revoked)
            })
            .await
    }
}

impl OwnToken {
    fn of(row: ApiTokenRow) -> Result<Self, DeskError> {
        let ApiTokenRow { hash, name, rights, created_at, expires_at, .. } = row;
        let rights = rights.parse().map_err(|error| DeskError::unreadable("API token", &error))?;
        Ok(Self { id: id_of(&hash), name, rights, created_at, expires_at })
    }
}

/// What is left of a token that is a person's own, beside what he may do at this moment (SECURITY 28); `None` when he
/// may do nothing. One of the host's command line stays as it is.
pub(crate) fn within_the_owners(
    tx: &dyn ReadTx,
    hash: &Digest,
    token: SignedIn,
) -> Result<Option<SignedIn>, DeskError> {
    let Some(owner) = tx.api_token(hash)?.and_then(|row| row.owner) else { return Ok(Some(token)) };
    let Some(user) = tx.user(&owner)?.filter(|user| user.disabled_at.is_none()) else { return Ok(None) };
    // A token keeps the scope in which it was made: of another client than his it is nobody's.
    let is_within = user.client.is_none() || user.client.as_ref() == token.scope.client();
    let role = match (user.role, token.role) {
        (Role::Technician, Role::Dispatcher) => Role::Technician,
        (Role::Technician, Role::ClientOwner) | (Role::ClientReader, _) => Role::ClientReader,
        (_, role) => role,
    };
    Ok(is_within.then_some(SignedIn { role, ..token }))
}

/// The session behind a hash and its account, while both may be used.
fn owner(tx: &dyn ReadTx, hash: &Digest, now: Timestamp) -> Result<Option<(SessionRow, UserRow)>, DeskError> {
    let Some(session) = tx.session(hash)?.filter(|session| may_be_used(session, now)) else { return Ok(None) };
    let user = tx.user(&session.who)?.filter(|user| user.disabled_at.is_none());
    Ok(user.map(|user| (session, user)))
}

/// The session ended while its page was open.
fn gone() -> AccountError {
    AccountError::NoSuchUser("behind this session".to_owned())
}

/// A name for a hash of a secret: 64 of its bits.
fn id_of(hash: &Digest) -> String {
    hash.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
