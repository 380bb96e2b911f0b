//! Keeping accounts: making, disabling, enabling, another role, ending sessions.

use jiff::Timestamp;
use serde_json::json;
use upheld_model::ClientId;
use upheld_store::{ReadTx, Tx, users::UserRow};

use super::{AccountError, Keeper, LinkKind, Login, PasswordLink, PersonName, Reach, Role, UserView, find, links};
use crate::{Actor, Desk, DeskError, audit, clock};

/// An account to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// What he logs in with, as it was typed.
    pub login: String,
    /// His name, as it was typed; empty for the log-in name.
    pub name: String,
    /// What he may do.
    pub role: Role,
    /// Whose person he is.
    pub client: Option<ClientId>,
}

impl Desk {
    /// Makes an account and the link by which its person chooses his password.
    pub async fn make_user(
        &self,
        new: NewUser,
        keeper: &Keeper,
        now: Timestamp,
    ) -> Result<(UserView, PasswordLink), AccountError> {
        let NewUser { login, name, role, client } = new;
        let name = if name.trim().is_empty() { login.clone() } else { name };
        let (login, name) = (login.parse::<Login>()?, name.parse::<PersonName>()?);
        self.may_be(role, client.as_ref(), &keeper.reach).await?;
        let (keeper, now) = (keeper.clone(), clock::stored(now));
        self.store
            .write("desk.make_user", move |tx| {
                let person = new_person(tx, &login, &name, &keeper)?;
                let row = UserRow {
                    person,
                    role,
                    client,
                    password: None,
                    created_at: now,
                    created_by: keeper.actor.id(tx)?,
                    changed_at: now,
                    disabled_at: None,
                };
                tx.insert_user(&row)?;
                let detail = json!({ "user": row.person, "role": role });
                audit::note(tx, now, &keeper.actor, row.client.as_ref(), "user.made", &detail)?;
                let link = links::make(tx, &row, LinkKind::Invite, &keeper.actor, now)?;
                Ok((UserView::of(&*tx, row)?, link))
            })
            .await
    }

    /// The accounts that somebody keeps, by log-in name.
    pub async fn users(&self, reach: &Reach) -> Result<Vec<UserView>, DeskError> {
        let reach = reach.clone();
        self.store
            .read("desk.users", move |tx| {
                let rows = match &reach {
                    Reach::All => tx.users(None)?,
                    Reach::ReadersOf(client) => tx.users(Some(client))?,
                };
                rows.into_iter().filter(|row| reach.includes(row)).map(|row| UserView::of(tx, row)).collect()
            })
            .await
    }

    /// Whether there is an account that this text means, whoever keeps it.
    pub async fn is_account(&self, user: &str) -> Result<bool, DeskError> {
        let user = user.to_owned();
        let found = self.store.read("desk.is_account", move |tx| find(tx, &user).map(drop)).await;
        match found {
            Ok(()) => Ok(true),
            Err(AccountError::Desk(error)) => Err(error),
            Err(_no_such_user) => Ok(false),
        }
    }

    /// Disables an account: its sessions and links end, and its tokens do nothing while it is so. Disabling it again
    /// changes nothing.
    pub async fn disable_user(
        &self,
        user: &str,
        seen: Option<Timestamp>,
        keeper: &Keeper,
        now: Timestamp,
    ) -> Result<UserView, AccountError> {
        self.change(user, seen, keeper, now, "user.disabled", |tx, row, keeper, now| {
            if row.disabled_at.is_some() {
                return Ok(None);
            }
            refuse_own(&*tx, row, keeper)?;
            refuse_last(&*tx, row)?;
            let ended = end_all(tx, &row.person, now)?;
            let changed = UserRow { disabled_at: Some(now), ..row.clone() };
            Ok(Some((changed, json!({ "user": row.person, "sessions": ended }))))
        })
        .await
    }

    /// Lets a disabled account be used again, with the password it had.
    pub async fn enable_user(
        &self,
        user: &str,
        seen: Option<Timestamp>,
        keeper: &Keeper,
        now: Timestamp,
    ) -> Result<UserView, AccountError> {
        self.change(user, seen, keeper, now, "user.enabled", |_, row, _, _| {
            let changed = UserRow { disabled_at: None, ..row.clone() };
            Ok(row.disabled_at.is_some().then(|| (changed, json!({ "user": row.person }))))
        })
        .await
    }

    /// Gives an account another role; its sessions end, since its rights are others.
    pub async fn set_role(
        &self,
        user: &str,
        (role, client): (Role, Option<ClientId>),
        seen: Option<Timestamp>,
        keeper: &Keeper,
        now: Timestamp,
    ) -> Result<UserView, AccountError> {
        self.may_be(role, client.as_ref(), &keeper.reach).await?;
        self.change(user, seen, keeper, now, "user.role", move |tx, row, keeper, now| {
            if (row.role, &row.client) == (role, &client) {
                return Ok(None);
            }
            refuse_own(&*tx, row, keeper)?;
            refuse_last(&*tx, row)?;
            let ended = tx.end_sessions_of(&row.person, None, now)?;
            let detail = json!({
                "user": row.person, "was": row.role, "was_client": row.client, "role": role, "client": client,
                "sessions": ended,
            });
            Ok(Some((UserRow { role, client, ..row.clone() }, detail)))
        })
        .await
    }

    /// Ends every session of an account; how many there were.
    pub async fn end_sessions(&self, user: &str, keeper: &Keeper, now: Timestamp) -> Result<u64, AccountError> {
        let (user, keeper, now) = (user.to_owned(), keeper.clone(), clock::stored(now));
        self.store
            .write("desk.end_sessions", move |tx| {
                let row = kept(&*tx, &user, &keeper.reach)?;
                let ended = tx.end_sessions_of(&row.person, None, now)?;
                let detail = json!({ "user": row.person, "sessions": ended });
                audit::note(tx, now, &keeper.actor, row.client.as_ref(), "sessions.ended", &detail)?;
                Ok(ended)
            })
            .await
    }

    /// Whether an account may be of this kind: the role fits the client, the book has him, and the giver may.
    async fn may_be(&self, role: Role, client: Option<&ClientId>, reach: &Reach) -> Result<(), AccountError> {
        if role.is_of_a_client() != client.is_some() {
            return Err(AccountError::Client { role });
        }
        if !reach.may_give(role, client) {
            return Err(AccountError::BeyondReach);
        }
        let Some(client) = client else { return Ok(()) };
        let book = self.current_book().await?;
        if book.book.clients.contains_key(client) { Ok(()) } else { Err(AccountError::NoSuchClient(client.clone())) }
    }

    /// Changes one account in a transaction: `work` says how the row becomes and what the audit holds, or that nothing
    /// is to be done.
    async fn change(
        &self,
        user: &str,
        seen: Option<Timestamp>,
        keeper: &Keeper,
        now: Timestamp,
        what: &'static str,
        work: impl FnOnce(
            &mut dyn Tx,
            &UserRow,
            &Keeper,
            Timestamp,
        ) -> Result<Option<(UserRow, serde_json::Value)>, AccountError>
        + Send
        + 'static,
    ) -> Result<UserView, AccountError> {
        let (user, keeper, now) = (user.to_owned(), keeper.clone(), clock::stored(now));
        self.store
            .write("desk.change_user", move |tx| {
                let row = kept(&*tx, &user, &keeper.reach)?;
                if seen.is_some_and(|seen| seen != row.changed_at) {
                    return Err(AccountError::Stale);
                }
                let Some((changed, detail)) = work(tx, &row, &keeper, now)? else {
                    return Ok(UserView::of(&*tx, row)?);
                };
                let changed = UserRow { changed_at: after(&row, now), ..changed };
                if !tx.change_user(&changed, row.changed_at)? {
                    return Err(AccountError::Stale);
                }
                let client = changed.client.as_ref().or(row.client.as_ref());
                audit::note(tx, now, &keeper.actor, client, what, &detail)?;
                Ok(UserView::of(&*tx, changed)?)
            })
            .await
    }
}

/// The account, if it is one that somebody keeps; another's looks as one that is not there.
pub(super) fn kept(tx: &dyn ReadTx, user: &str, reach: &Reach) -> Result<UserRow, AccountError> {
    let row = find(tx, user)?;
    if reach.includes(&row) { Ok(row) } else { Err(AccountError::NoSuchUser(user.to_owned())) }
}

/// The instant of a change: never the one of the change before, by which it is told apart.
pub(super) fn after(row: &UserRow, now: Timestamp) -> Timestamp {
    let next = row.changed_at.saturating_add(jiff::SignedDuration::from_micros(1)).unwrap_or(now);
    now.max(next)
}

/// Ends sessions and links of a person; how many sessions there were.
fn end_all(tx: &mut dyn Tx, person: &str, now: Timestamp) -> Result<u64, AccountError> {
    tx.void_password_links_of(person, now)?;
    tx.void_login_links_of(person, now)?;
    Ok(tx.end_sessions_of(person, None, now)?)
}

/// A person for a new account. A client's own people may not lay claim to a name that somebody bears: it would be his
/// id in ledger and audit. The provider may: then the account is that person's.
fn new_person(tx: &mut dyn Tx, login: &Login, name: &PersonName, keeper: &Keeper) -> Result<String, AccountError> {
    let taken = |what, name: &str| Err(AccountError::Taken { what, name: name.to_owned() });
    if tx.person_of_login(login.as_str())?.is_some() {
        return taken("log-in name", login.as_str());
    }
    let known = tx.person(name.as_str())?;
    let is_free = match &known {
        None => true,
        Some(person) => keeper.reach == Reach::All && tx.user(person)?.is_none(),
    };
    if !is_free {
        return taken("name", name.as_str());
    }
    let person = Actor::person(name.as_str()).id(tx)?;
    tx.set_login(&person, login.as_str())?;
    Ok(person)
}

/// Nobody takes his own rights: who does it by mistake could not undo it.
fn refuse_own(tx: &dyn ReadTx, row: &UserRow, keeper: &Keeper) -> Result<(), AccountError> {
    match &keeper.actor {
        Actor::Person(name) if tx.person(name)?.as_ref() == Some(&row.person) => Err(AccountError::Yourself),
        Actor::Person(_) | Actor::Token(_) | Actor::Agent(_) | Actor::Collector => Ok(()),
    }
}

/// Somebody must be left who may keep accounts.
fn refuse_last(tx: &dyn ReadTx, row: &UserRow) -> Result<(), AccountError> {
    let is_admin = |user: &UserRow| user.role == Role::ProviderAdmin && user.disabled_at.is_none();
    if !is_admin(row) {
        return Ok(());
    }
    let is_another_left = tx.users(None)?.iter().any(|user| is_admin(user) && user.person != row.person);
    if is_another_left { Ok(()) } else { Err(AccountError::LastAdmin) }
}
