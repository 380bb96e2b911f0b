//! Links by which a person chooses his password: an invitation, or a reset. Each is used once, stored as a hash, and made
//! void by a newer one, by disabling the account, and by a restore (SECURITY 27).

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use upheld_store::{ReadTx, Tx, access::PasswordLinkRow, users::UserRow};

use super::{
    AccountError, Keeper, Login, PasswordError, PersonName,
    change::{after, kept},
    disabled, log_in, policy,
};
use crate::{Actor, Desk, DeskError, audit, clock, random};

/// How long an invitation works.
pub const INVITE_TTL: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a reset works.
pub const RESET_TTL: SignedDuration = SignedDuration::from_hours(1);

upheld_model::vocabulary! {
    /// What a link is for.
    LinkKind, "kind of link", {
        /// A new account's first password.
        Invite = "invite",
        /// Another password in place of a forgotten one.
        Reset = "reset",
    }
}

impl LinkKind {
    fn ttl(self) -> SignedDuration {
        match self {
            Self::Invite => INVITE_TTL,
            Self::Reset => RESET_TTL,
        }
    }
}

/// A new link, shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordLink {
    /// 43 base64url characters.
    pub secret: String,
    /// What it is for.
    pub kind: LinkKind,
    /// Whose password: the log-in name.
    pub login: String,
    /// His name.
    pub name: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for PasswordLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PasswordLink({} for {}, REDACTED, until {})", self.kind, self.login, self.expires_at)
    }
}

/// Whom a link that works is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFor {
    /// What it is for.
    pub kind: LinkKind,
    /// The log-in name.
    pub login: Login,
    /// The name.
    pub name: PersonName,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Desk {
    /// Makes another invitation for an account whose person has chosen no password yet; earlier links are void.
    pub async fn invite(&self, user: &str, keeper: &Keeper, now: Timestamp) -> Result<PasswordLink, AccountError> {
        self.link(user, LinkKind::Invite, keeper, now).await
    }

    /// Makes a link by which a person chooses another password; earlier links are void. The old password works until
    /// then.
    pub async fn reset(&self, user: &str, keeper: &Keeper, now: Timestamp) -> Result<PasswordLink, AccountError> {
        self.link(user, LinkKind::Reset, keeper, now).await
    }

    async fn link(
        &self,
        user: &str,
        kind: LinkKind,
        keeper: &Keeper,
        now: Timestamp,
    ) -> Result<PasswordLink, AccountError> {
        let (user, keeper, now) = (user.to_owned(), keeper.clone(), clock::stored(now));
        self.store
            .write("desk.password_link", move |tx| {
                let row = kept(&*tx, &user, &keeper.reach)?;
                if row.disabled_at.is_some() {
                    return Err(disabled(&*tx, &row)?);
                }
                if kind == LinkKind::Invite && row.password.is_some() {
                    let login = tx.login_of(&row.person)?.unwrap_or(row.person);
                    return Err(AccountError::HasPassword { login });
                }
                make(tx, &row, kind, &keeper.actor, now)
            })
            .await
    }

    /// Whom a link is for, while it works. Looking uses nothing up.
    pub async fn password_link(&self, secret: &str, now: Timestamp) -> Result<Option<LinkFor>, DeskError> {
        let hash = random::hash(secret);
        self.store.read("desk.password_link_for", move |tx| link_for(tx, &hash, now)).await
    }

    /// Uses a link: the password is chosen, every session of the account ends, and a new one begins, whose secret is the
    /// answer. `from` is the browser's address; `old` the session that it had.
    pub async fn choose_password(
        &self,
        secret: &str,
        [password, again]: [&str; 2],
        from: IpAddr,
        old: Option<&str>,
        now: Timestamp,
    ) -> Result<String, AccountError> {
        let now = clock::stored(now);
        let hash = random::hash(secret);
        let link = self.password_link(secret, now).await?.ok_or(AccountError::LinkGone)?;
        let password = policy::choose(password, &link.login, &link.name)
            .and_then(|chosen| if password == again { Ok(chosen) } else { Err(PasswordError::Differs) })?;
        let stored = self.shared.hasher.hash(password).await?;
        let old = old.map(random::hash);
        self.store
            .write("desk.choose_password", move |tx| {
                let person = tx.use_password_link(&hash, now)?.ok_or(AccountError::LinkGone)?;
                let row = tx.user(&person)?.ok_or(AccountError::LinkGone)?;
                if row.disabled_at.is_some() {
                    return Err(AccountError::LinkGone);
                }
                let actor = set_password(tx, &row, stored, now)?;
                let detail = json!({ "user": person, "by": link.kind, "from": from.to_string() });
                audit::note(tx, now, &actor, row.client.as_ref(), "password.chosen", &detail)?;
                log_in::begin(tx, &row, old.as_ref(), link.kind.as_str(), from, now)
            })
            .await
    }
}

/// Makes a link in this transaction; earlier ones of the account are void.
pub(super) fn make(
    tx: &mut dyn Tx,
    user: &UserRow,
    kind: LinkKind,
    by: &Actor,
    now: Timestamp,
) -> Result<PasswordLink, AccountError> {
    let secret = random::secret()?;
    let expires_at = now.saturating_add(kind.ttl()).unwrap_or(now);
    let created_by = by.id(tx)?;
    tx.void_password_links_of(&user.person, now)?;
    tx.insert_password_link(&PasswordLinkRow {
        hash: random::hash(&secret),
        person: user.person.clone(),
        kind: kind.as_str().to_owned(),
        created_at: now,
        created_by,
        expires_at,
        used_at: None,
    })?;
    let detail = json!({ "user": user.person, "kind": kind, "until": expires_at });
    audit::note(tx, now, by, user.client.as_ref(), "password-link.made", &detail)?;
    Ok(PasswordLink {
        secret,
        kind,
        login: tx.login_of(&user.person)?.unwrap_or_default(),
        name: tx.name_of(&user.person)?.unwrap_or_default(),
        expires_at,
    })
}

/// Stores a password's hash: sessions and links of the account end. Whose it is.
pub(super) fn set_password(
    tx: &mut dyn Tx,
    row: &UserRow,
    hash: String,
    now: Timestamp,
) -> Result<Actor, AccountError> {
    let changed = UserRow { password: Some(hash), changed_at: after(row, now), ..row.clone() };
    if !tx.change_user(&changed, row.changed_at)? {
        return Err(AccountError::Stale);
    }
    tx.end_sessions_of(&row.person, None, now)?;
    tx.void_password_links_of(&row.person, now)?;
    tx.void_login_links_of(&row.person, now)?;
    Ok(Actor::of(&*tx, &row.person)?)
}

fn link_for(tx: &dyn ReadTx, hash: &upheld_model::Digest, now: Timestamp) -> Result<Option<LinkFor>, DeskError> {
    let Some(link) = tx.password_link(hash)?.filter(|link| link.used_at.is_none() && link.expires_at > now) else {
        return Ok(None);
    };
    if tx.user(&link.person)?.is_none_or(|user| user.disabled_at.is_some()) {
        return Ok(None);
    }
    let (Some(login), Some(name)) = (tx.login_of(&link.person)?, tx.name_of(&link.person)?) else { return Ok(None) };
    let unreadable = |error: super::NameError| DeskError::unreadable("name", &error);
    Ok(Some(LinkFor {
        kind: link.kind.parse().map_err(|error| DeskError::unreadable("password link", &error))?,
        login: login.parse().map_err(unreadable)?,
        name: name.parse().map_err(unreadable)?,
        expires_at: link.expires_at,
    }))
}
