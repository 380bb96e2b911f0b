//! The clocks of an incident: one per stage, each a function of an append-only ledger (TERMS 5, F5-F7, F11, F12).
//!
//! [`Clock::replay`] takes the pinned terms, the instants that [`ClockStart`] knows and the facts in whatever order
//! they came, and is the same clock whenever the same facts are given. Nothing is stored in it that is not in the
//! ledger: a late fact is placed at its effective time by replaying. What must be told is found by
//! [`Clock::milestones_due`], which compares what fell due with what was told, and takes back by name what a late fact
//! made untrue. It never reads a time of its own, and it fails only where a pinned calendar does not compile.
//!
//! ```text
//! scheduled ──▶ running ◀──▶ paused
//!                  │ satisfied: met, met late      ◀── reopened: runs on
//!                  └ ended without: cancelled      ◀── reopened: runs on
//! ```
//! A breach is not a state: it is a fact beside it, dated by the due (F6).

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    amendment::AmendMode,
    calendar::{Calendar, CalendarDef, CalendarError},
    terms::{PinnedTerms, Target},
    words::{BookName, Stage},
};

mod admit;
mod dispute;
mod eras;
mod ledger;
mod leg;
mod look;
mod manufacturer;
mod milestones;
mod rounds;
mod start;
mod view;

pub use admit::{FactRefused, admit};
pub use dispute::{Cause, cause, disputes, facts_if_client_is_right};
pub use eras::current_terms;
pub use ledger::{CancelReason, DisputeOutcome, Fact, FactKind, TermsChange};
pub use manufacturer::{ManufacturerClock, ManufacturerState, ManufacturerView};
pub use start::ClockStart;
pub use view::{
    Announced, ClockState, ClockView, Counting, Dispute, DueAt, Effect, IfClientIsRight, LateFact, Milestone,
    PauseView, Satisfaction, Settled, Warned,
};

use eras::{Amendment, How};
use manufacturer::HandOver;

pub(crate) use eras::{Era, Origin, eras};
pub(crate) use leg::{Leg, Link, StandsFor, StopWhy};
pub(crate) use look::governing;
pub(crate) use start::whole_second;

/// The clock of one stage.
#[derive(Debug, Clone)]
pub struct Clock {
    stage: Stage,
    start: ClockStart,
    /// In effective order, each once.
    facts: Vec<Fact>,
    /// The targets of the stage and, where one of them waits for it, of the stage before.
    promised: Vec<Promised>,
    /// What takes effect while the incident is open, ascending.
    amendments: Vec<Amendment>,
    /// The fraction of the target after which the manufacturer is handed the incident, and the last day on which he
    /// takes it.
    hand_over: Option<HandOver>,
}

/// A target with its compiled calendar.
#[derive(Debug, Clone)]
pub(crate) struct Promised {
    pub(crate) target: Target,
    pub(crate) calendar: Calendar,
    /// Which terms promise it.
    pub(crate) origin: Origin,
}

/// Why there is no clock.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// Nothing is promised for the stage.
    #[error("the pinned terms promise nothing for `{stage}`")]
    NothingPromised {
        /// The stage.
        stage: Stage,
    },
    /// The terms name a calendar that they do not hold.
    #[error("the pinned terms hold no calendar `{calendar}`, which a target names: they are damaged")]
    NoCalendar {
        /// The calendar.
        calendar: BookName,
    },
    /// A pinned calendar does not compile.
    #[error("the pinned calendar `{calendar}` cannot be used")]
    Calendar {
        /// The calendar.
        calendar: BookName,
        /// Why not.
        source: CalendarError,
    },
}

impl Clock {
    /// The clock of one stage.
    pub fn replay(terms: &PinnedTerms, stage: Stage, start: &ClockStart, facts: &[Fact]) -> Result<Self, ClockError> {
        let mut calendars = Calendars::default();
        Self::with_calendars(terms, stage, start, &in_effective_order(facts), &mut calendars)
    }

    /// The clocks of all stages for which something is promised, or will be by an amendment, or was by a change.
    pub fn replay_all(terms: &PinnedTerms, start: &ClockStart, facts: &[Fact]) -> Result<Vec<Self>, ClockError> {
        Self::replay_all_with(terms, start, facts, &mut Calendars::default())
    }

    /// The same with calendars that were compiled before.
    pub fn replay_all_with(
        terms: &PinnedTerms,
        start: &ClockStart,
        facts: &[Fact],
        calendars: &mut Calendars,
    ) -> Result<Vec<Self>, ClockError> {
        let facts = in_effective_order(facts);
        let eras = eras(terms, &facts);
        let versions = || std::iter::once(terms).chain(eras.iter().map(|era| era.terms));
        let is_promised = |stage: &Stage| versions().any(|terms| terms.targets_of(*stage).next().is_some());
        let stages = Stage::ALL.iter().copied().filter(is_promised);
        stages.map(|stage| Self::with_calendars(terms, stage, start, &facts, calendars)).collect()
    }

    /// `facts` in effective order.
    fn with_calendars(
        terms: &PinnedTerms,
        stage: Stage,
        start: &ClockStart,
        facts: &[Fact],
        calendars: &mut Calendars,
    ) -> Result<Self, ClockError> {
        let eras = eras(terms, facts);
        let versions = || std::iter::once(terms).chain(eras.iter().map(|era| era.terms));
        let first = versions().flat_map(|terms| terms.targets_of(stage)).find_map(|target| target.after);
        let first = first.map(|after| after.stage);
        let mut promised_by = |terms: &PinnedTerms, origin: Origin| -> Result<Vec<Promised>, ClockError> {
            let needed = terms.targets.iter().filter(|target| target.stage == stage || Some(target.stage) == first);
            let with_calendar = needed.map(|target| {
                let calendar = calendars.compiled(terms, &target.calendar)?;
                Ok(Promised { target: target.clone(), calendar, origin })
            });
            with_calendar.collect()
        };
        let promised = promised_by(terms, Origin::Opening)?;
        let amendments = eras
            .iter()
            .map(|Era { at, how, origin, terms }| {
                Ok(Amendment { at: *at, how: *how, promised: promised_by(terms, *origin)? })
            })
            .collect::<Result<Vec<_>, ClockError>>()?;
        let all = promised.iter().chain(amendments.iter().flat_map(|amendment| &amendment.promised));
        if !all.into_iter().any(|promised| promised.target.stage == stage) {
            return Err(ClockError::NothingPromised { stage });
        }
        let hand_over = HandOver::of(terms, stage);
        Ok(Self { stage, start: start.clone(), facts: facts.to_vec(), promised, amendments, hand_over })
    }

    /// Which stage it is the clock of.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The clock as of `now`: facts that took effect later are not looked at, so that the past can be asked.
    pub fn view(&self, now: Timestamp) -> ClockView {
        let known = self.known(Some(now));
        let legs = self.legs_under(&dispute::settled(&known), now);
        let view = look::view(self.stage, &legs, now);
        let disputes = dispute::of_clock(&known, &legs);
        let if_client_is_right = dispute::as_client_says(&known, &disputes).map(|facts| {
            let view = look::view(self.stage, &self.legs_under(&facts, now), now);
            let ClockView { state, counted_s, due, breached_at, .. } = view;
            Box::new(IfClientIsRight { state, counted_s, due, breached_at })
        });
        ClockView { disputes, if_client_is_right, ..view }
    }

    /// When the calendar of the target that governs opens next after `now`; `None` when it never does.
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        governing(&self.legs(Some(now), now))?.calendar.next_opening(now)
    }

    /// The earliest instant after `after` at which something changes by itself: it begins, a warning or the due
    /// passes, a pause ends at its longest, an amendment takes effect. `None` when nothing will.
    pub fn next_deadline(&self, after: Timestamp) -> Option<Timestamp> {
        let legs = self.legs(None, after);
        let runs_until = |at| legs.iter().any(|leg| leg.ended().is_none_or(|stop| stop.from > at));
        let amendments = self.amendments.iter().map(|amendment| amendment.at).filter(|&at| at > after);
        let amended = amendments.filter(|&at| runs_until(at)).min();
        [milestones::next_deadline(self, &legs, after), amended].into_iter().flatten().min()
    }

    /// What must be told as of `now`, and what must be taken back, given what has been told and not taken back.
    /// Idempotent: once the effects are applied, nothing is left. What is disputed is told as the provider counts it.
    pub fn milestones_due(&self, now: Timestamp, told: &[Announced]) -> Vec<Effect> {
        milestones::due(self, &self.legs(None, now), now, told)
    }

    /// Each target of the stage folded over the facts up to `until`, under the terms in effect at `as_of`.
    pub(crate) fn legs(&self, until: Option<Timestamp>, as_of: Timestamp) -> Vec<Leg> {
        self.legs_under(&dispute::settled(&self.known(until)), as_of)
    }

    fn known(&self, until: Option<Timestamp>) -> Vec<&Fact> {
        let known = self.facts.partition_point(|fact| until.is_none_or(|until| fact.effective_at <= until));
        self.facts[..known].iter().collect()
    }

    fn legs_under(&self, facts: &[&Fact], as_of: Timestamp) -> Vec<Leg> {
        let legs = match self.stage {
            Stage::Update => rounds::updates(self, facts, as_of),
            Stage::VisitReport => rounds::visit_reports(self, facts, as_of),
            Stage::RestoreTest => rounds::restore_tests(self, facts, as_of),
            Stage::Acknowledge | Stage::Respond | Stage::OnSite | Stage::Workaround | Stage::Resolve => {
                self.legs_of(self.stage, None, facts, as_of)
            }
        };
        if legs.is_empty() { self.promised_later(facts) } else { legs }
    }

    /// The legs of a stage that begin as its targets say, or at `from` under the terms that are in force then.
    fn legs_of(&self, stage: Stage, from: Option<Timestamp>, facts: &[&Fact], as_of: Timestamp) -> Vec<Leg> {
        let in_force = self.in_force(stage, from).into_iter();
        let begun =
            in_force.map(|promised| Leg::fold(promised, from.or_else(|| self.begins(promised, facts, as_of)), facts));
        let later = |amendment: &&Amendment| from.is_none_or(|from| amendment.at > from) && amendment.at <= as_of;
        let met = self.amendments.iter().filter(later);
        met.fold(begun.collect(), |legs, amendment| self.amended(stage, legs, amendment, facts, as_of))
    }

    /// What is promised for a stage at an instant; without one, by the terms that the incident was opened under.
    fn in_force(&self, stage: Stage, at: Option<Timestamp>) -> Vec<&Promised> {
        let mut in_force: Vec<&Promised> =
            self.promised.iter().filter(|promised| promised.target.stage == stage).collect();
        for amendment in self.amendments.iter().take_while(|amendment| Some(amendment.at) <= at) {
            let own: Vec<&Promised> = amendment.own(stage).collect();
            match amendment.how {
                How::Instead(AmendMode::Pin) => {}
                How::Instead(
                    AmendMode::CarryElapsed
                    | AmendMode::Prorate
                    | AmendMode::RestartFromChange
                    | AmendMode::RestartFromStart,
                ) => {
                    if !own.is_empty() {
                        in_force = own;
                    }
                }
                How::Beside => {
                    let known = |new: &Promised| in_force.iter().any(|old| old.target.source == new.target.source);
                    let new: Vec<&Promised> = own.into_iter().filter(|new| !known(new)).collect();
                    in_force.extend(new);
                }
            }
        }
        in_force
    }

    /// When a target begins to count.
    fn begins(&self, promised: &Promised, facts: &[&Fact], as_of: Timestamp) -> Option<Timestamp> {
        match promised.target.after {
            None => Some(self.start.counted_from(promised.target.measured_from)),
            // A target that waits for its own stage never begins; `book check` refuses it.
            Some(after) if after.stage == promised.target.stage => None,
            Some(after) => leg::begins_after(&self.legs_of(after.stage, None, facts, as_of), after, promised, facts),
        }
    }

    /// The legs under an amendment (F2) or a change (F3). It does not touch a stage that has ended, nor, where it carries
    /// over, one whose time had run out before; a stage for which it promises nothing keeps its terms.
    fn amended(
        &self,
        stage: Stage,
        legs: Vec<Leg>,
        amendment: &Amendment,
        facts: &[&Fact],
        as_of: Timestamp,
    ) -> Vec<Leg> {
        let at = amendment.at;
        let has_ended = |leg: &Leg| leg.ended().is_some_and(|stop| stop.from <= at);
        if amendment.own(stage).next().is_none() || (!legs.is_empty() && legs.iter().all(has_ended)) {
            return legs;
        }
        let begins = |promised: &Promised| self.begins(promised, facts, as_of);
        // What is promised for the first time counts from the change on, or from what it waits for.
        let newly = |promised: &Promised| begins(promised).map(|begins| begins.max(whole_second(at)));
        let past = leg::Past::of(&legs, at, self.hand_over);
        let mode = match amendment.how {
            How::Beside => {
                let is_new = |new: &&Promised| !legs.iter().any(|leg| leg.target.source == new.target.source);
                let new =
                    amendment.own(stage).filter(is_new).map(|promised| Leg::fold(promised, newly(promised), facts));
                let new: Vec<Leg> = new.filter(|leg| !has_ended(leg)).map(|leg| leg.with_past(past.clone())).collect();
                return legs.into_iter().chain(new).collect();
            }
            How::Instead(mode) => mode,
        };
        let has_run_out = governing(&legs).and_then(|leg| leg.due.instant()).is_some_and(|due| due < at);
        let is_untouched = match mode {
            AmendMode::Pin => true,
            AmendMode::CarryElapsed | AmendMode::Prorate => has_run_out,
            // A period that was missed is over: the next one begins under the terms in force then.
            AmendMode::RestartFromChange | AmendMode::RestartFromStart => has_run_out && stage == Stage::Update,
        };
        if is_untouched {
            return legs;
        }
        let amend = |promised: &Promised| {
            // What stands at the same place of the book goes on; what is new goes on from the target that governed.
            let same = legs.iter().find(|leg| leg.target.source == promised.target.source);
            match same.or(governing(&legs)) {
                Some(leg) if leg.start().is_some_and(|start| start <= at) => {
                    leg.amended(promised, (at, mode), past.clone(), facts)
                }
                Some(_) => Leg::fold(promised, begins(promised), facts).with_past(past.clone()),
                None if mode == AmendMode::RestartFromStart => {
                    let from_start = Leg::fold(promised, begins(promised), facts);
                    from_start.amended(promised, (at, mode), past.clone(), facts)
                }
                None => Leg::fold(promised, newly(promised), facts),
            }
        };
        let was_promised = !legs.is_empty();
        amendment.own(stage).map(amend).filter(|leg| was_promised || !has_ended(leg)).collect()
    }

    /// A stage for which nothing is promised yet: it will be, unless the incident has ended by then.
    fn promised_later(&self, facts: &[&Fact]) -> Vec<Leg> {
        let first =
            self.amendments.iter().find_map(|amendment| Some((amendment.at, amendment.own(self.stage).next()?)));
        first.map(|(at, promised)| Leg::fold(promised, Some(at), facts).without_promise()).into_iter().collect()
    }

    pub(crate) fn start(&self) -> &ClockStart {
        &self.start
    }

    pub(crate) fn facts(&self) -> &[Fact] {
        &self.facts
    }
}

/// Calendars compiled for earlier clocks: who replays many keeps one.
#[derive(Debug, Default)]
pub struct Calendars(BTreeMap<CalendarDef, Calendar>);

impl Calendars {
    fn compiled(&mut self, terms: &PinnedTerms, name: &BookName) -> Result<Calendar, ClockError> {
        let def = terms.calendars.get(name).ok_or_else(|| ClockError::NoCalendar { calendar: name.clone() })?;
        if let Some(calendar) = self.0.get(def) {
            return Ok(calendar.clone());
        }
        let bad = |source| ClockError::Calendar { calendar: name.clone(), source };
        let calendar = Calendar::compile(def).map_err(bad)?;
        self.0.insert(def.clone(), calendar.clone());
        Ok(calendar)
    }
}

/// The facts by when they took effect, then by when they were written down, then by their number; each number once.
fn in_effective_order(facts: &[Fact]) -> Vec<Fact> {
    let mut by_number: BTreeMap<u64, &Fact> = BTreeMap::new();
    for fact in facts {
        by_number.entry(fact.number).or_insert(fact);
    }
    let mut ordered: Vec<Fact> = by_number.into_values().cloned().collect();
    ordered.sort_by_key(|fact| (fact.effective_at, fact.recorded_at, fact.number));
    ordered
}
