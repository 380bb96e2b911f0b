//! The manufacturer's own clock (TERMS 2): his promised times in his hours, from when he was handed the incident.
//!
//! It stands beside ours and satisfies none of them: what he promised us is not what we promised the client. When to hand
//! over is a milestone of our own clock, a fraction of its target.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    Announced, Clock, ClockError, Counting, DueAt, Effect, Milestone,
    ledger::{Fact, FactKind},
    leg::Leg,
    milestones::{self, leading},
    start::whole_second,
};
use crate::{
    calendar::{ByNextBusinessDay, Calendar},
    clock::in_effective_order,
    ratio::Ratio,
    terms::{PinnedManufacturer, PinnedTerms, Within},
    words::{BookName, Stage},
};

/// When our own clock says that the manufacturer is to be handed the incident.
#[derive(Debug, Clone, Copy)]
pub(super) struct HandOver {
    pub(super) after: Ratio,
    until: Option<Date>,
}

impl HandOver {
    /// It is a fraction of the resolution; of the response, where no resolution is promised.
    pub(super) fn of(terms: &PinnedTerms, stage: Stage) -> Option<Self> {
        let maker = terms.asset_terms.as_ref()?.manufacturer.as_ref()?;
        let has = |stage| terms.targets_of(stage).next().is_some();
        let counted = if has(Stage::Resolve) { Stage::Resolve } else { Stage::Respond };
        (stage == counted).then_some(Self { after: maker.hand_over_after?, until: maker.until })
    }
}

impl Clock {
    /// The instant at which to hand over, unless that was done before or his agreement has ended. Done at that very
    /// instant, it is the answer to the message, and takes it no more back than one that comes a second later.
    pub(super) fn hands_over(&self, legs: &[Leg]) -> Option<(Milestone, Timestamp)> {
        let hand_over @ HandOver { after, until } = self.hand_over?;
        let leading = leading(legs)?;
        let at = leading.hands_over_at(hand_over)?;
        let was_handed_over = |fact: &Fact| matches!(fact.kind, FactKind::HandedOver { .. }) && fact.effective_at < at;
        let zone = TimeZone::get(leading.calendar.zone_name()).unwrap_or(TimeZone::UTC);
        let has_ended = until.is_some_and(|until| zone.to_datetime(at).date() > until);
        let is_needed = !has_ended && !self.facts().iter().any(was_handed_over);
        is_needed.then_some((Milestone::HandOver { fraction: after }, at))
    }
}

/// The manufacturer's clock for one incident.
#[derive(Debug, Clone)]
pub struct ManufacturerClock {
    pinned: PinnedManufacturer,
    calendar: Calendar,
    facts: Vec<Fact>,
}

/// It as of one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManufacturerView {
    /// Who.
    pub maker: BookName,
    /// His name.
    pub name: String,
    /// How it stands.
    pub state: ManufacturerState,
    /// When he was handed it.
    pub handed_over_at: Option<Timestamp>,
    /// His number for it.
    pub reference: Option<String>,
    /// When he has promised to answer.
    pub due: DueAt,
    /// His due that passed without an answer.
    pub breached_at: Option<Timestamp>,
    /// Counted seconds of his hours so far.
    pub counted_s: u64,
    /// Where his promise is written.
    pub source: String,
}

/// How it stands with him.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum ManufacturerState {
    /// He does not have it.
    NotHandedOver,
    /// He has it and has not answered.
    Waiting {
        /// Whether it is within his hours.
        counting: Counting,
    },
    /// He answered.
    Answered {
        /// When.
        at: Timestamp,
        /// Who there.
        with_whom: Option<String>,
    },
    /// The incident was over before he answered.
    NotNeeded {
        /// Since when.
        at: Timestamp,
    },
}

impl ManufacturerState {
    /// The state's word: in the table, the API and on the page.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotHandedOver => "not-handed-over",
            Self::Waiting { .. } => "waiting",
            Self::Answered { .. } => "answered",
            Self::NotNeeded { .. } => "not-needed",
        }
    }
}

impl ManufacturerClock {
    /// The clock of the manufacturer whom the terms name; `None` where they name none, or he promises nothing.
    pub fn replay(terms: &PinnedTerms, facts: &[Fact]) -> Result<Option<Self>, ClockError> {
        let Some(pinned) = terms.manufacturer.clone() else { return Ok(None) };
        let bad = |source| ClockError::Calendar { calendar: pinned.maker.clone(), source };
        let calendar = Calendar::compile(&pinned.hours).map_err(bad)?;
        Ok(Some(Self { pinned, calendar, facts: in_effective_order(facts) }))
    }

    /// How it stands as of `now`; later facts are not looked at.
    pub fn view(&self, now: Timestamp) -> ManufacturerView {
        let known = &self.facts[..self.facts.partition_point(|fact| fact.effective_at <= now)];
        let handed = known.iter().enumerate().find_map(|(place, fact)| {
            let FactKind::HandedOver { reference, .. } = &fact.kind else { return None };
            Some((place, fact.effective_at, reference.clone()))
        });
        let PinnedManufacturer { maker, name, source, .. } = self.pinned.clone();
        let Some((place, at, reference)) = handed else {
            return ManufacturerView {
                maker,
                name,
                state: ManufacturerState::NotHandedOver,
                handed_over_at: None,
                reference: None,
                due: DueAt::NotBegun,
                breached_at: None,
                counted_s: 0,
                source,
            };
        };
        let from = whole_second(at);
        let (ended, state) = self.state(&known[place..], now);
        let due = self.due(from);
        let end = ended.unwrap_or(now);
        ManufacturerView {
            maker,
            name,
            state,
            handed_over_at: Some(at),
            reference,
            due,
            breached_at: due.instant().filter(|&due| if ended.is_some() { due < end } else { due <= now }),
            counted_s: self.calendar.elapsed_s(from, end, &[]),
            source,
        }
    }

    /// When it changes by itself next: at his due, while he is waited for.
    pub fn next_deadline(&self, after: Timestamp) -> Option<Timestamp> {
        let view = self.view(after);
        let is_waited_for = matches!(view.state, ManufacturerState::Waiting { .. });
        view.due.instant().filter(|&due| is_waited_for && due > after)
    }

    /// What must be told as of `now` of his missed due, and what must be taken back, as [`Clock::milestones_due`].
    pub fn milestones_due(&self, now: Timestamp, told: &[Announced]) -> Vec<Effect> {
        let missed = self.view(now).breached_at.map(|due| (Milestone::ManufacturerOverdue, due));
        milestones::difference(&missed.into_iter().collect(), &self.facts, now, told)
    }

    fn due(&self, from: Timestamp) -> DueAt {
        let due = match self.pinned.respond {
            Within::Covered { seconds } => self.calendar.due(from, seconds.0, &[]),
            Within::NextBusinessDay { by, received_by } => {
                self.calendar.due_by(from, ByNextBusinessDay { by, received_by }, &[])
            }
        };
        due.at().map_or(DueAt::Never, |at| DueAt::At { at })
    }

    /// When he answered, or when nothing was left to answer.
    fn state(&self, since: &[Fact], now: Timestamp) -> (Option<Timestamp>, ManufacturerState) {
        let mut over = None;
        for fact in since {
            let at = fact.effective_at;
            if let FactKind::ManufacturerAnswered { with_whom } = &fact.kind {
                return (Some(at), ManufacturerState::Answered { at, with_whom: with_whom.clone() });
            }
            if matches!(fact.kind, FactKind::Resolved | FactKind::Cancelled { .. }) {
                over = over.or(Some(at));
            } else if fact.kind == FactKind::Reopened {
                over = None;
            }
        }
        if let Some(at) = over {
            return (Some(at), ManufacturerState::NotNeeded { at });
        }
        let counting = if self.calendar.is_open(now) { Counting::Counted } else { Counting::OutsideCoverage };
        (None, ManufacturerState::Waiting { counting })
    }
}
