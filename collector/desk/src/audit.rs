//! Writing the audit log (SECURITY 35).

use jiff::Timestamp;
use serde_json::Value;
use upheld_model::ClientId;
use upheld_store::{Tx, audit::AuditRow};

use crate::{Actor, DeskError};

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
