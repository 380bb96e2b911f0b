//! What comes of a trigger or a request: the incident after it, and what is news.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{Cause, FindingId};

use super::{Incident, Who};

/// One incident as it now stands, and what just changed in it. The caller stores the incident under its key
/// (compare-and-set on what it had read) and the change in its timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentEffect {
    /// The incident after the change.
    pub incident: Incident,
    /// What changed.
    pub change: Change,
    /// Whether people and clocks begin with it here.
    pub desk: Desk,
    /// When it became so: a finding's instant, a deadline, the moment a person named.
    pub due_at: Timestamp,
    /// When we noticed.
    pub noticed_at: Timestamp,
}

/// What changed in an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// A failure that may become an incident; shown nowhere but on the asset's page.
    CandidateNoted,
    /// It is an incident.
    Opened,
    /// A candidate was over before its time: an event, counted.
    Passed,
    /// Another check of the same asset failed, or the same one failed again.
    SymptomAdded {
        /// Which finding.
        finding: FindingId,
    },
    /// A finding in it ended, others did not.
    SymptomEnded {
        /// Which finding.
        finding: FindingId,
    },
    /// Everything in it works again; the watch begins.
    Restored,
    /// It failed again inside the watch.
    Relapsed {
        /// The new finding; `None` for an agent that fell silent again.
        finding: Option<FindingId>,
    },
    /// The watch goes on, because at its end nothing could be measured.
    WatchExtended,
    /// It is over.
    Resolved,
    /// A person acknowledged and owns it.
    Taken,
    /// A person acknowledged it and has somebody own it.
    Assigned {
        /// Whom.
        to: Who,
    },
    /// A person responded (TERMS F12 says what that satisfies).
    Responded,
    /// A person reported it, or reported something about it.
    Reported {
        /// The report's id.
        id: String,
        /// In his words.
        text: String,
        /// Who wrote it down.
        entered_by: Who,
    },
    /// A person said what brought it about.
    CauseSet {
        /// What.
        cause: Cause,
    },
    /// Another incident is a part of it from here on.
    CarriesOn,
    /// A person wrote something down.
    Noted {
        /// What.
        text: String,
    },
    /// A person opened it again.
    Reopened,
    /// A person, or the ticket, closed it.
    Closed,
    /// A person found it to be part of another one.
    Merged,
    /// A person found it to be no incident.
    Dismissed,
    /// A better cause explains it: the incident stays, and is told by that.
    CauseFound {
        /// As what it was told until then.
        was: String,
    },
    /// A better cause was found after somebody took it, or late: a person says whether it is part of that.
    CauseProposed {
        /// The cause's title.
        cause: String,
    },
    /// A late fact moved an instant in it.
    Amended,
}

impl Change {
    /// The change's word on a timeline.
    pub fn word(&self) -> &'static str {
        match self {
            Self::CandidateNoted => "noticed",
            Self::Opened => "opened",
            Self::Passed => "passed",
            Self::SymptomAdded { .. } => "symptom added",
            Self::SymptomEnded { .. } => "symptom ended",
            Self::Restored => "restored",
            Self::Relapsed { .. } => "relapsed",
            Self::WatchExtended => "watch extended",
            Self::Resolved => "resolved",
            Self::Taken => "acknowledged",
            Self::Assigned { .. } => "assigned",
            Self::Responded => "responded",
            Self::Reported { .. } => "reported",
            Self::CauseSet { .. } => "cause set",
            Self::CarriesOn => "carries on",
            Self::Noted { .. } => "noted",
            Self::Reopened => "reopened",
            Self::Closed => "closed",
            Self::Merged => "merged",
            Self::Dismissed => "dismissed",
            Self::CauseFound { .. } => "cause found",
            Self::CauseProposed { .. } => "cause proposed",
            Self::Amended => "amended",
        }
    }
}

/// Whether people and clocks begin to deal with an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Desk {
    /// They begin here: match terms, start clocks, write the ticket, and page if [`Incident::pages`].
    Begins {
        /// The instant that chooses the agreement's version.
        detected: Timestamp,
        /// The instant from which response clocks count.
        received: Timestamp,
    },
    /// Nothing begins: they deal with it already, or not at all.
    AsBefore,
}
