//! What a clock shows at one instant, and what must be told.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ledger::{CancelReason, DisputeOutcome};
use crate::{
    ratio::Ratio,
    words::{Manner, PauseReason, Stage},
};

/// A clock as of one instant (TERMS 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ExplainedClock))]
pub struct ClockView {
    /// Which stage.
    pub stage: Stage,
    /// Its state.
    pub state: ClockState,
    /// The instant it counts from; `None` while it waits for another stage.
    pub counted_from: Option<Timestamp>,
    /// Counted seconds so far: inside coverage, outside every pause.
    pub counted_s: u64,
    /// Counted seconds until it is due; negative seconds do not exist, `overdue_s` says how much is over.
    pub remaining_s: Option<u64>,
    /// Counted seconds past the due.
    pub overdue_s: u64,
    /// When it is due.
    pub due: DueAt,
    /// The warnings that have passed, in order.
    pub warned: Vec<Warned>,
    /// The due instant that passed unsatisfied. A fact, not a state: a breached clock runs on (F6).
    pub breached_at: Option<Timestamp>,
    /// Every due that passed unsatisfied, in order: more than one only where a stage comes again.
    pub missed: Vec<Timestamp>,
    /// The fact that satisfied it.
    pub satisfied_by: Option<Satisfaction>,
    /// The pauses that held this clock, in order.
    pub pauses: Vec<PauseView>,
    /// The manners of response that count; any, when empty.
    pub manners: Vec<Manner>,
    /// Where the target that governs is written.
    pub source: String,
    /// What of it the client disputes or has disputed (F13).
    pub disputes: Vec<Dispute>,
    /// How it stands if he is right in all that is not settled; `None` where nothing is in dispute. Everything else here
    /// is as the provider counts.
    pub if_client_is_right: Option<Box<IfClientIsRight>>,
}

/// A dispute of one fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ExplainedDispute))]
pub struct Dispute {
    /// The number of the fact that is disputed.
    pub item: u64,
    /// What that is, in words: `paused for site-access`.
    pub what: String,
    /// When that took effect.
    pub effective_at: Timestamp,
    /// Who said that.
    pub by: String,
    /// Why the client says that it is not so.
    pub why: String,
    /// Who says so.
    pub who: String,
    /// When he said it.
    pub at: Timestamp,
    /// How it ended; `None` while it is open.
    pub settled: Option<Settled>,
}

/// How a dispute ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Settled {
    /// Who was right.
    pub outcome: DisputeOutcome,
    /// When that was settled.
    pub at: Timestamp,
    /// By whom.
    pub who: String,
}

/// A clock counted the other way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct IfClientIsRight {
    /// Its state.
    pub state: ClockState,
    /// Counted seconds so far.
    pub counted_s: u64,
    /// When it is due.
    pub due: DueAt,
    /// The due that passed unsatisfied.
    pub breached_at: Option<Timestamp>,
}

/// The state of a clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum ClockState {
    /// It has not begun.
    Scheduled {
        /// When it will; `None` while that hangs on another stage.
        begins: Option<Timestamp>,
    },
    /// It runs.
    Running {
        /// Whether seconds count at this moment (F5).
        counting: Counting,
    },
    /// It stands for a reason that the terms allow.
    Paused {
        /// Since when.
        since: Timestamp,
        /// Why.
        reasons: Vec<PauseReason>,
        /// When it ends by itself at the latest.
        ends: Option<Timestamp>,
    },
    /// Satisfied in time.
    Met {
        /// When.
        at: Timestamp,
    },
    /// Satisfied after the due.
    MetLate {
        /// When.
        at: Timestamp,
    },
    /// It ended without being satisfied.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Why.
        why: CancelReason,
    },
}

/// Whether a running clock counts: outside hours is "running, not counting", shown apart from paused (F5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Counting {
    /// Inside coverage.
    Counted,
    /// Outside coverage.
    OutsideCoverage,
}

/// When a clock is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum DueAt {
    /// At this instant.
    At {
        /// The instant.
        at: Timestamp,
    },
    /// Not known while an open pause holds it (R5).
    Paused,
    /// Never: the calendar cannot reach the target (R7).
    Never,
    /// Not known before the stage that comes first.
    NotBegun,
}

impl DueAt {
    /// The instant, where there is one.
    pub fn instant(self) -> Option<Timestamp> {
        match self {
            Self::At { at } => Some(at),
            Self::Paused | Self::Never | Self::NotBegun => None,
        }
    }
}

/// A warning that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Warned {
    /// At which fraction of the target.
    pub fraction: Ratio,
    /// When that fraction had been counted.
    pub at: Timestamp,
}

/// The fact that satisfied a clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Satisfaction {
    /// Its number in the ledger.
    pub fact: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What it was, in words: `responded by phone with the plant manager (ana)`.
    pub what: String,
}

/// A pause as it held a clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PauseView {
    /// The fact that began it.
    pub fact: u64,
    /// Why.
    pub reason: PauseReason,
    /// Who said so.
    pub who: String,
    /// From when.
    pub from: Timestamp,
    /// Until when; `None` while it is open without end.
    pub to: Option<Timestamp>,
    /// Whether it ended, or will end, by itself at the longest pause (F4).
    pub ends_by_itself: bool,
}

/// Something that falls due on a clock and is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "milestone", rename_all = "kebab-case")]
pub enum Milestone {
    /// A fraction of the target is used up.
    Warning {
        /// The fraction.
        fraction: Ratio,
    },
    /// The target passed unsatisfied.
    Breach,
    /// The manufacturer is to be handed the incident: the fraction of the target that the agreement leaves us is used.
    HandOver {
        /// The fraction.
        fraction: Ratio,
    },
    /// The manufacturer's own due passed without an answer.
    ManufacturerOverdue,
}

/// A milestone that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Which.
    #[serde(flatten)]
    pub milestone: Milestone,
    /// The instant it was dated by.
    pub due_at: Timestamp,
    /// When it was noticed and told.
    pub noticed_at: Timestamp,
}

/// What the shell must make true. Applying an effect means: write it beside the clock, and tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Effect {
    /// Tell a milestone.
    Announce {
        /// Which, dated by its computed deadline, with the instant of noticing beside it.
        #[serde(flatten)]
        announced: Announced,
    },
    /// Take back by name what was told wrongly (F7).
    Withdraw {
        /// What was told.
        #[serde(flatten)]
        announced: Announced,
        /// Why it was wrong.
        because: LateFact,
    },
}

/// The late fact that moved a milestone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateFact {
    /// Its number in the ledger; `None` when the start or the terms moved and not a fact.
    pub fact: Option<u64>,
    /// In words: `responded at 2026-11-16T16:40:00Z, recorded at 2026-11-16T18:02:11Z by ana`.
    pub what: String,
}
