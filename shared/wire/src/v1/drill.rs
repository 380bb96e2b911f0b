//! A drill: an outage that a person plays at a host, and what the collector made of it (UX 3.2).
//!
//! `GET /v1/drill/ID` is asked before anything is recorded: a collector that does not know drills answers 404, and is
//! never sent a record that it cannot read. Then the agent's journal tells of it ([`upheld_model::AgentEvent::Drill`]),
//! and the same question is asked until the answer is whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::DrillId;

/// What the collector made of a drill so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillReport {
    /// Which one.
    pub id: DrillId,
    /// The collector's clock as it answers.
    pub now: Timestamp,
    /// What would keep a real failure of this site from being told, in sentences for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The incident that it opened; `None` until its record has arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<DrillOpened>,
}

/// The incident of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillOpened {
    /// How people name it: `northgate/INC-7`.
    pub incident: String,
    /// Its title, which says that it is a drill.
    pub title: String,
    /// When the record was committed.
    pub received: Timestamp,
    /// When it ends by itself.
    pub ends: Timestamp,
    /// The terms that were found for it.
    pub terms: DrillTerms,
    /// The clocks that began, the one that is due first at the head.
    pub clocks: Vec<DrillClock>,
    /// Each channel that is told, and how far that is.
    pub deliveries: Vec<DrillDelivery>,
}

/// The terms that the agreement gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum DrillTerms {
    /// These.
    Found {
        /// The agreement and its version.
        agreement: String,
        /// The plan, as people call it.
        plan: String,
        /// The priority.
        priority: String,
    },
    /// None, by name.
    None {
        /// `no-agreement`, `not-in-force`, …
        refusal: String,
        /// The sentence.
        why: String,
    },
}

/// A clock as it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillClock {
    /// The stage that is promised: `respond`, `resolve`, …
    pub stage: String,
    /// Whether its seconds count at once; outside hours they begin at the next opening.
    pub is_counting: bool,
    /// When the hours open, where it does not count yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_from: Option<Timestamp>,
    /// When it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The due in the agreement's zone, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_local: Option<String>,
    /// All of it in one line.
    pub said: String,
}

/// One channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillDelivery {
    /// Its name in the book.
    pub channel: String,
    /// How far it is.
    pub state: DrillDelivered,
}

/// How far a message is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum DrillDelivered {
    /// On its way; why it is not there yet, where a try failed.
    Pending {
        /// What the last try said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// The receiver has taken it.
    Taken {
        /// When.
        at: Timestamp,
        /// After how many tries.
        attempts: u32,
    },
    /// Given up.
    Failed {
        /// Why.
        why: String,
    },
}
