//! The agreement's own closed words: stages, manners, priorities, levels, and what a clock counts from.
//!
//! Each word is spelt the same in the book, in JSON and on the page (TERMS.md 2).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use upheld_model::vocabulary;

vocabulary!(
    /// What a target promises. One clock runs per stage (TERMS 5).
    Stage, "stage", {
        /// Somebody has taken the incident. An acknowledgement satisfies this and nothing else (F12).
        Acknowledge = "acknowledge",
        /// Somebody has answered the client, in a manner that the target accepts.
        Respond = "respond",
        /// Somebody stands at the asset.
        OnSite = "on-site",
        /// The client is told how it stands, again and again.
        Update = "update",
        /// The client can work, if not as before.
        Workaround = "workaround",
        /// It works again.
        Resolve = "resolve",
        /// The report of a visit is with the client.
        VisitReport = "visit-report",
        /// A backup was restored and opened.
        RestoreTest = "restore-test",
    }
);

vocabulary!(
    /// How a response was given (F12).
    Manner, "manner", {
        /// Through the network.
        Remote = "remote",
        /// By telephone.
        Phone = "phone",
        /// At the site.
        OnSite = "on-site",
    }
);

vocabulary!(
    /// What an incident comes to, from impact and urgency. P1 is the most pressing.
    Priority, "priority", {
        /// First.
        P1 = "P1",
        /// Second.
        P2 = "P2",
        /// Third.
        P3 = "P3",
        /// Fourth.
        P4 = "P4",
        /// Fifth.
        P5 = "P5",
    }
);

vocabulary!(
    /// A level of impact, urgency, complexity or criticality.
    Level, "level", {
        /// High.
        High = "high",
        /// Medium.
        Medium = "medium",
        /// Low.
        Low = "low",
    }
);

vocabulary!(
    /// The two categories of issues, and requests.
    Category, "category", {
        /// A device, a part, a line.
        Hardware = "hardware",
        /// A program.
        Software = "software",
        /// "It does not do what I expected", training.
        Request = "request",
    }
);

vocabulary!(
    /// The instant from which a target is measured (F11).
    MeasuredFrom, "instant to measure from", {
        /// The commit of the record that confirmed the finding, less the collector's own outages before it.
        Received = "received",
        /// When the agent confirmed the fault.
        Detected = "detected",
        /// When a person says that he called; received, where nobody did.
        Reported = "reported",
    }
);

vocabulary!(
    /// What satisfies a `respond` target (F12).
    SatisfiedBy, "satisfying fact", {
        /// A response fact in an accepted manner.
        Response = "response",
        /// An acknowledgement as well, because the agreement says so; plain words and reports then say so.
        Acknowledge = "acknowledge",
    }
);

vocabulary!(
    /// What an amendment does to the incidents that are open when it takes effect (F2).
    OpenIncidents, "treatment of open incidents", {
        /// They keep the version they were opened under.
        Pin = "pin",
        /// Seconds already counted count against the new target.
        CarryElapsed = "carry_elapsed",
        /// The unused fraction of the old target is applied to the new one.
        Prorate = "prorate",
        /// The new target from the change.
        RestartFromChange = "restart_from_change",
        /// The new target from the original start.
        RestartFromStart = "restart_from_start",
    }
);

/// The name of a file of the book, without its ending: a plan, a calendar, a holiday list, a manufacturer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BookName(String);

/// The name of a reason for which a clock may stand still, as the plan's `pause_for` writes it: `site-access`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PauseReason(String);

/// A text that is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a name: use 1 to 64 letters, digits, '-', '_' or '.', starting with a letter or digit")]
pub struct NotAName {
    /// The text, cut at 80 characters.
    pub text: String,
}

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                // The rule for names is the model's: one rule for ids, file names and reasons.
                match text.parse::<upheld_model::AssetId>() {
                    Ok(_) => Ok(Self(text.to_owned())),
                    Err(_) => Err(NotAName { text: text.chars().take(80).collect() }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAName;

            fn try_from(text: String) -> Result<Self, NotAName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(BookName);
name!(PauseReason);
