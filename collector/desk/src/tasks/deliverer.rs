//! Empties the outbox: lease → intent → look up → send → mark (DELIVERY 3).
//!
//! The intent is committed before anything is sent, and the mark after the effect. A worker that dies in between
//! leaves an attempt whose end nobody saw; whoever takes the message after the lease treats that as unclear, waits and
//! looks it up before it sends. When to try again is one pure function ([`upheld_outbound::retry`]).

use std::{collections::BTreeSet, future::Future, pin::Pin, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use upheld_outbound::{
    Delivery, DeliveryKey, EventKind, Outcome,
    notify::webhook::{HostRule, Webhook, WebhookConfig},
    retry::{Attempt, Next, next_attempt},
};
use upheld_store::{
    Tx,
    outbox::{AttemptRow, OutboxRow, OutboxStatus, Settled},
};

use super::Report;
use crate::{Desk, DeskError, Secret, Secrets, book::CurrentBook, case::text, clock};

/// A boxed future, so that [`Channel`] can be a trait object.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The longest one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a message belongs to the worker that took it; longer than a look-up and a try together.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// How a message leaves the house. It never sees the store.
pub trait Channel: Send + Sync {
    /// One try. It ends in bounded time and says what came of it.
    fn send<'a>(&'a self, to: &'a Address, delivery: &'a Delivery, how: How, now: Timestamp) -> Boxed<'a, Outcome>;
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The channel's name in the book.
    pub channel: String,
    /// The webhook's address.
    pub url: String,
    /// What signs it.
    pub secret: Secret,
}

/// How to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Send it.
    Send,
    /// An earlier try may have arrived: ask first, and send only what is not there.
    LookUpFirst,
}

/// The real way out: signed webhooks over the network.
#[derive(Debug, Clone, Default)]
pub struct Channels {
    private_hosts: BTreeSet<String>,
}

impl Channels {
    /// `private_hosts` are the hosts that an administrator allows to have private or loopback addresses (SECURITY 31).
    pub fn new(private_hosts: impl IntoIterator<Item = String>) -> Self {
        Self { private_hosts: private_hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Whether a host may be private.
    pub(super) fn rule(&self, host: &str) -> HostRule {
        let is_private = self.private_hosts.contains(&host.to_ascii_lowercase());
        if is_private { HostRule::PrivateAllowed } else { HostRule::Public }
    }

    fn webhook(&self, to: &Address) -> Result<Webhook, String> {
        let url: url::Url = to.url.parse().map_err(|error| format!("channel {}: {}: {error}", to.channel, to.url))?;
        let host = self.rule(url.host_str().unwrap_or_default());
        let secret = std::str::from_utf8(to.secret.expose()).map_err(|error| error.to_string())?;
        Webhook::new(WebhookConfig {
            url,
            secret: secret.trim().parse().map_err(|error| format!("channel {}: {error}", to.channel))?,
            look_up_url: None,
            host,
            timeout: TRY_TIMEOUT,
        })
        .map_err(|error| format!("channel {}: {error}", to.channel))
    }
}

impl Channel for Channels {
    fn send<'a>(&'a self, to: &'a Address, delivery: &'a Delivery, how: How, now: Timestamp) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            match (self.webhook(to), how) {
                (Err(why), _) => Outcome::Retry { why, not_before: None },
                (Ok(webhook), How::Send) => webhook.send(delivery, now).await,
                (Ok(webhook), How::LookUpFirst) => webhook.look_up_then_send(delivery, now).await,
            }
        })
    }
}

impl Desk {
    /// Takes what is due, at most `limit` messages, and sends it. `worker` names this worker in leases and attempts;
    /// several may run at once.
    pub async fn deliver_outbox_once(
        &self,
        worker: &str,
        channel: &dyn Channel,
        secrets: &dyn Secrets,
        limit: u32,
        now: Timestamp,
    ) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("deliverer");
        let due =
            self.store.read("deliverer.due", move |tx| tx.messages_due(now, limit).map_err(DeskError::from)).await?;
        for row in due {
            report.seen += 1;
            match self.deliver_message(worker, channel, secrets, &row, now).await {
                Ok(true) => report.changed += 1,
                Ok(false) => {}
                Err(error) => report.failures.push(format!("{}: {error}", row.key)),
            }
        }
        Ok(report)
    }

    /// Whether this worker had anything to do with the message.
    async fn deliver_message(
        &self,
        worker: &str,
        channel: &dyn Channel,
        secrets: &dyn Secrets,
        row: &OutboxRow,
        now: Timestamp,
    ) -> Result<bool, DeskError> {
        let (owner, leased) = (worker.to_owned(), row.clone());
        let Some(try_now) = self.store.write("deliverer.take", move |tx| take(tx, &owner, &leased, now)).await? else {
            return Ok(false);
        };
        let outcome = match self.address(row, secrets).await? {
            Ok(address) => {
                let delivery = delivery(row)?;
                channel.send(&address, &delivery, try_now.how, now).await
            }
            Err(why) => Outcome::Retry { why, not_before: None },
        };
        count(&outcome);
        let (owner, leased) = (worker.to_owned(), row.clone());
        self.store.write("deliverer.mark", move |tx| mark(tx, &owner, &leased, try_now, outcome, now)).await
    }

    /// Where the message goes, as the book says at this moment; `Err` says what is missing.
    async fn address(&self, row: &OutboxRow, secrets: &dyn Secrets) -> Result<Result<Address, String>, DeskError> {
        let book: Arc<CurrentBook> = self.current_book().await?;
        let channel = book.book.provider.channels.iter().find(|(name, _)| name.as_str() == row.channel);
        let Some(webhook) = channel.and_then(|(_, channel)| channel.webhook.as_ref()) else {
            return Ok(Err(format!("the book has no channel {} with a webhook: add it, or it waits", row.channel)));
        };
        let name = webhook.secret.as_str();
        let Some(secret) = secrets.secret(name) else {
            return Ok(Err(format!(
                "the secret {name} of channel {} is not set: add it to the secrets file",
                row.channel
            )));
        };
        Ok(Ok(Address { channel: row.channel.clone(), url: webhook.url.to_string(), secret }))
    }
}

/// A try that is begun: its intent is committed.
#[derive(Debug, Clone, Copy)]
struct TryNow {
    attempt: u32,
    how: How,
}

/// Leases a message and notes the intent, or puts it off, or gives it up. `None` when there is nothing to try.
fn take(tx: &mut dyn Tx, worker: &str, row: &OutboxRow, now: Timestamp) -> Result<Option<TryNow>, DeskError> {
    let until = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
    if !tx.lease_message(&row.client, &row.key, worker, now, until)? {
        return Ok(None);
    }
    let attempts = history(tx.attempts(&row.client, &row.key)?)?;
    let how = match next_attempt(&key(row)?, &attempts, now) {
        Next::At(at) if at <= now => How::Send,
        Next::LookUpFirst { at } if at <= now => How::LookUpFirst,
        Next::At(at) | Next::LookUpFirst { at } => {
            settle(tx, worker, row, &Settled { next_attempt_at: Some(at), ..waiting(row) })?;
            return Ok(None);
        }
        Next::GiveUp { why } => {
            give_up(tx, worker, row, why)?;
            return Ok(None);
        }
        Next::Done => {
            let done = Settled { status: OutboxStatus::Delivered, next_attempt_at: None, ..waiting(row) };
            settle(tx, worker, row, &done)?;
            return Ok(None);
        }
    };
    let attempt = u32::try_from(attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
    let intent = AttemptRow { attempt, worker: worker.to_owned(), started_at: now, ended_at: None, outcome: None };
    tx.begin_attempt(&row.client, &row.key, &intent)?;
    Ok(Some(TryNow { attempt, how }))
}

/// Notes what came of a try and where the message stands.
fn mark(
    tx: &mut dyn Tx,
    worker: &str,
    row: &OutboxRow,
    tried: TryNow,
    outcome: Outcome,
    now: Timestamp,
) -> Result<bool, DeskError> {
    tx.end_attempt(&row.client, &row.key, tried.attempt, now, &text("outcome", &outcome)?)?;
    let attempts = history(tx.attempts(&row.client, &row.key)?)?;
    let last_error = match &outcome {
        Outcome::Delivered { .. } => None,
        Outcome::Retry { why, .. } | Outcome::Permanent { why } | Outcome::Unclear { why } => Some(why.clone()),
    };
    match (next_attempt(&key(row)?, &attempts, now), outcome) {
        (Next::Done, Outcome::Delivered { reference }) => {
            let status = OutboxStatus::Delivered;
            let done = Settled {
                status,
                next_attempt_at: None,
                reference: Some(reference),
                delivered_at: Some(now),
                last_error,
            };
            settle(tx, worker, row, &done)?;
        }
        (Next::At(at) | Next::LookUpFirst { at }, _) => {
            settle(tx, worker, row, &Settled { next_attempt_at: Some(at), last_error, ..waiting(row) })?;
        }
        (Next::GiveUp { why }, _) => give_up(tx, worker, row, why)?,
        (Next::Done, Outcome::Retry { .. } | Outcome::Permanent { .. } | Outcome::Unclear { .. }) => {
            // An earlier try that this worker did not see the end of has been marked as delivered meanwhile.
            let done = Settled { status: OutboxStatus::Delivered, next_attempt_at: None, ..waiting(row) };
            settle(tx, worker, row, &done)?;
        }
    }
    Ok(true)
}

fn waiting(row: &OutboxRow) -> Settled {
    Settled {
        status: OutboxStatus::Pending,
        next_attempt_at: row.next_attempt_at,
        reference: row.reference.clone(),
        delivered_at: row.delivered_at,
        last_error: row.last_error.clone(),
    }
}

fn give_up(tx: &mut dyn Tx, worker: &str, row: &OutboxRow, why: String) -> Result<(), DeskError> {
    tracing::error!(
        message.key = row.key,
        channel = row.channel,
        event = row.event,
        why,
        "a message was given up: somebody must look at the receiver"
    );
    let failed = Settled { status: OutboxStatus::Failed, next_attempt_at: None, last_error: Some(why), ..waiting(row) };
    settle(tx, worker, row, &failed)
}

/// A lease that ran out and was taken by another worker is his to settle.
fn settle(tx: &mut dyn Tx, worker: &str, row: &OutboxRow, settled: &Settled) -> Result<(), DeskError> {
    if !tx.settle_message(&row.client, &row.key, worker, settled)? {
        tracing::warn!(message.key = row.key, worker, "a message was taken over by another worker meanwhile");
    }
    Ok(())
}

/// An attempt whose end nobody saw is unclear.
fn history(rows: Vec<AttemptRow>) -> Result<Vec<Attempt>, DeskError> {
    rows.into_iter()
        .map(|AttemptRow { attempt: _, worker: _, started_at, ended_at, outcome }| {
            let outcome = match outcome {
                Some(outcome) => {
                    serde_json::from_str(&outcome).map_err(|error| DeskError::unreadable("outcome", &error))?
                }
                None => Outcome::Unclear { why: "the collector stopped in the middle of it".to_owned() },
            };
            Ok(Attempt { at: ended_at.unwrap_or(started_at), outcome })
        })
        .collect()
}

fn delivery(row: &OutboxRow) -> Result<Delivery, DeskError> {
    let kind: EventKind = row.event.parse().map_err(|error| DeskError::unreadable("event", &error))?;
    Ok(Delivery { key: key(row)?, kind, body: row.body.clone(), created: row.created_at })
}

fn key(row: &OutboxRow) -> Result<DeliveryKey, DeskError> {
    row.key.parse().map_err(|error| DeskError::unreadable("message key", &error))
}

fn count(outcome: &Outcome) {
    let result = match outcome {
        Outcome::Delivered { .. } => "delivered",
        Outcome::Retry { .. } => "retry",
        Outcome::Permanent { .. } => "permanent",
        Outcome::Unclear { .. } => "unclear",
    };
    metrics::counter!("upheld_webhook_deliveries_total", "result" => result).increment(1);
}
