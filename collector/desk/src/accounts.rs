//! Accounts of people: who has one, in which role, and how he proves who he is (SECURITY 26, 27).
//!
//! An account is a person of the one table of names with a role. What each role may do, and whose data it sees, is
//! decided where a session is read ([`crate::access`]). Accounts are never deleted, since ledger and audit name their
//! people: they are disabled. Every deed here is in the audit, with the address it came from where a browser did it; no
//! secret ever is.
//!
//! `change` keeps accounts, `links` lets a person choose his password, `log_in` checks it, `own` is what each does with
//! his own account, `throttle` says how often a password may be tried, `policy` which one may be chosen, `hashing` how
//! it is kept.

mod change;
mod hashing;
mod links;
mod log_in;
mod names;
mod own;
mod policy;
pub mod throttle;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use upheld_model::ClientId;
use upheld_store::{ReadTx, StoreError, Tx, users::UserRow};

use crate::{Actor, DeskError, audit};
pub use change::NewUser;
pub use hashing::Cost;
pub(crate) use hashing::Hasher;
pub use links::{INVITE_TTL, LinkFor, LinkKind, PasswordLink, RESET_TTL};
pub use log_in::LogIn;
pub use names::{LOGIN_CHARS_MAX, Login, NAME_CHARS_MAX, NameError, PersonName};
pub(crate) use own::within_the_owners;
pub use own::{OwnSession, OwnToken};
pub use policy::{CHARS_MAX as PASSWORD_CHARS_MAX, CHARS_MIN as PASSWORD_CHARS_MIN, PasswordError};
pub use upheld_store::users::Role;

/// Why an account was not made, changed or used. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccountError {
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A password may not be chosen.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// No such account, or not one that the asker keeps: the two cannot be told apart.
    #[error("there is no account {0}: see `upheld-collector user list`")]
    NoSuchUser(String),
    /// The account is disabled.
    #[error("the account of {login} is disabled: run `upheld-collector user enable '{login}'`")]
    Disabled {
        /// Its log-in name.
        login: String,
    },
    /// Somebody has the name, or the log-in name, already.
    #[error("the {what} {name:?} is taken: choose another")]
    Taken {
        /// Which name.
        what: &'static str,
        /// As it was given.
        name: String,
    },
    /// A client's role without a client, or another with one.
    #[error("{}", if role.is_of_a_client() { format!("a {role} is one client's person: name the client (--client)") } else { format!("a {role} is the provider's person: leave the client out") })]
    Client {
        /// The role.
        role: Role,
    },
    /// The book has no such client.
    #[error("the book has no client {0}: see `upheld-collector book explain`")]
    NoSuchClient(ClientId),
    /// A role that the asker may not give.
    #[error("you may give accounts of the role {} only", Role::ClientReader)]
    BeyondReach,
    /// Nobody would be left who may keep accounts.
    #[error("this is the last account that may keep accounts: make another provider-admin first")]
    LastAdmin,
    /// One's own account.
    #[error("this is your own account: another provider-admin must do it, or the command line on the collector's host")]
    Yourself,
    /// An account that has a password already.
    #[error("{login} has chosen a password already: run `upheld-collector user reset '{login}'`")]
    HasPassword {
        /// Its log-in name.
        login: String,
    },
    /// Somebody else changed the account since it was looked at.
    #[error("the account was changed since you looked: look again, and repeat what is still needed")]
    Stale,
    /// A link that was used, has ended, was made void or never was.
    #[error("this link does not work any more")]
    LinkGone,
    /// The present password is another one.
    #[error("the present password is another one")]
    WrongPassword,
    /// Too many failures.
    #[error("too many tries: the next one may be made at {until:.0}")]
    Wait {
        /// When.
        until: Timestamp,
    },
    /// Too many passwords are being checked at this moment.
    #[error("too many people log in at this moment: try again in some seconds")]
    Busy,
    /// The desk could not look it up.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        Self::Desk(error.into())
    }
}

/// Whose accounts somebody keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Everybody's: a provider-admin, and whoever types on the host.
    All,
    /// Those of one client's readers: that client's owner.
    ReadersOf(ClientId),
}

impl Reach {
    /// Whether an account is in it.
    fn includes(&self, user: &UserRow) -> bool {
        self.may_give(user.role, user.client.as_ref())
    }

    /// Whether an account of this kind may be given.
    fn may_give(&self, role: Role, client: Option<&ClientId>) -> bool {
        match self {
            Self::All => true,
            Self::ReadersOf(own) => role == Role::ClientReader && client == Some(own),
        }
    }
}

/// Whoever keeps accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// Who, for the audit.
    pub actor: Actor,
    /// Whose accounts.
    pub reach: Reach,
}

/// One account, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserView {
    /// The person's id, which ledger and audit name.
    pub id: String,
    /// What he logs in with.
    pub login: String,
    /// His name.
    pub name: String,
    /// What he may do.
    pub role: Role,
    /// Whose person he is.
    pub client: Option<ClientId>,
    /// Whether he has chosen a password.
    pub has_password: bool,
    /// When the account was disabled.
    pub disabled_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was last changed: whoever changes it says which state he saw.
    pub changed_at: Timestamp,
}

impl UserView {
    fn of(tx: &dyn ReadTx, user: UserRow) -> Result<Self, DeskError> {
        let UserRow { person, role, client, password, created_at, created_by, changed_at, disabled_at } = user;
        Ok(Self {
            login: tx.login_of(&person)?.unwrap_or_else(|| person.clone()),
            name: tx.name_of(&person)?.unwrap_or_else(|| person.clone()),
            id: person,
            role,
            client,
            has_password: password.is_some(),
            disabled_at,
            created_at,
            created_by: Actor::of(tx, &created_by)?.label(),
            changed_at,
        })
    }
}

/// The person whom the host's command line lets in by this name: whoever logs in with it, or is called so. Who has no
/// account gets one with all rights: whoever types on the host has them anyway (SECURITY 30).
pub(crate) fn let_in(tx: &mut dyn Tx, name: &str, by: &Actor, now: Timestamp) -> Result<String, AccountError> {
    let (name, login) = (name.parse::<PersonName>()?, name.parse::<Login>()?);
    if let Some(user) = behind(&*tx, &login, &name)? {
        return if user.disabled_at.is_none() { Ok(user.person) } else { Err(disabled(&*tx, &user)?) };
    }
    let person = Actor::person(name.as_str()).id(tx)?;
    tx.set_login(&person, login.as_str())?;
    let row = UserRow {
        person: person.clone(),
        role: Role::ProviderAdmin,
        client: None,
        password: None,
        created_at: now,
        created_by: by.id(tx)?,
        changed_at: now,
        disabled_at: None,
    };
    tx.insert_user(&row)?;
    audit::note(tx, now, by, None, "user.made", &json!({ "user": person, "role": row.role }))?;
    Ok(person)
}

/// The account that a text means: a person's id, else a log-in name, else a person's name.
fn find(tx: &dyn ReadTx, text: &str) -> Result<UserRow, AccountError> {
    let found = match tx.user(text)? {
        Some(user) => Some(user),
        None => match (text.parse::<Login>(), text.parse::<PersonName>()) {
            (Ok(login), Ok(name)) => behind(tx, &login, &name)?,
            _no_names => None,
        },
    };
    found.ok_or_else(|| AccountError::NoSuchUser(upheld_model::DeviceText::new(text).to_string()))
}

/// Whose account a name means: a name to log in with goes before a person's.
fn behind(tx: &dyn ReadTx, login: &Login, name: &PersonName) -> Result<Option<UserRow>, DeskError> {
    for person in [tx.person_of_login(login.as_str())?, tx.person(name.as_str())?].into_iter().flatten() {
        if let Some(user) = tx.user(&person)? {
            return Ok(Some(user));
        }
    }
    Ok(None)
}

fn disabled(tx: &dyn ReadTx, user: &UserRow) -> Result<AccountError, DeskError> {
    let login = tx.login_of(&user.person)?.unwrap_or_else(|| user.person.clone());
    Ok(AccountError::Disabled { login })
}
