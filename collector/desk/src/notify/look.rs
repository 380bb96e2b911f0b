//! Messages as people ask for them: a look at what would be sent, and a try of a channel. Both go past the outbox.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use upheld_agreement::{
    account::Stretch,
    clock::{Announced, Milestone},
    ratio::Ratio,
    words::Stage,
};
use upheld_detection::silence::Together;
use upheld_model::{ClientId, IncidentRef};
use upheld_outbound::{Delivery, EventKind, Outcome, notify::mail::Letter};
use upheld_store::ReadTx;

use super::{Audience, ChannelName, letters, weekly::Whose};
use crate::{
    Desk, DeskError, Scope, Secrets,
    book::CurrentBook,
    case::{
        Case,
        messages::{SilentTogether, Subject, content_key},
        read_incident, storm,
    },
    deliverer::{Channel, How, address},
    views,
};

upheld_model::vocabulary! {
    /// What can be looked at before it happens.
    PreviewKind, "kind of mail", {
        /// An incident opened.
        Opened = "opened",
        /// A promise is running out.
        Warning = "warning",
        /// A promise was missed.
        Breached = "breached",
        /// The time to hand over has come.
        HandOver = "hand-over",
        /// It works again.
        Restored = "restored",
        /// Sites fell silent together.
        Silent = "silent",
        /// More opened at once than people can be told of one by one.
        Storm = "storm",
        /// The week in one mail: the seven days before this moment.
        Digest = "digest",
        /// A try of a channel.
        Test = "test",
    }
}

/// Why there is nothing to look at or to try.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Nothing has happened yet that could be told.
    #[error("no incident of {of} has a ticket that a mail could tell of")]
    NoIncident {
        /// Whose.
        of: String,
    },
    /// The incident is another client's.
    #[error("{incident} is not an incident of {client}")]
    OfAnother {
        /// Which.
        incident: IncidentRef,
        /// Whose people were to read it.
        client: ClientId,
    },
    /// The book has no such channel.
    #[error("the book has no channel {name}; it has {}", if .known.is_empty() { "none".to_owned() } else { .known.join(", ") })]
    NoChannel {
        /// As it was given.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Looking up failed.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<upheld_store::StoreError> for NotifyError {
    fn from(error: upheld_store::StoreError) -> Self {
        Self::Desk(error.into())
    }
}

/// A mail that would be sent.
#[derive(Debug, Clone)]
pub struct Preview {
    /// About which incident.
    pub incident: Option<IncidentRef>,
    /// What it says.
    pub letter: Letter,
}

/// One way of a channel, and what came of the try.
#[derive(Debug, Clone)]
pub struct Tested {
    /// Which.
    pub channel: ChannelName,
    /// What came of it; `Err` says what is not set.
    pub outcome: Result<Outcome, String>,
}

impl Desk {
    /// What a mail would say, were the event now: about this incident, else about the newest one; as `client`'s own people
    /// read it, or the provider's. For an event of a clock it is the clock that runs out first.
    pub async fn preview(
        &self,
        kind: PreviewKind,
        client: Option<&ClientId>,
        incident: Option<&IncidentRef>,
        now: Timestamp,
    ) -> Result<Preview, NotifyError> {
        if kind == PreviewKind::Test {
            return Ok(Preview { incident: None, letter: letters::test("NAME") });
        }
        if kind == PreviewKind::Digest {
            let whose = client.map_or(Whose::Provider, |client| Whose::Client(client.clone()));
            let from = now.saturating_sub(SignedDuration::from_hours(7 * 24)).unwrap_or(now);
            let letter = self.week(&whose, Stretch { from, to: now }).await?;
            return Ok(Preview { incident: None, letter });
        }
        if let (Some(client), Some(incident)) = (client, incident)
            && incident.client != *client
        {
            return Err(NotifyError::OfAnother { incident: incident.clone(), client: client.clone() });
        }
        let (client, incident, shared) = (client.cloned(), incident.cloned(), Arc::clone(&self.shared));
        self.store
            .read("desk.preview", move |tx| {
                let book = shared.books.current(tx)?;
                let case = match &incident {
                    Some(incident) => Case::open(tx, views::find(tx, &Scope::Provider, incident)?)?,
                    None => newest(tx, client.as_ref())?.ok_or_else(|| NotifyError::NoIncident {
                        of: client.as_ref().map_or_else(|| "any client".to_owned(), ToString::to_string),
                    })?,
                };
                let audience = if client.is_some() { Audience::Client } else { Audience::Provider };
                let incident = Some(case.reference());
                let letter = letter(tx, &book, case, kind, audience, now)?;
                Ok(Preview { incident, letter })
            })
            .await
    }

    /// The ways that a name means: each that a channel of the provider has, one of them (`desk:mail`), or one of a
    /// client's people (`client/plant:mail`).
    pub async fn ways_of(&self, name: &str, client: Option<&ClientId>) -> Result<Vec<ChannelName>, NotifyError> {
        let book = self.current_book().await?;
        let mut known = Vec::new();
        for (channel, to) in &book.book.provider.channels {
            known.extend(to.webhook.as_ref().map(|_| ChannelName::Webhook(channel.clone())));
            known.extend(to.mail.as_ref().map(|_| ChannelName::Mail(channel.clone())));
        }
        let people = client.and_then(|client| book.book.client(client)).map(|client| &client.mail);
        known.extend(people.into_iter().flatten().map(|(name, _)| ChannelName::ClientMail(name.clone())));
        let is_meant = |way: &&ChannelName| match way {
            ChannelName::Webhook(channel) => channel.as_str() == name,
            ChannelName::Mail(channel) => channel.as_str() == name || way.to_string() == name,
            ChannelName::ClientMail(_) => way.to_string() == name,
        };
        let meant: Vec<ChannelName> = known.iter().filter(is_meant).cloned().collect();
        if meant.is_empty() {
            let known = known.iter().map(ToString::to_string).collect();
            return Err(NotifyError::NoChannel { name: name.chars().take(80).collect(), known });
        }
        Ok(meant)
    }

    /// Sends one message that is marked as a test by one way, past the outbox, and says what its receiver answered. One
    /// that can be asked is asked first, and must say that it has no such message.
    pub async fn test_way(
        &self,
        way: &ChannelName,
        client: Option<&ClientId>,
        channel: &dyn Channel,
        secrets: &dyn Secrets,
        now: Timestamp,
    ) -> Result<Tested, NotifyError> {
        let book = self.current_book().await?;
        let unreadable = |error: serde_json::Error| DeskError::unreadable("test message", &error);
        let letter = letters::test(&way.to_string());
        let body = if way.is_mail() {
            letters::body(&letter)?
        } else {
            let data = json!({ "title": letter.lead, "page": false, "test": true });
            Delivery::payload(EventKind::ChannelTest, now, &data).map_err(unreadable)?
        };
        let key = content_key(&["upheld-test/1", &way.to_string(), &now.to_string()]);
        let key = key.parse().map_err(|error| DeskError::unreadable("message key", &error))?;
        let delivery = Delivery { key, kind: EventKind::ChannelTest, body, created: now };
        // Only the mail of a client's own people asks whose.
        let nobody = crate::own::OWN_CLIENT.parse().map_err(|error| DeskError::unreadable("client", &error))?;
        let outcome = match address(way, &book, client.unwrap_or(&nobody), secrets) {
            Ok(address) => Ok(channel.send(&address, &delivery, How::LookUpFirst { known_as: Vec::new() }, now).await),
            Err(why) => Err(why),
        };
        Ok(Tested { channel: way.clone(), outcome })
    }
}

/// The newest incident that has a ticket.
fn newest(tx: &dyn ReadTx, client: Option<&ClientId>) -> Result<Option<Case>, DeskError> {
    for row in tx.newest_incidents(client, 100)? {
        if read_incident(&row)?.is_ticketed() {
            return Case::open(tx, row).map(Some);
        }
    }
    Ok(None)
}

/// The letter as of the event: a promise that is missed is missed at its due, what is restored is so now.
fn letter(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    mut case: Case,
    kind: PreviewKind,
    audience: Audience,
    now: Timestamp,
) -> Result<Letter, DeskError> {
    let first = views::clock_views(&case, now)?.into_iter().next();
    let due_at = first.as_ref().and_then(|clock| clock.breached_at.or(clock.due)).unwrap_or(now);
    let stage = first.and_then(|clock| clock.stage.parse().ok()).unwrap_or(Stage::Respond).as_str();
    let at = |milestone| {
        let announced = Announced { milestone, due_at, noticed_at: now };
        Subject::Milestone { clock: stage, announced, because: None }
    };
    let half = || Ratio::new(1, 2).unwrap_or(Ratio::ONE);
    let (event, subject, now) = match kind {
        PreviewKind::Opened => (EventKind::IncidentOpened, Subject::Incident, now),
        PreviewKind::Restored => {
            case.incident.restored = case.incident.restored.or(Some(now));
            (EventKind::IncidentRestored, Subject::Incident, now)
        }
        PreviewKind::Warning => (EventKind::ClockWarning, at(Milestone::Warning { fraction: half() }), now),
        PreviewKind::Breached => (EventKind::ClockBreached, at(Milestone::Breach), now.max(due_at)),
        PreviewKind::HandOver => (EventKind::ClockHandOver, at(Milestone::HandOver { fraction: half() }), now),
        PreviewKind::Silent => {
            let since = case.incident.started.not_after;
            let own = book.book.client(&case.row.client).map(|client| client.sites.keys().cloned().collect::<Vec<_>>());
            let sites = own.unwrap_or_default();
            // Fewer than two are not together: then a site of another client is silent too.
            let together = match sites.len() {
                0 | 1 => Together { sites: 2, clients: 2, since },
                many => Together { sites: many, clients: 1, since },
            };
            return Ok(letters::silent(book, &case, audience, &SilentTogether { together, sites, is_first: true }));
        }
        PreviewKind::Storm => return Ok(letters::storm(&storm::data(&case, Vec::new(), 0))),
        // Neither is about an incident; both are answered before one is looked for.
        PreviewKind::Digest | PreviewKind::Test => return Ok(letters::test("NAME")),
    };
    letters::of_incident(tx, book, &case, audience, event, &subject, now)
}
