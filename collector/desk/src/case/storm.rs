//! The storm brake: what opens past the twentieth incident of a client in five minutes has its own file and clocks, and
//! one message for all of it (DETECTION 4.9).
//!
//! The message waits a minute in the outbox and takes in what opens meanwhile; what comes later begins the next one.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use upheld_detection::storm::{WITHIN, is_storm};
use upheld_outbound::{Delivery, EventKind};
use upheld_store::{ReadTx, Tx};

use super::{Case, messages, promise::Promise};
use crate::{DeskError, book::CurrentBook};

/// How long the message waits for others.
const GATHERS_FOR: SignedDuration = SignedDuration::from_secs(60);
/// What is about to be sent is not changed any more.
const IS_LEAVING: SignedDuration = SignedDuration::from_secs(10);
/// Incidents that one message lists; the number says how many there are.
const LISTED_MAX: usize = 500;
/// Messages of one client and channel in five minutes; more cannot be, as each gathers for a minute.
const MESSAGES_MAX: u32 = 16;

/// Whether an incident that opens here is part of a storm of its client's.
pub(super) fn brakes(tx: &dyn ReadTx, case: &Case) -> Result<bool, DeskError> {
    let opened = case.row.opened_at;
    let since = opened.saturating_sub(SignedDuration::try_from(WITHIN).unwrap_or_default()).unwrap_or(opened);
    Ok(is_storm(usize::try_from(tx.openings_since(&case.row.client, since)?).unwrap_or(usize::MAX)))
}

/// Has the client's storm message tell of it too.
pub(super) fn tell(tx: &mut dyn Tx, book: &CurrentBook, case: &Case, now: Timestamp) -> Result<(), DeskError> {
    for channel in messages::channels(book, case) {
        tell_channel(tx, case, channel, now)?;
    }
    Ok(())
}

fn tell_channel(tx: &mut dyn Tx, case: &Case, channel: String, now: Timestamp) -> Result<(), DeskError> {
    let unreadable = |error: serde_json::Error| DeskError::unreadable("message of a storm", &error);
    for number in 0..MESSAGES_MAX {
        let key = key(case, &channel, number, now);
        let Some(row) = tx.message(&case.row.client, &key)? else {
            let event = EventKind::IncidentsStorm;
            let body = Delivery::payload(event, now, &data(case, Vec::new(), 0)).map_err(unreadable)?;
            let at = now.saturating_add(GATHERS_FOR).unwrap_or(now);
            return messages::put(tx, case, event, messages::Sealed { channel, key, body, at }, now);
        };
        let mut body: Value = serde_json::from_str(&row.body).map_err(unreadable)?;
        let listed = body["data"]["incidents"].as_array().cloned().unwrap_or_default();
        body["data"] = data(case, listed, body["data"]["number"].as_u64().unwrap_or(0));
        let leaving = now.saturating_add(IS_LEAVING).unwrap_or(now);
        if tx.amend_message(&case.row.client, &key, &body.to_string(), leaving)? {
            return Ok(());
        }
    }
    Err(DeskError::Overtaken("the message of a storm"))
}

/// The message's content with this incident added.
fn data(case: &Case, mut listed: Vec<Value>, before: u64) -> Value {
    let number = before + 1;
    let incident = &case.incident;
    let is_paging = incident.pages() || listed.iter().any(|listed| listed["page"] == true);
    if listed.len() < LISTED_MAX {
        let priority = match &case.promise {
            Promise::Pinned(pinned) => Some(pinned.terms.priority.as_str()),
            Promise::None(_) | Promise::NotAsked => None,
        };
        listed.push(json!({
            "incident": case.reference(), "title": incident.title, "site": incident.site, "class": incident.class,
            "kind": incident.kind, "page": incident.pages(), "received": incident.received, "priority": priority,
        }));
    }
    json!({
        "title": format!("{}: {number} more incidents at once; each has its own clocks", case.row.client),
        "client": case.row.client, "page": is_paging, "number": number, "incidents": listed,
    })
}

fn key(case: &Case, channel: &str, number: u32, now: Timestamp) -> String {
    let within = i64::try_from(WITHIN.as_secs()).unwrap_or(i64::MAX);
    let mut hash = Sha256::new();
    for field in [
        "upheld-storm/1",
        case.row.client.as_str(),
        channel,
        &now.as_second().div_euclid(within).to_string(),
        &number.to_string(),
    ] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    format!("upheld-{}", upheld_model::Digest(hash.finalize().into()))
}
