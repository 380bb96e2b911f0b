//! Why a clock stands where it stands (TERMS F10), and an agreement in plain words (TERMS 7).
//!
//! An [`Explanation`] is data: the version, the rule, the calendar, every segment with what it counted and why, the
//! pauses and holidays inside. The page's table ([`Explanation::cells`]), the JSON and [`Explanation::text`] show
//! the same value in the same words, so they cannot differ.
//! It reads no time of its own and looks nothing up: all of it comes from the pinned terms and the ledger.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use upheld_model::Digest;

use crate::{
    clock::{Clock, ClockView, Era, Fact, FactKind, Leg, Origin, PauseView, TermsChange, eras},
    terms::{After, PinnedTerms, Why},
    words::{BookName, MeasuredFrom, Stage},
};

mod plain;
mod rows;
mod said;
mod text;

pub use plain::{
    AssetClaim, AvailabilityClaim, BandsClaim, CapClaim, Case, Claim, CoversClaim, CreditClaim, DisputeClaim,
    EscalationClaim, FeeClaim, FollowsClaim, HoursClaim, IncludedClaim, IssueClaim, KeptClaim, MannerRate,
    NoSuchAgreement, PlainAgreement, PreventionClaim, PriorityClaim, RateClaim, Section, Sentence, TargetClaim,
    agreement, plain,
};
pub use said::Cells;
pub use text::duration;

/// The most rows of an explanation; a clock that ran for years is explained up to there and says so.
pub const ROWS_MAX: usize = 2_000;

/// Why a clock stands where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Explanation {
    /// As of when.
    pub as_of: Timestamp,
    /// Which clock, and how it stands.
    pub clock: ClockView,
    /// `SSA-2026-014 v2`.
    pub version: String,
    /// The hash of that version.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub version_hash: Digest,
    /// The hash of the pinned terms.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub terms_hash: Digest,
    /// The target that governs, in words: `respond within 4 h of calendar `business`, by remote or phone`.
    pub rule: String,
    /// Where it is written.
    pub source: String,
    /// Its calendar.
    pub calendar: BookName,
    /// The calendar's zone, authoritative for every time that is shown.
    pub zone: String,
    /// From which instant it is measured.
    pub measured_from: MeasuredFrom,
    /// The stage that comes first, where the target waits for one.
    pub after: Option<After>,
    /// Seconds of the collector's own outages that were taken off the start (F11).
    pub outage_s: u64,
    /// The counted seconds that are promised; `None` for a wall time that is not known yet.
    pub promised_s: Option<u64>,
    /// Every stretch from the start: first what has passed, then what is to come until the due.
    pub rows: Vec<Row>,
    /// Whether there were more than [`ROWS_MAX`] rows.
    pub is_cut: bool,
    /// The terms that took over from those at the start, in order.
    pub took_over: Vec<TookOver>,
    /// The other targets of the stage, whose due is later or which are satisfied.
    pub beside: Vec<Beside>,
    /// Why these terms, and what was ruled out.
    pub terms: Why,
}

/// One stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ExplainedRow))]
pub struct Row {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// How many seconds of it count.
    pub counted_s: u64,
    /// How many are left after it.
    pub left_s: Option<u64>,
    /// Why.
    pub why: RowWhy,
    /// Where that is written.
    pub source: String,
    /// Whether it has passed and the clock ran; what has not is the way to the due.
    pub is_past: bool,
}

/// Why a stretch counts or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum RowWhy {
    /// Covered hours.
    Counted,
    /// Outside coverage: running, not counting (F5).
    OutsideCoverage,
    /// A holiday.
    Holiday {
        /// Its name.
        name: Option<String>,
    },
    /// Paused for a reason that the terms allow.
    Paused {
        /// The pause.
        pause: PauseView,
    },
    /// Ended, until it was reopened.
    Ended {
        /// How.
        how: String,
    },
}

/// Terms that took over while the clock was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TookOver {
    /// When.
    pub at: Timestamp,
    /// What, in words: `SSA-2026-014 v2 (carry_elapsed)`.
    pub what: String,
}

/// Another target of the same stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Beside {
    /// In words.
    pub rule: String,
    /// Where it is written.
    pub source: String,
    /// When it is due.
    pub due: crate::clock::DueAt,
}

impl Clock {
    /// Why this clock stands where it stands as of `now`.
    pub fn explain(&self, terms: &PinnedTerms, now: Timestamp) -> Explanation {
        let legs = self.legs(Some(now), now);
        let clock = self.view(now);
        // A clock has at least one target (`Clock::with_calendars` refuses one without), so one governs.
        let governing = crate::clock::governing(&legs).expect("a clock has at least one target");
        let (rows, is_cut) = rows::rows(governing, now);
        let version = governing.origin().terms(terms, self.facts());
        Explanation {
            as_of: now,
            version: version.version_label(),
            version_hash: version.version_hash,
            terms_hash: terms.hash(),
            rule: crate::matching::in_words(&governing.target),
            source: governing.target.source.clone(),
            calendar: governing.target.calendar.clone(),
            zone: governing.calendar.zone_name().to_owned(),
            measured_from: governing.target.measured_from,
            after: governing.target.after,
            outage_s: match governing.target.measured_from {
                MeasuredFrom::Received => self.start().outage_s(),
                MeasuredFrom::Detected | MeasuredFrom::Reported => 0,
            },
            promised_s: governing.promised_s(),
            rows,
            is_cut,
            took_over: self.took_over(terms, now),
            beside: legs.iter().filter(|leg| !std::ptr::eq(*leg, governing)).map(beside).collect(),
            terms: version.explanation.clone(),
            clock,
        }
    }
}

impl Clock {
    /// What amended or changed the terms of this stage by `now`.
    fn took_over(&self, terms: &PinnedTerms, now: Timestamp) -> Vec<TookOver> {
        let eras = eras(terms, self.facts()).into_iter().filter(|era| era.at <= now);
        let eras = eras.filter(|era| era.terms.targets_of(self.stage()).next().is_some());
        eras.map(|era| TookOver { at: era.at, what: took_over_in_words(&era, self.facts()) }).collect()
    }
}

fn took_over_in_words(era: &Era<'_>, facts: &[Fact]) -> String {
    let version = era.terms.version_label();
    let changed = match era.origin {
        Origin::Opening | Origin::Amendment(_) | Origin::Change { amendment: Some(_), .. } => None,
        Origin::Change { fact, amendment: None } => facts.iter().find(|known| known.number == fact),
    };
    let Some(fact) = changed else { return format!("{version} ({})", era.terms.open_incidents) };
    let FactKind::TermsChanged { why, .. } = &fact.kind else { return version };
    let what = match why {
        TermsChange::Priority => format!("priority {}, seconds carried over", era.terms.priority),
        TermsChange::Merge => format!("priority {} of the incident that it carries on", era.terms.priority),
        TermsChange::Expedite => {
            let bought = era.terms.expedited.last().map_or("a rider", |bought| bought.rider.as_str());
            format!("{bought} bought for this incident, beside the rest")
        }
    };
    format!("{version}: {what} ({})", fact.who)
}

fn beside(leg: &Leg) -> Beside {
    Beside { rule: crate::matching::in_words(&leg.target), source: leg.target.source.clone(), due: leg.due }
}

impl Explanation {
    /// The stage that is explained.
    pub fn stage(&self) -> Stage {
        self.clock.stage
    }

    /// The zone of its calendar. One that was known when the terms were pinned and is not any more is UTC, and says so.
    fn time_zone(&self) -> TimeZone {
        TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC)
    }
}
