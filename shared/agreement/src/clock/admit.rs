//! What may be written into the ledger. A fact that is refused here is refused by name, and never half taken.

use jiff::Timestamp;

use super::ledger::{Fact, FactKind};
use crate::{
    terms::PinnedTerms,
    words::{Manner, PauseReason},
};

/// Why a fact is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactRefused {
    /// It is said to have happened after it was written down.
    #[error("it cannot have happened at {effective_at}: that is later than now, {recorded_at}")]
    InTheFuture {
        /// When it is said to have happened.
        effective_at: Timestamp,
        /// When it was written down.
        recorded_at: Timestamp,
    },
    /// The ledger has a fact of this number.
    #[error("the ledger has a fact {number} already")]
    NumberTaken {
        /// The number.
        number: u64,
    },
    /// Nobody says so.
    #[error("a fact needs somebody who says so")]
    NobodySaysSo,
    /// The agreement allows no pause for this reason.
    #[error("the agreement allows no pause for `{reason}`; {}", allowed_in_words(.allowed))]
    PauseNotAllowed {
        /// The reason.
        reason: PauseReason,
        /// The reasons that it allows.
        allowed: Vec<PauseReason>,
    },
    /// Nothing is paused at that time.
    #[error("nothing is paused at {at}")]
    NotPaused {
        /// The instant.
        at: Timestamp,
    },
    /// Nothing has ended at that time.
    #[error("the incident has not ended at {at}, so it cannot be reopened then")]
    NotEnded {
        /// The instant.
        at: Timestamp,
    },
    /// A telephone call with nobody.
    #[error("a response by phone needs with whom: that is what makes it a response (F12)")]
    PhoneWithNobody,
}

impl FactRefused {
    /// The refusal's name, as the API says it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InTheFuture { .. } => "in-the-future",
            Self::NumberTaken { .. } => "number-taken",
            Self::NobodySaysSo => "nobody-says-so",
            Self::PauseNotAllowed { .. } => "pause-not-allowed",
            Self::NotPaused { .. } => "not-paused",
            Self::NotEnded { .. } => "not-ended",
            Self::PhoneWithNobody => "phone-with-nobody",
        }
    }
}

fn allowed_in_words(allowed: &[PauseReason]) -> String {
    if allowed.is_empty() {
        return "it allows none at all".to_owned();
    }
    let words: Vec<&str> = allowed.iter().map(PauseReason::as_str).collect();
    format!("it allows {}", words.join(", "))
}

/// Whether a fact may be appended to an incident's ledger. Facts may come late and in any order.
pub fn admit(terms: &PinnedTerms, ledger: &[Fact], new: &Fact) -> Result<(), FactRefused> {
    if new.effective_at > new.recorded_at {
        let Fact { effective_at, recorded_at, .. } = *new;
        return Err(FactRefused::InTheFuture { effective_at, recorded_at });
    }
    if ledger.iter().any(|fact| fact.number == new.number) {
        return Err(FactRefused::NumberTaken { number: new.number });
    }
    if new.who.trim().is_empty() {
        return Err(FactRefused::NobodySaysSo);
    }
    let at = new.effective_at;
    match &new.kind {
        FactKind::Paused { reason, .. } => {
            let allowed = terms.pause_reasons();
            if !allowed.contains(reason) {
                return Err(FactRefused::PauseNotAllowed { reason: reason.clone(), allowed });
            }
        }
        FactKind::Resumed if !is_paused(ledger, at) => return Err(FactRefused::NotPaused { at }),
        FactKind::Reopened if !has_ended(ledger, at) => return Err(FactRefused::NotEnded { at }),
        FactKind::Responded { manner: Manner::Phone, with_whom } => {
            if with_whom.as_ref().is_none_or(|whom| whom.trim().is_empty()) {
                return Err(FactRefused::PhoneWithNobody);
            }
        }
        FactKind::Opened
        | FactKind::Acknowledged
        | FactKind::Responded { .. }
        | FactKind::WorkedAround
        | FactKind::Resumed
        | FactKind::Restored
        | FactKind::Resolved
        | FactKind::Reopened
        | FactKind::Cancelled { .. } => {}
    }
    Ok(())
}

fn is_paused(ledger: &[Fact], at: Timestamp) -> bool {
    last_of(ledger, at, |kind| match kind {
        FactKind::Paused { .. } => Some(true),
        FactKind::Resumed => Some(false),
        FactKind::Opened
        | FactKind::Acknowledged
        | FactKind::Responded { .. }
        | FactKind::WorkedAround
        | FactKind::Restored
        | FactKind::Resolved
        | FactKind::Reopened
        | FactKind::Cancelled { .. } => None,
    })
}

fn has_ended(ledger: &[Fact], at: Timestamp) -> bool {
    last_of(ledger, at, |kind| match kind {
        FactKind::Restored | FactKind::Resolved | FactKind::Cancelled { .. } => Some(true),
        FactKind::Reopened => Some(false),
        FactKind::Opened
        | FactKind::Acknowledged
        | FactKind::Responded { .. }
        | FactKind::WorkedAround
        | FactKind::Paused { .. }
        | FactKind::Resumed => None,
    })
}

/// What the last fact by effective time that says anything about it says.
fn last_of(ledger: &[Fact], at: Timestamp, says: impl Fn(&FactKind) -> Option<bool>) -> bool {
    let before = ledger.iter().filter(|fact| fact.effective_at <= at);
    let said = before.filter_map(|fact| Some((fact.effective_at, fact.recorded_at, fact.number, says(&fact.kind)?)));
    said.max().is_some_and(|(_, _, _, said)| said)
}
