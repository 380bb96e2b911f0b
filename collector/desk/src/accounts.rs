//! Accounts of people: who has one, in which role, and how he proves who he is (SECURITY 26, 27).
//!
//! An account is a person of the one table of names with a role. What each role may do, and whose data it sees, is
//! decided where a session is read ([`crate::access`]).

mod names;

use jiff::Timestamp;
use serde_json::json;
use upheld_store::{ReadTx, Tx, users::UserRow};

use crate::{Actor, DeskError, audit};
pub use names::{LOGIN_CHARS_MAX, Login, NAME_CHARS_MAX, NameError, PersonName};
pub use upheld_store::users::Role;

/// Why an account was not made, changed or used. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccountError {
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The account is disabled.
    #[error("the account of {login} is disabled: run `upheld-collector user enable '{login}'`")]
    Disabled {
        /// Its log-in name.
        login: String,
    },
    /// The desk could not look it up.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<upheld_store::StoreError> for AccountError {
    fn from(error: upheld_store::StoreError) -> Self {
        Self::Desk(error.into())
    }
}

/// The person whom the host's command line lets in by this name: whoever logs in with it, or is called so. Who has no
/// account gets one with all rights: whoever types on the host has them anyway (SECURITY 30).
pub(crate) fn let_in(tx: &mut dyn Tx, name: &str, by: &Actor, now: Timestamp) -> Result<String, AccountError> {
    let (name, login) = (name.parse::<PersonName>()?, name.parse::<Login>()?);
    if let Some((person, user)) = behind(&*tx, &login, &name)? {
        return match user.disabled_at {
            None => Ok(person),
            Some(_) => Err(AccountError::Disabled { login: tx.login_of(&person)?.unwrap_or(person) }),
        };
    }
    let person = Actor::person(name.as_str()).id(tx)?;
    tx.set_login(&person, login.as_str())?;
    let created_by = by.id(tx)?;
    let row = UserRow {
        person: person.clone(),
        role: Role::ProviderAdmin,
        client: None,
        password: None,
        created_at: now,
        created_by,
        changed_at: now,
        disabled_at: None,
    };
    tx.insert_user(&row)?;
    audit::note(tx, now, by, None, "user.made", &json!({ "user": person, "role": row.role }))?;
    Ok(person)
}

/// Whose account a name means: a name to log in with goes before a person's.
fn behind(tx: &dyn ReadTx, login: &Login, name: &PersonName) -> Result<Option<(String, UserRow)>, DeskError> {
    for person in [tx.person_of_login(login.as_str())?, tx.person(name.as_str())?].into_iter().flatten() {
        if let Some(user) = tx.user(&person)? {
            return Ok(Some((person, user)));
        }
    }
    Ok(None)
}
