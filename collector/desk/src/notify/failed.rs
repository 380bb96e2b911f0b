//! A mail that reached nobody: the provider is told of it by his other channels, once a day for each way that fails.

use jiff::Timestamp;
use serde_json::json;
use upheld_outbound::{Delivery, EventKind};
use upheld_store::{Tx, outbox::OutboxRow};

use super::{ChannelName, letters};
use crate::{
    DeskError,
    book::CurrentBook,
    case::messages::{self, NO_INCIDENT, content_key},
};

/// Puts it into the outbox, in the transaction that gives the mail up. Nobody is told of what itself was told of a
/// failure. Webhooks go first: a mail server that refuses one address may refuse the next; where the provider has none,
/// his other mail addresses are told.
pub(crate) fn tell(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    row: &OutboxRow,
    why: &str,
    now: Timestamp,
) -> Result<(), DeskError> {
    if row.event == EventKind::DeliveryFailed.as_str() {
        return Ok(());
    }
    let all = &book.book.provider.channels;
    let webhooks =
        all.iter().filter(|(_, to)| to.webhook.is_some()).map(|(name, _)| ChannelName::Webhook(name.clone()));
    let mails = all.iter().filter(|(_, to)| to.mail.is_some()).map(|(name, _)| ChannelName::Mail(name.clone()));
    let mut ways: Vec<ChannelName> = webhooks.collect();
    if ways.is_empty() {
        ways = mails.filter(|way| way.to_string() != row.channel).collect();
    }
    let event = EventKind::DeliveryFailed;
    let day = now.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    let incident = (row.number != NO_INCIDENT).then(|| row.number.to_string());
    let title = match &incident {
        Some(number) => format!("Not delivered: {} of {}/{number} by {}", row.event, row.client, row.channel),
        None => format!("Not delivered: {} of {} by {}", row.event, row.client, row.channel),
    };
    for way in ways {
        let body = if way.is_mail() {
            let about = incident.clone().map(|number| (&row.client, number));
            letters::body(&letters::undelivered(&title, why, about))?
        } else {
            let data = json!({
                "title": title, "page": false, "client": row.client, "channel": row.channel, "event": row.event,
                "incident": incident.as_ref().map(|number| format!("{}/{number}", row.client)), "why": why,
            });
            Delivery::payload(event, now, &data).map_err(|error| DeskError::unreadable("message", &error))?
        };
        let channel = way.to_string();
        let key = content_key(&["upheld-undelivered/1", row.client.as_str(), &row.channel, &channel, &day]);
        let sealed = messages::Sealed { channel, key, body, at: now };
        messages::put(tx, (&row.client, row.number), event, sealed, now)?;
    }
    Ok(())
}
