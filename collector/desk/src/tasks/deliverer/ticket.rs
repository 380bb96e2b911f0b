//! One incident, one ticket, also when commits were lost that a receiver has heard of ([`crate::recovery`]).
//!
//! The message that opens a ticket of a fault that began before the loss is in doubt from the moment at which it is written:
//! its receiver may have it, under this key, or under another one where another record came first then
//! ([`Incident::known_as`]). So it waits until search indexes have caught up and every agent of the site has sent again
//! what was lost; then the receiver is asked for each key. What else is told of the incident waits for that, and speaks
//! of the ticket by the name that the receiver has.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use upheld_detection::incident::{Incident, IncidentKey, Root};
use upheld_outbound::{DeliveryKey, EventKind};
use upheld_store::{
    ReadTx, Tx,
    agents::AgentStatus,
    outbox::{AttemptRow, OutboxRow, OutboxStatus},
    restores::BEFORE_THE_LOSS,
};

use crate::{
    DeskError,
    case::{Case, entry::Entry, messages, read_incident},
    notify::ChannelName,
};

/// For how many other keys a receiver is asked: what failed on the incident's own asset first, by its begin.
const KNOWN_AS_MAX: usize = 16;
/// How long the ticket of a fault from before a loss waits for agents that have not sent again. Doubled, a site of which
/// one host died with the database is without its ticket for twenty minutes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// How often it is looked whether they have.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);
/// An agent that was not heard for so long before the loss is not waited for.
const HEARD_BEFORE: SignedDuration = SignedDuration::from_hours(24);

/// Whether this message opens a ticket.
fn opens(row: &OutboxRow) -> bool {
    row.event == EventKind::IncidentOpened.as_str()
}

fn is_of_the_loss(attempts: &[AttemptRow]) -> bool {
    attempts.last().is_some_and(|attempt| attempt.worker == BEFORE_THE_LOSS)
}

/// Until when a message waits because of a loss, whatever its own tries say.
pub(super) fn waits_until(
    tx: &dyn ReadTx,
    row: &OutboxRow,
    attempts: &[AttemptRow],
    now: Timestamp,
) -> Result<Option<Timestamp>, DeskError> {
    let later = |at: Timestamp, by| at.saturating_add(by).unwrap_or(Timestamp::MAX);
    if !opens(row) {
        let opening = opening_in_doubt(tx, row)?;
        return Ok(opening.map(|at| later(at.max(now), SignedDuration::from_secs(1))));
    }
    let Some(doubted) = attempts.last().filter(|_| is_of_the_loss(attempts)) else { return Ok(None) };
    let patient_until = later(doubted.started_at, PATIENCE);
    let is_awaited = now < patient_until && !has_all_again(tx, row)?;
    Ok(is_awaited.then(|| later(now, LOOK_AGAIN).min(patient_until)))
}

/// When the message that opens this one's ticket by the same way is taken next, while nobody has asked for it since a loss.
fn opening_in_doubt(tx: &dyn ReadTx, row: &OutboxRow) -> Result<Option<Timestamp>, DeskError> {
    if row.number == messages::NO_INCIDENT || is_mail(row) {
        return Ok(None);
    }
    for other in tx.messages_of(&row.client, row.number)? {
        if opens(&other)
            && other.channel == row.channel
            && other.status == OutboxStatus::Pending
            && is_of_the_loss(&tx.attempts(&other.client, &other.key)?)
        {
            return Ok(other.next_attempt_at);
        }
    }
    Ok(None)
}

fn is_mail(row: &OutboxRow) -> bool {
    row.channel.parse::<ChannelName>().is_ok_and(|name| name.is_mail())
}

/// Whether every agent of the incident's site has sent again what was lost, as far as it tells what waits. What no agent
/// saw waits for none.
fn has_all_again(tx: &dyn ReadTx, row: &OutboxRow) -> Result<bool, DeskError> {
    let (Some(incident), Some(gap)) = (incident(tx, row)?, tx.last_gap()?) else { return Ok(true) };
    if !matches!(incident.root, Root::Check { .. }) {
        return Ok(true);
    }
    let awaited_since = gap.missing_from.saturating_sub(HEARD_BEFORE).unwrap_or(Timestamp::MIN);
    for agent in tx.agents(Some(&row.client))? {
        if agent.site != incident.site || agent.status != AgentStatus::Active {
            continue;
        }
        let has_sent = match tx.agent_now(&agent.client, &agent.agent)? {
            None => agent.enrolled_at < awaited_since,
            Some(present) if present.last_seen < awaited_since => true,
            Some(present) => {
                let offset = SignedDuration::from_millis(present.offset_ms);
                let oldest = present.oldest_waiting.and_then(|at| at.saturating_add(offset).ok());
                present.last_seen > gap.missing_to && oldest.is_none_or(|oldest| oldest > gap.missing_to)
            }
        };
        if !has_sent {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The other keys under which a receiver may have this message; none for one that opens no ticket.
pub(super) fn known_as(tx: &dyn ReadTx, row: &OutboxRow) -> Result<Vec<DeliveryKey>, DeskError> {
    let names = names(tx, row)?;
    Ok(names.into_iter().map(|(_, key)| key).collect())
}

fn names(tx: &dyn ReadTx, row: &OutboxRow) -> Result<Vec<(IncidentKey, DeliveryKey)>, DeskError> {
    let Some(incident) = incident(tx, row)?.filter(|_| opens(row)) else { return Ok(Vec::new()) };
    let named = incident.known_as(KNOWN_AS_MAX).into_iter().map(|incident| {
        let key = messages::ticket_key(&incident.0, &row.channel);
        let key = key.parse().map_err(|error| DeskError::unreadable("message key", &error))?;
        Ok((incident, key))
    });
    named.collect()
}

fn incident(tx: &dyn ReadTx, row: &OutboxRow) -> Result<Option<Incident>, DeskError> {
    tx.incident(&row.client, row.number)?.as_ref().map(read_incident).transpose()
}

/// Stores that the receiver has this ticket under another key: what is told of the incident from here on, and what waits
/// to be, speaks of it by that name.
pub(super) fn found_as(tx: &mut dyn Tx, row: &OutboxRow, key: &DeliveryKey, now: Timestamp) -> Result<(), DeskError> {
    let Some((name, _)) = names(&*tx, row)?.into_iter().find(|(_, named)| named == key) else { return Ok(()) };
    let Some(stored) = tx.incident(&row.client, row.number)? else { return Ok(()) };
    let mut case = Case::open(&*tx, stored)?;
    if case.known_as().is_some() {
        return Ok(());
    }
    tracing::info!(incident = %case.reference(), message.key = row.key, found.key = %key, "a ticket from before a loss was found");
    case.append(tx, Entry::known_as(name, now))?;
    rename_waiting(tx, &case)
}

fn rename_waiting(tx: &mut dyn Tx, case: &Case) -> Result<(), DeskError> {
    let (key, reference) = messages::names_of(case);
    for waiting in tx.messages_of(&case.row.client, case.row.number)? {
        if waiting.status != OutboxStatus::Pending || opens(&waiting) || is_mail(&waiting) {
            continue;
        }
        let mut body: Value =
            serde_json::from_str(&waiting.body).map_err(|error| DeskError::unreadable("message", &error))?;
        body["data"]["incident_key"] = key.as_str().into();
        body["data"]["reference"] = reference.as_str().into();
        // One that was tried before stays as it is.
        tx.amend_message(&waiting.client, &waiting.key, &body.to_string(), Timestamp::MIN)?;
    }
    Ok(())
}
