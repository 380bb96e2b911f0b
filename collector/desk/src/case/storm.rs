//! The storm brake: what opens past the twentieth incident of a client in five minutes has its own file and clocks, and
//! one message for all of it (DETECTION 4.9).
//!
//! The message waits a minute in the outbox and takes in what opens meanwhile; what comes later begins the next one.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use upheld_agreement::book::MailKind;
use upheld_detection::storm::{WITHIN, is_storm};
use upheld_outbound::{Delivery, EventKind};
use upheld_store::{ReadTx, Tx};

use super::{Case, messages, promise::Promise};
use crate::{
    DeskError,
    book::CurrentBook,
    notify::{ChannelName, letters, ways},
};

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
    for way in ways(book, case, Some(MailKind::Opened)) {
        tell_channel(tx, case, &way, now)?;
    }
    Ok(())
}

fn tell_channel(tx: &mut dyn Tx, case: &Case, way: &ChannelName, now: Timestamp) -> Result<(), DeskError> {
    let unreadable = |error: serde_json::Error| DeskError::unreadable("message of a storm", &error);
    let channel = way.to_string();
    let body_of = |data: Value| -> Result<String, DeskError> {
        if way.is_mail() {
            return Ok(json!({ "letter": letters::storm(&data), "data": data }).to_string());
        }
        Delivery::payload(EventKind::IncidentsStorm, now, &data).map_err(unreadable)
    };
    for number in 0..MESSAGES_MAX {
        let key = key(case, &channel, number, now);
        let Some(row) = tx.message(&case.row.client, &key)? else {
            let event = EventKind::IncidentsStorm;
            let body = body_of(data(case, Vec::new(), 0))?;
            let at = now.saturating_add(GATHERS_FOR).unwrap_or(now);
            let sealed = messages::Sealed { channel, key, body, at };
            return messages::put(tx, (&case.row.client, case.row.number), event, sealed, now).map(drop);
        };
        let held: Value = serde_json::from_str(&row.body).map_err(unreadable)?;
        let listed = held["data"]["incidents"].as_array().cloned().unwrap_or_default();
        let data = data(case, listed, held["data"]["number"].as_u64().unwrap_or(0));
        let body = if way.is_mail() {
            body_of(data)?
        } else {
            // When the storm began stays.
            let mut body = held;
            body["data"] = data;
            body.to_string()
        };
        let leaving = now.saturating_add(IS_LEAVING).unwrap_or(now);
        if tx.amend_message(&case.row.client, &key, &body, leaving)? {
            return Ok(());
        }
    }
    Err(DeskError::Overtaken("the message of a storm"))
}

/// The message's content with this incident added.
pub(crate) fn data(case: &Case, mut listed: Vec<Value>, before: u64) -> Value {
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
    let incidents = if number == 1 { "incident" } else { "incidents" };
    json!({
        "title": format!("{}: {number} more {incidents} at once; each has its own clocks", case.row.client),
        "client": case.row.client, "page": is_paging, "number": number, "incidents": listed,
    })
}

fn key(case: &Case, channel: &str, number: u32, now: Timestamp) -> String {
    let within = i64::try_from(WITHIN.as_secs()).unwrap_or(i64::MAX);
    let window = now.as_second().div_euclid(within).to_string();
    messages::content_key(&["upheld-storm/1", case.row.client.as_str(), channel, &window, &number.to_string()])
}
