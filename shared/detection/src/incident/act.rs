//! What a person asks of one incident.

use jiff::Timestamp;

use super::{Incident, IncidentEffect, IncidentKey, Who};

/// A person's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Acknowledge it and own it; from another owner it is a hand-over.
    Take,
    /// Respond. The manner, and what it satisfies, is the agreement's matter (TERMS F12).
    Respond,
    /// Say that it is over.
    Resolve(Resolution),
    /// Say that it is not over after all, or that it should be dealt with.
    Reopen,
    /// Close the ticket for good; the next failure opens a new incident.
    Close,
    /// Say that it is no incident.
    Dismiss {
        /// Why; shown with it for ever.
        reason: String,
    },
    /// Say that it is part of another one.
    Merge {
        /// Which one.
        into: IncidentKey,
    },
    /// Write something down.
    Note {
        /// What.
        text: String,
    },
}

/// On what a resolution rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// On the measurement: refused while something in it fails.
    Measured,
    /// On the person's word, though something in it still fails or cannot be judged.
    OnWord,
}

/// Why a request is refused. The incident is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is only a candidate.
    #[error("this failure is not an incident yet; it becomes one at {open_due} unless it passes first")]
    NotYet {
        /// When it becomes one.
        open_due: Timestamp,
    },
    /// It still fails.
    #[error("still failing: {what}; wait until it is restored, or resolve it on your own word")]
    StillFailing {
        /// What fails, in words.
        what: String,
    },
    /// It is not resolved.
    #[error("it is {state}, not resolved; resolve it before closing it")]
    NotResolved {
        /// The state's word.
        state: &'static str,
    },
    /// It is in a state that ends such requests.
    #[error("it is {state}; {action} is not possible any more")]
    Over {
        /// The state's word.
        state: &'static str,
        /// What was asked, as a verb.
        action: &'static str,
    },
    /// It cannot be part of itself.
    #[error("an incident cannot be merged into itself; name the other one")]
    IntoItself,
}

/// The incident after a person's request, effective at `at`. `Ok(None)` when it was so already.
///
/// Reopening can collide with a newer open incident of the same dedup key: the store's unique index refuses then.
pub fn act(
    incident: &Incident,
    action: &Action,
    by: &Who,
    at: Timestamp,
    now: Timestamp,
) -> Result<Option<IncidentEffect>, Refused> {
    let _ = (incident, action, by, at, now);
    Ok(None)
}
