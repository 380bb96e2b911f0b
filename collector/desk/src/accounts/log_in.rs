//! Logging in by name and password. The same answer, after the same work, for a wrong password, an unknown name, an
//! account without a password and a disabled one.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::json;
use upheld_model::Digest;
use upheld_store::{Tx, access::SessionRow, users::UserRow};

use super::{
    AccountError, Login,
    hashing::Checked,
    policy::Password,
    throttle::{Answer, Source},
};
use crate::{Actor, Desk, DeskError, audit, clock, random};

/// What became of a try.
#[derive(Clone, PartialEq, Eq)]
pub enum LogIn {
    /// A session has begun: its secret.
    In(String),
    /// Name and password are not those of an account that may be used.
    Refused,
    /// Nothing was tried, since too many tries failed: not before this instant.
    Wait(Timestamp),
}

impl std::fmt::Debug for LogIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::In(_) => f.write_str("In(REDACTED)"),
            Self::Refused => f.write_str("Refused"),
            Self::Wait(until) => write!(f, "Wait({until})"),
        }
    }
}

impl Desk {
    /// Tries a name and a password as they were typed, from a browser at this address. A session that the browser has
    /// (`old`) ends when the new one begins.
    pub async fn log_in(
        &self,
        login: &str,
        password: &str,
        from: IpAddr,
        old: Option<&str>,
        now: Timestamp,
    ) -> Result<LogIn, AccountError> {
        let now = clock::stored(now);
        let (account, source) = (throttled_as(login), Source::from(from));
        let user = self.account_of(login).await?;
        if let Some(until) = self.held(account, source, user.as_ref(), from, now).await? {
            return Ok(LogIn::Wait(until));
        }
        let stored = user.as_ref().filter(|user| user.disabled_at.is_none()).and_then(|user| user.password.clone());
        let checked = match Password::typed(password) {
            Some(password) => self.shared.hasher.check(password, stored.clone()).await?,
            None => Checked::Wrong,
        };
        let (Checked::Right { better }, Some(user)) = (checked, user.clone()) else {
            self.note_refused(user, from, now).await?;
            return Ok(LogIn::Refused);
        };
        let old = old.map(random::hash);
        let begun = self
            .store
            .write("desk.log_in", move |tx| {
                // The account may have changed while the password was checked.
                let Some(row) =
                    tx.user(&user.person)?.filter(|row| row.password == stored && row.disabled_at.is_none())
                else {
                    return Ok::<_, AccountError>(None);
                };
                if better.is_some() {
                    // Nothing of the account changes by it: `changed_at` stays, and nobody's form is stale.
                    tx.change_user(&UserRow { password: better, ..row.clone() }, row.changed_at)?;
                }
                begin(tx, &row, old.as_ref(), "password", from, now).map(Some)
            })
            .await?;
        let Some(secret) = begun else { return Ok(LogIn::Refused) };
        self.throttle().succeeded(account, source, now);
        Ok(LogIn::In(secret))
    }

    /// Until when a try is held up; `None` when it may be made, which then counts as one.
    pub(super) async fn held(
        &self,
        account: Digest,
        source: Source,
        user: Option<&UserRow>,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, AccountError> {
        let (until, is_news) = match self.throttle().begin(account, source, now) {
            Answer::Go => return Ok(None),
            Answer::Wait { until, is_news } => (until, is_news),
        };
        if is_news {
            let (person, client) = user.map(|user| (user.person.clone(), user.client.clone())).unzip();
            self.store
                .write("desk.log_in_held", move |tx| {
                    let detail = json!({ "user": person, "from": from.to_string(), "until": until });
                    audit::note(tx, now, &Actor::Collector, client.flatten().as_ref(), "login.held", &detail)
                })
                .await?;
        }
        Ok(Some(until))
    }

    /// Into the audit: whose account was tried, from where. What was typed is not: people type passwords into the wrong
    /// field.
    pub(super) async fn note_refused(
        &self,
        user: Option<UserRow>,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<(), DeskError> {
        self.store
            .write("desk.log_in_refused", move |tx| {
                let why = match &user {
                    None => "no such account",
                    Some(user) if user.disabled_at.is_some() => "disabled",
                    Some(user) if user.password.is_none() => "no password chosen yet",
                    Some(_) => "another password",
                };
                let (person, client) = user.map(|user| (user.person, user.client)).unzip();
                let detail = json!({ "user": person, "from": from.to_string(), "why": why });
                audit::note(tx, now, &Actor::Collector, client.flatten().as_ref(), "login.refused", &detail)
            })
            .await
    }

    async fn account_of(&self, login: &str) -> Result<Option<UserRow>, DeskError> {
        let Ok(login) = login.parse::<Login>() else { return Ok(None) };
        self.store
            .read("desk.account_of", move |tx| match tx.person_of_login(login.as_str())? {
                Some(person) => Ok(tx.user(&person)?),
                None => Ok(None),
            })
            .await
    }

    pub(super) fn throttle(&self) -> std::sync::MutexGuard<'_, super::throttle::Throttle> {
        // Counts are whole after every statement: a panic elsewhere spoils none.
        self.shared.throttle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Under what the tries at a name are counted, whether somebody has it or not.
pub(super) fn throttled_as(login: &str) -> Digest {
    login.parse::<Login>().map_or_else(|_| random::hash(""), |login| random::hash(login.as_str()))
}

/// Begins a session with a new id and ends the one that the browser had; its secret.
pub(super) fn begin(
    tx: &mut dyn Tx,
    user: &UserRow,
    old: Option<&Digest>,
    by: &str,
    from: IpAddr,
    now: Timestamp,
) -> Result<String, AccountError> {
    let secret = random::secret()?;
    if let Some(old) = old {
        tx.end_session(old, now)?;
    }
    let actor = Actor::of(&*tx, &user.person)?;
    let detail = json!({ "by": by, "from": from.to_string() });
    audit::note(tx, now, &actor, user.client.as_ref(), "session.begun", &detail)?;
    let hash = random::hash(&secret);
    tx.insert_session(&SessionRow {
        hash,
        who: user.person.clone(),
        begun_at: now,
        last_used_at: now,
        ended_at: None,
    })?;
    Ok(secret)
}
