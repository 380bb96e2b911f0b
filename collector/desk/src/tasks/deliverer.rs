//! Empties the outbox: lease → intent → look up → send → mark (DELIVERY 3).
//!
//! The intent is committed before anything is sent, and the mark after the effect. A worker that dies in between
//! leaves an attempt whose end nobody saw; whoever takes the message after the lease treats that as unclear, waits and
//! looks it up before it sends. When to try again is one pure function ([`upheld_outbound::retry`]). What commits were
//! lost of is `ticket`'s.

mod ticket;

use std::{collections::BTreeSet, future::Future, pin::Pin, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use upheld_model::{
    ClientId,
    mutant::{Rule, is_broken},
};
use upheld_outbound::{
    Delivery, DeliveryKey, EventKind, Outcome,
    notify::{
        mail::Mail,
        webhook::{HostRule, Webhook, WebhookConfig},
    },
    retry::{Attempt, Next, next_attempt},
};
use upheld_store::{
    Tx,
    outbox::{AttemptRow, OutboxRow, OutboxStatus, Settled},
};

use super::Report;
use crate::{
    Desk, DeskError, Secret, Secrets,
    book::CurrentBook,
    case::text,
    clock,
    notify::{ChannelName, failed},
};

/// A boxed future, so that [`Channel`] can be a trait object.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The longest one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long mail waits for a mail server that nobody has set: who sets one on the same day gets what happened, who sets
/// one in a month does not get a month of old news.
const UNSET_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How often mail that waits is looked at.
const UNSET_LOOK: SignedDuration = SignedDuration::from_mins(5);
/// How often it is looked whether the clock may be believed again.
const UNSETTLED_LOOK: SignedDuration = SignedDuration::from_secs(10);
/// How long a message belongs to the worker that took it; longer than a look-up and a try together.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// How a message leaves the house. It never sees the store.
pub trait Channel: Send + Sync {
    /// One try. It ends in bounded time and says what came of it.
    fn send<'a>(&'a self, to: &'a Address, delivery: &'a Delivery, how: How, now: Timestamp) -> Boxed<'a, Outcome>;

    /// Whether there is a server to hand mail to.
    fn has_mail(&self) -> bool;
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The outbox's name of the channel.
    pub channel: ChannelName,
    /// By which of its ways.
    pub way: Way,
}

/// One way of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A signed webhook.
    Webhook {
        /// Its address.
        url: String,
        /// What signs it.
        secret: Secret,
        /// Where its receiver can be asked for a message, as the book says; `None` for one that cannot.
        look_up: Option<String>,
    },
    /// A mail.
    Mail {
        /// To whom.
        to: String,
    },
}

/// How to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Send it.
    Send,
    /// An earlier try may have arrived: ask first, and send only what is not there.
    LookUpFirst {
        /// Other keys under which it may be there.
        known_as: Vec<DeliveryKey>,
    },
}

/// The real way out: signed webhooks over the network, and mail through the provider's server.
#[derive(Debug, Clone, Default)]
pub struct Channels {
    private_hosts: BTreeSet<String>,
    mail: Option<Mail>,
}

impl Channels {
    /// `private_hosts` are the hosts that an administrator allows to have private or loopback addresses (SECURITY 31).
    pub fn new(private_hosts: impl IntoIterator<Item = String>) -> Self {
        let private_hosts = private_hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        Self { private_hosts, mail: None }
    }

    /// The same, with a server for mail; `None` leaves it without.
    #[must_use]
    pub fn with_mail(self, mail: Option<Mail>) -> Self {
        Self { mail, ..self }
    }

    /// Whether a host may be private.
    pub(super) fn rule(&self, host: &str) -> HostRule {
        let is_private = self.private_hosts.contains(&host.to_ascii_lowercase());
        if is_private { HostRule::PrivateAllowed } else { HostRule::Public }
    }

    fn webhook(&self, to: &Address, url: &str, secret: &Secret, look_up: Option<&str>) -> Result<Webhook, String> {
        let url: url::Url = url.parse().map_err(|error| format!("channel {}: {url}: {error}", to.channel))?;
        let host = self.rule(url.host_str().unwrap_or_default());
        let secret = std::str::from_utf8(secret.expose()).map_err(|error| error.to_string())?;
        Webhook::new(WebhookConfig {
            url,
            secret: secret.trim().parse().map_err(|error| format!("channel {}: {error}", to.channel))?,
            look_up_url: look_up.map(str::to_owned),
            host,
            timeout: TRY_TIMEOUT,
        })
        .map_err(|error| format!("channel {}: {error}", to.channel))
    }
}

impl Channel for Channels {
    fn send<'a>(&'a self, to: &'a Address, delivery: &'a Delivery, how: How, now: Timestamp) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            let retry = |why: String| Outcome::Retry { why, not_before: None };
            let (url, secret, look_up) = match (&to.way, &self.mail) {
                // Mail has no look-up: the next try has the same Message-ID (notify::mail).
                (Way::Mail { to }, Some(mail)) => return mail.send(delivery, to).await,
                (Way::Mail { .. }, None) => return retry(MAIL_UNSET.to_owned()),
                (Way::Webhook { url, secret, look_up }, _) => (url, secret, look_up.as_deref()),
            };
            match (self.webhook(to, url, secret, look_up), how) {
                (Err(why), _) => retry(why),
                (Ok(webhook), How::Send) => webhook.send(delivery, now).await,
                (Ok(webhook), How::LookUpFirst { known_as }) => {
                    webhook.look_up_then_send(delivery, &known_as, now).await
                }
            }
        })
    }

    fn has_mail(&self) -> bool {
        self.mail.is_some()
    }
}

/// Why mail waits that nobody could send.
pub const MAIL_UNSET: &str = "no mail server is set: add [mail] to collector.toml and restart the collector";

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
        self.note_mail_server(channel.has_mail());
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
        let name: ChannelName = row.channel.parse().map_err(|error| DeskError::unreadable("channel", &error))?;
        let book = self.current_book().await?;
        let (owner, leased) = (worker.to_owned(), row.clone());
        if let Some(unsendable) = unsendable(&name, &book, row, channel.has_mail(), now) {
            return self.store.write("deliverer.hold", move |tx| hold(tx, &owner, &leased, unsendable, now)).await;
        }
        let (known, is_settled) = (Arc::clone(&book), self.is_clock_settled(now).await?);
        let taken =
            self.store.write("deliverer.take", move |tx| take(tx, &owner, &leased, &known, is_settled, now)).await?;
        let Some(try_now) = taken else { return Ok(false) };
        let outcome = match address(&name, &book, &row.client, secrets) {
            Ok(address) => {
                let delivery = delivery(&try_now.row)?;
                if is_broken(Rule::MarkedAfterEffect) {
                    let (owner, leased, book) = (worker.to_owned(), try_now.row.clone(), Arc::clone(&book));
                    let outcome = Outcome::Delivered { reference: "expected".to_owned(), known_as: None };
                    let tried = (try_now.attempt, outcome);
                    let early = move |tx: &mut dyn Tx| mark(tx, &owner, &leased, &book, tried, now);
                    self.store.write("deliverer.mark", early).await?;
                }
                channel.send(&address, &delivery, try_now.how, now).await
            }
            Err(why) => Outcome::Retry { why, not_before: None },
        };
        count(&name, &outcome);
        if name.is_mail() {
            self.note_mail(&outcome);
        }
        let (owner, leased, attempt) = (worker.to_owned(), try_now.row, try_now.attempt);
        self.store.write("deliverer.mark", move |tx| mark(tx, &owner, &leased, &book, (attempt, outcome), now)).await
    }
}

/// Where a message goes, as the book says at this moment; `Err` says what is missing.
pub(crate) fn address(
    name: &ChannelName,
    book: &CurrentBook,
    client: &ClientId,
    secrets: &dyn Secrets,
) -> Result<Address, String> {
    let address = |way| Address { channel: name.clone(), way };
    let channel = match name {
        ChannelName::Webhook(channel) => channel,
        ChannelName::Mail(_) | ChannelName::ClientMail(_) => {
            let to = name.mail_to(&book.book, client).ok_or_else(|| format!("the book has no address {name}"))?;
            return Ok(address(Way::Mail { to: to.to.clone() }));
        }
    };
    let webhook = book.book.provider.channels.get(channel).and_then(|channel| channel.webhook.as_ref());
    let Some(webhook) = webhook else {
        return Err(format!("the book has no channel {channel} with a webhook: add it, or it waits"));
    };
    let named = webhook.secret.as_str();
    let Some(secret) = secrets.secret(named) else {
        return Err(format!("the secret {named} of channel {channel} is not set: add it to the secrets file"));
    };
    Ok(address(Way::Webhook { url: webhook.url.clone(), secret, look_up: webhook.look_up.clone() }))
}

/// Why a mail is not even tried.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unsendable {
    /// It waits until then for what is missing.
    Waits { until: Timestamp, why: String },
    /// It is not sent.
    Dropped { why: String },
}

/// Mail for which there is no server or no address any more: nobody's failure, so nothing is counted as a try.
fn unsendable(
    name: &ChannelName,
    book: &CurrentBook,
    row: &OutboxRow,
    has_mail: bool,
    now: Timestamp,
) -> Option<Unsendable> {
    if !name.is_mail() {
        return None;
    }
    if name.mail_to(&book.book, &row.client).is_none() {
        return Some(Unsendable::Dropped { why: format!("not sent: the book has no address {name} any more") });
    }
    if has_mail {
        return None;
    }
    let dropped_at = row.created_at.saturating_add(UNSET_FOR).unwrap_or(Timestamp::MAX);
    if now >= dropped_at {
        let why = format!("not sent: it waited for {} hours; {MAIL_UNSET}", UNSET_FOR.as_hours());
        return Some(Unsendable::Dropped { why });
    }
    let until = now.saturating_add(UNSET_LOOK).unwrap_or(Timestamp::MAX).min(dropped_at);
    Some(Unsendable::Waits { until, why: MAIL_UNSET.to_owned() })
}

/// Stores what was decided of it.
fn hold(
    tx: &mut dyn Tx,
    worker: &str,
    row: &OutboxRow,
    unsendable: Unsendable,
    now: Timestamp,
) -> Result<bool, DeskError> {
    let lease = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
    if !tx.lease_message(&row.client, &row.key, worker, now, lease)? {
        return Ok(false);
    }
    let settled = match unsendable {
        Unsendable::Waits { until, why } => {
            Settled { next_attempt_at: Some(until), last_error: Some(why), ..waiting(row) }
        }
        Unsendable::Dropped { why } => {
            tracing::warn!(message.key = row.key, channel = row.channel, event = row.event, why, "a mail was not sent");
            let (status, last_error) = (OutboxStatus::Dropped, Some(why));
            Settled { status, next_attempt_at: None, last_error, ..waiting(row) }
        }
    };
    settle(tx, worker, row, &settled)?;
    Ok(true)
}

/// A try that is begun: its intent is committed.
#[derive(Debug, Clone)]
struct TryNow {
    attempt: u32,
    how: How,
    /// The message as it is now that it is leased.
    row: OutboxRow,
}

/// Leases a message and notes the intent, or puts it off, or gives it up. `None` when there is nothing to try. What may
/// have arrived waits for a clock that `is_settled`: by another nobody knows whether a search index has had its time.
fn take(
    tx: &mut dyn Tx,
    worker: &str,
    row: &OutboxRow,
    book: &CurrentBook,
    is_settled: bool,
    now: Timestamp,
) -> Result<Option<TryNow>, DeskError> {
    let until = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
    if !tx.lease_message(&row.client, &row.key, worker, now, until)? {
        return Ok(None);
    }
    let rows = tx.attempts(&row.client, &row.key)?;
    if let Some(until) = ticket::waits_until(&*tx, row, &rows, now)? {
        settle(tx, worker, row, &Settled { next_attempt_at: Some(until), ..waiting(row) })?;
        return Ok(None);
    }
    let attempts = history(rows)?;
    let how = match next_attempt(&key(row)?, &attempts, now) {
        Next::At(at) if at <= now => How::Send,
        Next::LookUpFirst { at } if at <= now && is_broken(Rule::LookedUpBeforeSent) => How::Send,
        Next::LookUpFirst { at } if at <= now && !is_settled => {
            let at = now.saturating_add(UNSETTLED_LOOK).unwrap_or(Timestamp::MAX);
            settle(tx, worker, row, &Settled { next_attempt_at: Some(at), ..waiting(row) })?;
            return Ok(None);
        }
        Next::LookUpFirst { at } if at <= now => How::LookUpFirst { known_as: ticket::known_as(&*tx, row)? },
        Next::At(at) | Next::LookUpFirst { at } => {
            settle(tx, worker, row, &Settled { next_attempt_at: Some(at), ..waiting(row) })?;
            return Ok(None);
        }
        Next::GiveUp { why } => {
            let is_refused = matches!(attempts.last(), Some(Attempt { outcome: Outcome::Permanent { .. }, .. }));
            give_up(tx, worker, row, book, GivenUp { why, is_refused }, now)?;
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
    if !is_broken(Rule::IntentIsCommitted) {
        tx.begin_attempt(&row.client, &row.key, &intent)?;
    }
    // What waited may have been amended since it was read.
    let row = tx.message(&row.client, &row.key)?.unwrap_or_else(|| row.clone());
    Ok(Some(TryNow { attempt, how, row }))
}

/// Notes what came of a try and where the message stands.
fn mark(
    tx: &mut dyn Tx,
    worker: &str,
    row: &OutboxRow,
    book: &CurrentBook,
    (attempt, outcome): (u32, Outcome),
    now: Timestamp,
) -> Result<bool, DeskError> {
    if is_broken(Rule::IntentIsCommitted) {
        let late = AttemptRow { attempt, worker: worker.to_owned(), started_at: now, ended_at: None, outcome: None };
        tx.begin_attempt(&row.client, &row.key, &late)?;
    }
    tx.end_attempt(&row.client, &row.key, attempt, now, &text("outcome", &outcome)?)?;
    let attempts = history(tx.attempts(&row.client, &row.key)?)?;
    let last_error = match &outcome {
        Outcome::Delivered { .. } => None,
        Outcome::Retry { why, .. } | Outcome::Permanent { why } | Outcome::Unclear { why } => Some(why.clone()),
    };
    match (next_attempt(&key(row)?, &attempts, now), outcome) {
        (Next::Done, Outcome::Delivered { reference, known_as }) => {
            let status = OutboxStatus::Delivered;
            let done = Settled {
                status,
                next_attempt_at: None,
                reference: Some(reference),
                delivered_at: Some(now),
                last_error,
            };
            settle(tx, worker, row, &done)?;
            if let Some(key) = known_as {
                ticket::found_as(tx, row, &key, now)?;
            }
        }
        (Next::At(at) | Next::LookUpFirst { at }, _) => {
            settle(tx, worker, row, &Settled { next_attempt_at: Some(at), last_error, ..waiting(row) })?;
        }
        (Next::GiveUp { why }, outcome) => {
            let is_refused = matches!(outcome, Outcome::Permanent { .. });
            give_up(tx, worker, row, book, GivenUp { why, is_refused }, now)?;
        }
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

/// A message that is not tried again.
struct GivenUp {
    why: String,
    /// The receiver refused it for good; else nobody took it for days.
    is_refused: bool,
}

/// Stores that a message reached nobody. That a mail address is refused is the receiver's word, not our fault: a warning,
/// and the provider is told by his other channels. What nobody took for days, and a ticket that cannot be written, somebody
/// must mend.
fn give_up(
    tx: &mut dyn Tx,
    worker: &str,
    row: &OutboxRow,
    book: &CurrentBook,
    given_up: GivenUp,
    now: Timestamp,
) -> Result<(), DeskError> {
    let GivenUp { why, is_refused } = given_up;
    let is_mail = row.channel.parse::<ChannelName>().is_ok_and(|name| name.is_mail());
    let (key, channel, event) = (&row.key, &row.channel, &row.event);
    if is_mail && is_refused {
        // What the server says may name a person: it stands with the incident, not in the log.
        tracing::warn!(message.key = key, channel, event, "a mail was refused for good");
    } else {
        tracing::error!(
            message.key = key,
            channel,
            event,
            why,
            "a message was given up: somebody must look at the receiver"
        );
    }
    if is_mail {
        failed::tell(tx, book, row, &why, now)?;
    }
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

fn count(name: &ChannelName, outcome: &Outcome) {
    let result = match outcome {
        Outcome::Delivered { .. } => "delivered",
        Outcome::Retry { .. } => "retry",
        Outcome::Permanent { .. } => "permanent",
        Outcome::Unclear { .. } => "unclear",
    };
    let counter = if name.is_mail() { "upheld_mail_deliveries_total" } else { "upheld_webhook_deliveries_total" };
    metrics::counter!(counter, "result" => result).increment(1);
}
