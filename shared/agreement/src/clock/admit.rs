//! What may be written into the ledger. A fact that is refused here is refused by name, and never half taken.

use jiff::{SignedDuration, Timestamp};

use super::{
    dispute,
    ledger::{Fact, FactKind, TermsChange},
};
use crate::{
    book::Exclusion,
    terms::PinnedTerms,
    words::{BookName, Manner, PauseReason},
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
    /// The incident is over, so that nothing can be bought for it.
    #[error("the incident has ended at {at}: there is nothing left to expedite")]
    HasEnded {
        /// The instant.
        at: Timestamp,
    },
    /// Terms that were resolved for another asset.
    #[error("these terms are those of another asset")]
    TermsOfAnother,
    /// Nobody was on site.
    #[error("nobody has come on site by {at}, so there is no visit to report")]
    NoVisit {
        /// The instant.
        at: Timestamp,
    },
    /// Not a fact that can be disputed.
    #[error("fact {item} is no pause, cause or resolution: these can be disputed (F13)")]
    NotDisputable {
        /// The number that was named.
        item: u64,
    },
    /// The agreement gives no time to dispute in.
    #[error("the agreement gives no time to dispute in: write dispute_within in ssa.toml")]
    NoDisputes,
    /// The time to dispute is over.
    #[error("fact {item} could be disputed until {until}")]
    DisputeTooLate {
        /// The fact.
        item: u64,
        /// The last instant.
        until: Timestamp,
    },
    /// It is disputed, or was.
    #[error("fact {item} has been disputed before")]
    DisputedBefore {
        /// The fact.
        item: u64,
    },
    /// There is nothing to settle.
    #[error("no dispute of fact {item} is open")]
    NotDisputed {
        /// The fact.
        item: u64,
    },
    /// A dispute without a reason.
    #[error("a dispute needs a reason")]
    NoReason,
    /// Maintenance is agreed before, not found afterwards.
    #[error("maintenance is a window that was entered before it began, not a cause that is found afterwards")]
    MaintenanceIsAgreed,
    /// The terms name another manufacturer for the asset, or none.
    #[error("`{maker}` does not stand behind the asset; {}", known_maker(.known.as_ref()))]
    NotTheManufacturer {
        /// Who was named.
        maker: BookName,
        /// Who does.
        known: Option<BookName>,
    },
    /// Nobody handed it over.
    #[error("it has not been handed over to the manufacturer by {at}")]
    NotHandedOver {
        /// The instant.
        at: Timestamp,
    },
    /// Work that ends before it begins, or takes no time.
    #[error("work ends after it begins")]
    NoWork,
    /// Work that is not done yet.
    #[error("work until {to} cannot have been done by {recorded_at}")]
    WorkNotDone {
        /// Its end.
        to: Timestamp,
        /// When it was written down.
        recorded_at: Timestamp,
    },
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
            Self::HasEnded { .. } => "has-ended",
            Self::TermsOfAnother => "terms-of-another",
            Self::NoVisit { .. } => "no-visit",
            Self::NotDisputable { .. } => "not-disputable",
            Self::NoDisputes => "no-disputes",
            Self::DisputeTooLate { .. } => "dispute-too-late",
            Self::DisputedBefore { .. } => "disputed-before",
            Self::NotDisputed { .. } => "not-disputed",
            Self::NoReason => "no-reason",
            Self::MaintenanceIsAgreed => "maintenance-is-agreed",
            Self::NotTheManufacturer { .. } => "not-the-manufacturer",
            Self::NotHandedOver { .. } => "not-handed-over",
            Self::NoWork => "no-work",
            Self::WorkNotDone { .. } => "work-not-done",
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

fn known_maker(known: Option<&BookName>) -> String {
    known.map_or_else(|| "the terms name nobody".to_owned(), |known| format!("the terms name `{known}`"))
}

/// Whether a fact may be appended to an incident's ledger. Facts may come late and in any order.
pub fn admit(terms: &PinnedTerms, ledger: &[Fact], new: &Fact) -> Result<(), FactRefused> {
    let Fact { number, effective_at: at, recorded_at, .. } = *new;
    if at > recorded_at {
        return Err(FactRefused::InTheFuture { effective_at: at, recorded_at });
    }
    if ledger.iter().any(|fact| fact.number == number) {
        return Err(FactRefused::NumberTaken { number });
    }
    if new.who.trim().is_empty() {
        return Err(FactRefused::NobodySaysSo);
    }
    match &new.kind {
        FactKind::Opened
        | FactKind::Acknowledged
        | FactKind::WorkedAround
        | FactKind::Restored
        | FactKind::Resolved
        | FactKind::Cancelled { .. }
        | FactKind::Updated { .. }
        | FactKind::RestoreTested => Ok(()),
        FactKind::Responded { manner, with_whom } => admit_response(*manner, with_whom.as_deref()),
        FactKind::Paused { reason, .. } => admit_pause(terms, ledger, reason),
        FactKind::Resumed => is_paused(ledger, at).then_some(()).ok_or(FactRefused::NotPaused { at }),
        FactKind::Reopened => has_ended(ledger, at).then_some(()).ok_or(FactRefused::NotEnded { at }),
        FactKind::VisitReported => {
            let came = |fact: &Fact| matches!(fact.kind, FactKind::Responded { manner: Manner::OnSite, .. });
            before(ledger, at).any(came).then_some(()).ok_or(FactRefused::NoVisit { at })
        }
        FactKind::TermsChanged { why, terms: new } => admit_terms(terms, ledger, *why, new, at),
        FactKind::Disputed { item, why } => admit_dispute(terms, ledger, *item, why, at),
        FactKind::DisputeSettled { item, .. } => {
            dispute::is_open(ledger, *item).then_some(()).ok_or(FactRefused::NotDisputed { item: *item })
        }
        FactKind::CauseSet { cause, .. } => match cause {
            Some(Exclusion::Maintenance) => Err(FactRefused::MaintenanceIsAgreed),
            Some(Exclusion::Client | Exclusion::Utility | Exclusion::Isp) | None => Ok(()),
        },
        FactKind::HandedOver { maker, .. } => admit_hand_over(terms, maker),
        FactKind::ManufacturerAnswered { .. } => {
            let was_handed_over = |fact: &Fact| matches!(fact.kind, FactKind::HandedOver { .. });
            before(ledger, at).any(was_handed_over).then_some(()).ok_or(FactRefused::NotHandedOver { at })
        }
        // A correction without time takes an entry back.
        FactKind::Worked { from, to, corrects, .. } if to < from || (to == from && corrects.is_none()) => {
            Err(FactRefused::NoWork)
        }
        FactKind::Worked { to, .. } if *to > recorded_at => Err(FactRefused::WorkNotDone { to: *to, recorded_at }),
        FactKind::Worked { .. } => Ok(()),
    }
}

fn admit_response(manner: Manner, with_whom: Option<&str>) -> Result<(), FactRefused> {
    match manner {
        Manner::Phone if with_whom.is_none_or(|whom| whom.trim().is_empty()) => Err(FactRefused::PhoneWithNobody),
        Manner::Phone | Manner::Remote | Manner::OnSite => Ok(()),
    }
}

/// The terms that were changed since allow their reasons too.
fn admit_pause(terms: &PinnedTerms, ledger: &[Fact], reason: &PauseReason) -> Result<(), FactRefused> {
    let changed = ledger.iter().filter_map(|fact| Some(fact.kind.changed_terms()?.pause_reasons()));
    let mut allowed: Vec<_> = changed.chain([terms.pause_reasons()]).flatten().collect();
    allowed.sort();
    allowed.dedup();
    if allowed.contains(reason) {
        Ok(())
    } else {
        Err(FactRefused::PauseNotAllowed { reason: reason.clone(), allowed })
    }
}

fn admit_terms(
    terms: &PinnedTerms,
    ledger: &[Fact],
    why: TermsChange,
    new: &PinnedTerms,
    at: Timestamp,
) -> Result<(), FactRefused> {
    if (&new.client, &new.site) != (&terms.client, &terms.site) {
        return Err(FactRefused::TermsOfAnother);
    }
    match why {
        TermsChange::Expedite if has_ended(ledger, at) => Err(FactRefused::HasEnded { at }),
        TermsChange::Expedite | TermsChange::Priority | TermsChange::Merge => Ok(()),
    }
}

/// Within the time that the agreement gives, from when the client could see the fact.
fn admit_dispute(terms: &PinnedTerms, ledger: &[Fact], item: u64, why: &str, at: Timestamp) -> Result<(), FactRefused> {
    let disputed = ledger.iter().find(|fact| fact.number == item && dispute::can_be_disputed(&fact.kind));
    let disputed = disputed.ok_or(FactRefused::NotDisputable { item })?;
    if dispute::was_disputed(ledger, item) {
        return Err(FactRefused::DisputedBefore { item });
    }
    if why.trim().is_empty() {
        return Err(FactRefused::NoReason);
    }
    let within = terms.dispute_within_s.ok_or(FactRefused::NoDisputes)?;
    let within = SignedDuration::from_secs(i64::try_from(within).unwrap_or(i64::MAX));
    let until = disputed.recorded_at.saturating_add(within).unwrap_or(Timestamp::MAX);
    if at <= until { Ok(()) } else { Err(FactRefused::DisputeTooLate { item, until }) }
}

fn admit_hand_over(terms: &PinnedTerms, maker: &BookName) -> Result<(), FactRefused> {
    let known = terms.asset_terms.as_ref().and_then(|terms| terms.manufacturer.as_ref()).map(|terms| &terms.maker);
    if known == Some(maker) {
        return Ok(());
    }
    Err(FactRefused::NotTheManufacturer { maker: maker.clone(), known: known.cloned() })
}

fn is_paused(ledger: &[Fact], at: Timestamp) -> bool {
    let last = last_of(ledger, at, |kind| matches!(kind, FactKind::Paused { .. } | FactKind::Resumed));
    last.is_some_and(|fact| matches!(fact.kind, FactKind::Paused { .. }))
}

fn has_ended(ledger: &[Fact], at: Timestamp) -> bool {
    let last = last_of(ledger, at, |kind| {
        matches!(kind, FactKind::Restored | FactKind::Resolved | FactKind::Cancelled { .. } | FactKind::Reopened)
    });
    last.is_some_and(|fact| fact.kind != FactKind::Reopened)
}

/// The last fact by effective time of those that are asked for.
fn last_of(ledger: &[Fact], at: Timestamp, is_asked: impl Fn(&FactKind) -> bool) -> Option<&Fact> {
    let asked = before(ledger, at).filter(|fact| is_asked(&fact.kind));
    asked.max_by_key(|fact| (fact.effective_at, fact.recorded_at, fact.number))
}

fn before(ledger: &[Fact], at: Timestamp) -> impl Iterator<Item = &Fact> {
    ledger.iter().filter(move |fact| fact.effective_at <= at)
}
