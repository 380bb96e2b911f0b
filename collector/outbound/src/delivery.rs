//! What is delivered, and what came of it.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One message to one receiver, complete in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The same for every try; the receiver recognises a repetition by it.
    pub key: DeliveryKey,
    /// What happened.
    pub kind: EventKind,
    /// The JSON body exactly as it is signed and sent; [`Delivery::payload`] makes it.
    pub body: String,
    /// When the message was put into the outbox.
    pub created: Timestamp,
}

impl Delivery {
    /// The body of a Standard Webhooks message: `{"type", "timestamp", "data"}`. `occurred` is when the event
    /// happened, not when it is sent.
    pub fn payload(kind: EventKind, occurred: Timestamp, data: &impl Serialize) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Payload<'a, T> {
            r#type: EventKind,
            timestamp: Timestamp,
            data: &'a T,
        }
        serde_json::to_string(&Payload { r#type: kind, timestamp: occurred, data })
    }
}

/// The name of one delivery, derived from its content and never from a database id (DELIVERY 3): 8 to 128 letters,
/// digits, `-` or `_`. A full stop is refused because it separates the parts that are signed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeliveryKey(String);

/// The text is not a delivery key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a delivery key: use 8 to 128 letters, digits, '-' or '_'")]
pub struct KeyError {
    /// The text, cut at 80 characters.
    pub text: String,
}

impl DeliveryKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeliveryKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if (8..=128).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError { text: text.chars().take(80).collect() })
        }
    }
}

impl TryFrom<String> for DeliveryKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<DeliveryKey> for String {
    fn from(key: DeliveryKey) -> String {
        key.0
    }
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// What a message is about (UX 3.4).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $word)] $variant),+
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire, such as `incident.opened`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
    };
}

event_kinds! {
    /// An incident opened.
    IncidentOpened = "incident.opened",
    /// Sites fell silent together; each has its own `incident.opened`, which pages nobody.
    SitesSilent = "sites.silent",
    /// More opened for one client at once than people can be told of one by one: all in one message, no tickets.
    IncidentsStorm = "incidents.storm",
    /// A person took it.
    IncidentAcknowledged = "incident.acknowledged",
    /// The response that the agreement promises was given.
    IncidentResponded = "incident.responded",
    /// The client was told how it stands; what he was told is said with it.
    IncidentUpdated = "incident.updated",
    /// The client disputes a pause, a cause or a resolution.
    DisputeOpened = "dispute.opened",
    /// A dispute has ended.
    DisputeSettled = "dispute.settled",
    /// The fault is over.
    IncidentRestored = "incident.restored",
    /// The incident is settled.
    IncidentResolved = "incident.resolved",
    /// A clock stands still for a reason that the agreement allows.
    ClockPaused = "clock.paused",
    /// It runs again.
    ClockResumed = "clock.resumed",
    /// A target is near.
    ClockWarning = "clock.warning",
    /// A target was missed.
    ClockBreached = "clock.breached",
    /// The agreement's time to hand the incident over to the manufacturer has come.
    ClockHandOver = "clock.hand-over",
    /// The manufacturer has not answered by the time that he promised.
    ManufacturerOverdue = "manufacturer.overdue",
    /// A late fact took back a warning, a breach, a hand-over or a manufacturer's missed time.
    ClockWithdrawn = "clock.withdrawn",
    /// A visit was reported.
    VisitReported = "visit.reported",
    /// A backup did not happen.
    BackupMissed = "backup.missed",
    /// A restore test passed.
    RestoreVerified = "restore.verified",
    /// An amendment came into force.
    AgreementAmended = "agreement.amended",
    /// The week in one message: what was kept, and what needs somebody's eye and pages nobody.
    DigestWeekly = "digest.weekly",
    /// A mail reached nobody: the provider is told by another channel.
    DeliveryFailed = "delivery.failed",
    /// Somebody tries a channel; nothing has happened.
    ChannelTest = "channel.test",
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{word:?} is not an event; known are incident.*, incidents.storm, sites.silent, dispute.*, clock.*, manufacturer.overdue, visit.reported, backup.missed, restore.verified, agreement.amended, digest.weekly, delivery.failed, channel.test"
)]
pub struct UnknownEvent {
    /// The text, cut at 80 characters.
    pub word: String,
}

impl FromStr for EventKind {
    type Err = UnknownEvent;

    fn from_str(word: &str) -> Result<Self, UnknownEvent> {
        let known = Self::ALL.iter().copied().find(|kind| kind.as_str() == word);
        known.ok_or_else(|| UnknownEvent { word: word.chars().take(80).collect() })
    }
}

/// What came of one try. Texts are for a person and carry no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Outcome {
    /// The receiver has it.
    Delivered {
        /// The receiver's own name for it, or the key where it gives none.
        reference: String,
        /// The other key under which a look-up found it; `None` for its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        known_as: Option<DeliveryKey>,
    },
    /// It certainly has not arrived, or was refused for now.
    Retry {
        /// What happened.
        why: String,
        /// The receiver asked to be left alone until then.
        not_before: Option<Timestamp>,
    },
    /// It will never be taken as it is.
    Permanent {
        /// What happened and what to change.
        why: String,
    },
    /// It may or may not have arrived: look up before trying again.
    Unclear {
        /// What happened.
        why: String,
    },
}

/// What the receiver says about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// It has the delivery.
    Found {
        /// The receiver's own name for it, or the key where it gives none.
        reference: String,
    },
    /// It has not.
    NotFound,
    /// It cannot be asked; it recognises repetitions by the key itself.
    Unsupported,
    /// It could not be asked now.
    Failed {
        /// What happened.
        why: String,
    },
}
