//! How each promise of an incident came out: in time, late, missed, open, not needed (TERMS 5, F6).
//!
//! An outcome is read off the same clocks that the portal shows (F9). It asks no time but the one it is given.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{self, Calendars, Clock, ClockError, ClockStart, ClockState, DueAt, Fact, FactKind},
    terms::PinnedTerms,
    words::Stage,
};

/// How a target came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Satisfied by its due.
    InTime,
    /// Satisfied after it.
    Late,
    /// Its due passed, and nothing has satisfied it.
    Missed,
    /// It runs, and its due has not passed.
    Open,
    /// It ended without being needed, before it was due.
    NotNeeded,
}

impl Kept {
    /// Every way, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::InTime, Self::Late, Self::Missed, Self::Open, Self::NotNeeded];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::InTime => "in time",
            Self::Late => "late",
            Self::Missed => "missed",
            Self::Open => "open",
            Self::NotNeeded => "not needed",
        }
    }
}

/// One stage of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which.
    pub stage: Stage,
    /// Which of those that were missed, from 1, where the stage comes again; the last is also how it stands.
    pub round: u32,
    /// How it came out.
    pub kept: Kept,
    /// When it was due; of one that was missed the due that passed.
    pub due: DueAt,
    /// The due that passed unsatisfied.
    pub breached_at: Option<Timestamp>,
    /// When it was decided: the breach by its due (F6), else the satisfaction or the end; `None` while it is open. It
    /// is what puts the target into exactly one period.
    pub decided_at: Option<Timestamp>,
}

/// The outcomes of an incident's stages as of an instant: each missed due is one of its own.
pub fn outcomes(
    terms: &PinnedTerms,
    start: &ClockStart,
    facts: &[Fact],
    calendars: &mut Calendars,
    as_of: Timestamp,
) -> Result<Vec<Outcome>, ClockError> {
    let clocks = Clock::replay_all_with(terms, start, facts, calendars)?;
    Ok(clocks.iter().flat_map(|clock| of_clock(clock, as_of)).collect())
}

/// The facts as the client sees them: without those that he disputes and that are not settled (F13). `None` while
/// nothing is disputed.
pub fn if_disputes_hold(facts: &[Fact]) -> Option<Vec<Fact>> {
    clock::facts_if_client_is_right(facts)
}

/// The numbers of the facts that are in dispute.
pub fn in_dispute(facts: &[Fact]) -> BTreeSet<u64> {
    let mut disputed = BTreeSet::new();
    for fact in facts {
        if let FactKind::Disputed { item, .. } = &fact.kind {
            disputed.insert(*item);
        }
    }
    for fact in facts {
        if let FactKind::DisputeSettled { item, .. } = &fact.kind {
            disputed.remove(item);
        }
    }
    disputed
}

/// One outcome for each of the clock's rounds that was missed, and one for the round that came last. A stage that comes
/// again ("update every…") can be missed several times.
fn of_clock(clock: &Clock, as_of: Timestamp) -> Vec<Outcome> {
    let view = clock.view(as_of);
    let (last_missed, earlier) =
        view.missed.split_last().map_or((None, &[][..]), |(last, earlier)| (Some(*last), earlier));
    let (kept, ended_at) = match (&view.state, last_missed) {
        (ClockState::Met { at }, _) => (Kept::InTime, Some(*at)),
        (ClockState::MetLate { at }, _) => (Kept::Late, Some(*at)),
        (ClockState::Cancelled { at, .. }, None) => (Kept::NotNeeded, Some(*at)),
        (ClockState::Scheduled { .. } | ClockState::Running { .. } | ClockState::Paused { .. }, None) => {
            (Kept::Open, None)
        }
        (
            ClockState::Scheduled { .. }
            | ClockState::Running { .. }
            | ClockState::Paused { .. }
            | ClockState::Cancelled { .. },
            Some(_),
        ) => (Kept::Missed, None),
    };
    let stage = clock.stage();
    let missed = earlier.iter().zip(1..).map(|(&at, round)| Outcome {
        stage,
        round,
        kept: Kept::Missed,
        due: DueAt::At { at },
        breached_at: Some(at),
        decided_at: Some(at),
    });
    let mut all: Vec<Outcome> = missed.collect();
    all.push(Outcome {
        stage,
        round: u32::try_from(all.len()).unwrap_or(u32::MAX).saturating_add(1),
        kept,
        due: last_missed.map_or(view.due, |at| DueAt::At { at }),
        breached_at: last_missed,
        decided_at: last_missed.or(ended_at),
    });
    all
}
