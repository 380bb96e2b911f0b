//! Where an incident stands: a variant per phase, each holding just what that phase knows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{IncidentKey, Who};

/// The states of DETECTION 5.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum IncidentState {
    /// A confirmed failure that its class gives some time to pass.
    Candidate {
        /// When it becomes an incident unless it is over first.
        open_due: Timestamp,
    },
    /// Nobody has taken it.
    Open,
    /// Somebody acknowledged it and owns it.
    Taken {
        /// Who.
        by: Who,
        /// When.
        at: Timestamp,
    },
    /// Somebody responded.
    InProgress {
        /// Who.
        by: Who,
        /// When.
        at: Timestamp,
    },
    /// Everything works again, and is being watched.
    Watching {
        /// When it resolves by itself.
        until: Timestamp,
        /// Who had it before, and has it again after a relapse.
        holder: Holder,
    },
    /// It is over; a late fact of a relapse inside the watch, or a person, can still reopen it.
    Resolved {
        /// Since when.
        at: Timestamp,
        /// By whom.
        by: Who,
        /// Who had it.
        holder: Holder,
    },
    /// Its ticket is closed; the same failure opens a new one that follows it.
    Closed {
        /// When.
        at: Timestamp,
        /// By whom.
        by: Who,
    },
    /// It is part of another one.
    Merged {
        /// Which one.
        into: IncidentKey,
        /// When.
        at: Timestamp,
        /// By whom.
        by: Who,
    },
    /// It is no incident: a person said so, or it passed while a candidate.
    Dismissed {
        /// When.
        at: Timestamp,
        /// By whom.
        by: Who,
        /// Why.
        reason: String,
    },
}

/// Who deals with an incident that is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Holder {
    /// Nobody took it.
    Nobody,
    /// Taken.
    Taken {
        /// Who.
        by: Who,
        /// When.
        at: Timestamp,
    },
    /// Responded to.
    InProgress {
        /// Who.
        by: Who,
        /// When.
        at: Timestamp,
    },
}

impl IncidentState {
    /// The state's word, as the portal shows it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Candidate { .. } => "candidate",
            Self::Open => "open",
            Self::Taken { .. } => "taken",
            Self::InProgress { .. } => "in progress",
            Self::Watching { .. } => "watching",
            Self::Resolved { .. } => "resolved",
            Self::Closed { .. } => "closed",
            Self::Merged { .. } => "merged",
            Self::Dismissed { .. } => "dismissed",
        }
    }

    /// Whether the incident occupies its dedup key.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Candidate { .. }
            | Self::Open
            | Self::Taken { .. }
            | Self::InProgress { .. }
            | Self::Watching { .. } => true,
            Self::Resolved { .. } | Self::Closed { .. } | Self::Merged { .. } | Self::Dismissed { .. } => false,
        }
    }

    /// The instant at which the state changes by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Candidate { open_due } => Some(*open_due),
            Self::Watching { until, .. } => Some(*until),
            Self::Open
            | Self::Taken { .. }
            | Self::InProgress { .. }
            | Self::Resolved { .. }
            | Self::Closed { .. }
            | Self::Merged { .. }
            | Self::Dismissed { .. } => None,
        }
    }

    /// Who deals with it, if it is in a state that remembers.
    pub fn holder(&self) -> Holder {
        match self {
            Self::Taken { by, at } => Holder::Taken { by: by.clone(), at: *at },
            Self::InProgress { by, at } => Holder::InProgress { by: by.clone(), at: *at },
            Self::Watching { holder, .. } | Self::Resolved { holder, .. } => holder.clone(),
            Self::Candidate { .. }
            | Self::Open
            | Self::Closed { .. }
            | Self::Merged { .. }
            | Self::Dismissed { .. } => Holder::Nobody,
        }
    }
}

impl From<Holder> for IncidentState {
    /// The state of an incident that fails while this one deals with it.
    fn from(holder: Holder) -> Self {
        match holder {
            Holder::Nobody => Self::Open,
            Holder::Taken { by, at } => Self::Taken { by, at },
            Holder::InProgress { by, at } => Self::InProgress { by, at },
        }
    }
}
