//! The audit log: who did what, from where (SECURITY 35). It only grows; here it is written and read.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use upheld_model::ClientId;
use upheld_store::{
    ReadTx, Tx,
    audit::{AuditAsked, AuditRow},
};

use crate::{Actor, Desk, DeskError, Scope};

/// Entries on one page.
pub const PAGE: usize = 50;

/// Which entries somebody wants to see. What is `None` narrows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditWanted {
    /// A person's log-in name, name or id; `token NAME`, `agent ID`, `collector`.
    pub who: Option<String>,
    /// Of one client.
    pub client: Option<ClientId>,
    /// Of one kind.
    pub what: Option<String>,
    /// From this instant on.
    pub from: Option<Timestamp>,
    /// Before this one.
    pub to: Option<Timestamp>,
    /// Older than this entry.
    pub before: Option<i64>,
}

/// One entry in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditView {
    /// Its number: a later entry has a greater one.
    pub entry: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// Whose data, where it is one client's.
    pub client: Option<ClientId>,
    /// What: `user.made`, `login.refused`, …
    pub what: String,
    /// More; ids of people are their names here, as far as these are kept.
    pub detail: Value,
}

/// A page of the audit.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AuditPage {
    /// Its entries, newest first.
    pub entries: Vec<AuditView>,
    /// Where the next page begins (`before`); `None` on the last one.
    pub next: Option<i64>,
    /// Every kind of entry that there is.
    pub kinds: Vec<String>,
}

impl Desk {
    /// The entries that are asked for, as far as they are in scope: a client's people see those of their own client.
    pub async fn audit(&self, scope: &Scope, wanted: AuditWanted) -> Result<AuditPage, DeskError> {
        let scope = scope.clone();
        self.store
            .read("desk.audit", move |tx| {
                let AuditWanted { who, client, what, from, to, before } = wanted;
                if client.as_ref().is_some_and(|client| !scope.includes(client)) {
                    return Ok(AuditPage::default());
                }
                let who = match who {
                    None => None,
                    Some(text) => Some(id_of(tx, &text)?),
                };
                let client = scope.client().cloned().or(client);
                let asked = AuditAsked { client, who, what, from, to, before };
                let mut rows = tx.audit_page(&asked, PAGE as u32 + 1)?;
                let is_more = rows.len() > PAGE;
                rows.truncate(PAGE);
                let next = if is_more { rows.last().map(|(entry, _)| *entry) } else { None };
                let entries = rows.into_iter().map(|(entry, row)| view(tx, entry, row)).collect::<Result<_, _>>()?;
                Ok(AuditPage { entries, next, kinds: tx.audit_kinds()? })
            })
            .await
    }
}

/// Appends an entry in the transaction of the deed.
pub(crate) fn note(
    tx: &mut dyn Tx,
    at: Timestamp,
    who: &Actor,
    client: Option<&ClientId>,
    what: &str,
    detail: &Value,
) -> Result<(), DeskError> {
    let who = who.id(tx)?;
    let row = AuditRow { at, who, client: client.cloned(), what: what.to_owned(), detail: detail.to_string() };
    Ok(tx.append_audit(&row)?)
}

/// Whom a text means; whoever is not known has done nothing.
fn id_of(tx: &dyn ReadTx, text: &str) -> Result<String, DeskError> {
    let text = text.trim();
    for (label, id) in [("token ", "token:"), ("agent ", "agent:")] {
        if let Some(name) = text.strip_prefix(label) {
            return Ok(format!("{id}{name}"));
        }
    }
    let by_login = match text.parse::<crate::accounts::Login>() {
        Ok(login) => tx.person_of_login(login.as_str())?,
        Err(_) => None,
    };
    Ok(match by_login {
        Some(id) => id,
        None => tx.person(text)?.unwrap_or_else(|| text.to_owned()),
    })
}

fn view(tx: &dyn ReadTx, entry: i64, row: AuditRow) -> Result<AuditView, DeskError> {
    let AuditRow { at, who, client, what, detail } = row;
    let mut detail: Value =
        serde_json::from_str(&detail).map_err(|error| DeskError::unreadable("entry of the audit", &error))?;
    name_people(tx, &mut detail)?;
    Ok(AuditView { entry, at, who: Actor::of(tx, &who)?.label(), client, what, detail })
}

/// Ids of people become their names, for those who read.
fn name_people(tx: &dyn ReadTx, detail: &mut Value) -> Result<(), DeskError> {
    for key in ["user", "for", "owner"] {
        if let Some(Value::String(id)) = detail.get_mut(key)
            && let Some(name) = tx.name_of(id)?
        {
            *id = name;
        }
    }
    Ok(())
}
