//! One target folded over the ledger: when it began, what held it, when it is due, what ended it.

use jiff::{SignedDuration, Timestamp};

use super::{
    Promised,
    eras::Origin,
    ledger::{CancelReason, Fact, FactKind},
    manufacturer::HandOver,
    start::whole_second,
    view::{DueAt, PauseView, Satisfaction},
};
use crate::{
    amendment::{AmendMode, Change, Course, Stretch, Term, course, seconds},
    calendar::{ByNextBusinessDay, Calendar, Due, Fraction, Pause},
    ratio::Ratio,
    terms::{After, Target, Within},
    words::{Manner, SatisfiedBy, Stage},
};

/// One target of a clock, under the terms that hold and those that held before an amendment.
#[derive(Debug, Clone)]
pub(crate) struct Leg {
    pub(crate) target: Target,
    pub(crate) calendar: Calendar,
    /// The instant it counts from.
    pub(crate) begins: Option<Timestamp>,
    /// The pauses that hold it.
    pub(crate) pauses: Vec<PauseView>,
    /// The stretches in which it was satisfied or cancelled; all but the last have ended.
    pub(crate) stops: Vec<Stop>,
    /// When it is due.
    pub(crate) due: DueAt,
    /// The instant it began to count from under its first terms.
    start: Option<Timestamp>,
    /// Its terms, in the order in which they took effect; the last hold.
    links: Vec<Link>,
    /// Which of them count when; none while it has not begun.
    stretches: Vec<Stretch>,
    /// What of the target is used when the last stretch begins.
    used: SignedDuration,
    past: Past,
}

/// A target under one version.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) promised: Promised,
    pauses: Vec<PauseView>,
    stops: Vec<Stop>,
    /// When and how it took over; `None` for the terms at the start.
    change: Option<(Timestamp, AmendMode)>,
}

/// What fell due on the stage before an amendment. It stays: loosening takes nothing back (F3).
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    warnings: Vec<(Ratio, Timestamp)>,
    breached_at: Option<Timestamp>,
    handed_over_at: Option<Timestamp>,
    /// The rounds before, of a stage that comes again.
    rounds: Rounds,
}

/// The rounds of a stage that are over: "update every…".
#[derive(Debug, Clone, Default)]
pub(crate) struct Rounds {
    /// The warnings that passed in them.
    pub(super) warnings: Vec<(Ratio, Timestamp)>,
    /// The dues of those that were missed.
    pub(super) missed: Vec<Timestamp>,
}

/// A stretch in which a target had ended; without `to` it still has.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) from: Timestamp,
    pub(crate) to: Option<Timestamp>,
    pub(crate) why: StopWhy,
}

#[derive(Debug, Clone)]
pub(crate) enum StopWhy {
    Satisfied(Satisfaction),
    Cancelled(CancelReason),
}

/// What one of the stretches given to the calendar stands for, by its index there.
#[derive(Debug, Clone)]
pub(crate) enum StandsFor<'a> {
    Pause(&'a PauseView),
    Stop(&'a Stop),
}

impl Leg {
    pub(crate) fn fold(promised: &Promised, begins: Option<Timestamp>, facts: &[&Fact]) -> Self {
        Self::settle(vec![Link::new(promised, None, facts)], begins, Past::default())
    }

    /// The same clock under the terms of an amendment.
    pub(super) fn amended(
        &self,
        promised: &Promised,
        change: (Timestamp, AmendMode),
        past: Past,
        facts: &[&Fact],
    ) -> Self {
        let link = Link::new(promised, Some(change), facts);
        Self::settle(self.links.iter().cloned().chain([link]).collect(), self.start, past)
    }

    /// A target that had not begun when an amendment took effect begins under the new terms.
    pub(super) fn with_past(self, past: Past) -> Self {
        Self { past, ..self }
    }

    /// One round of several.
    pub(super) fn after_rounds(self, rounds: Rounds) -> Self {
        Self { past: Past { rounds, ..self.past }, ..self }
    }

    /// The rounds before this one.
    pub(super) fn rounds(&self) -> &Rounds {
        &self.past.rounds
    }

    /// A target that nothing promises yet: whatever ended the incident, it has kept nothing.
    pub(super) fn without_promise(mut self) -> Self {
        for stop in &mut self.stops {
            stop.why = StopWhy::Cancelled(CancelReason::Resolved);
        }
        self
    }

    /// The same, with nothing left to do from an instant on.
    pub(super) fn not_needed_from(mut self, from: Timestamp) -> Self {
        if self.ended().is_none() {
            self.stops.push(Stop { from, to: None, why: StopWhy::Cancelled(CancelReason::Resolved) });
        }
        self
    }

    fn settle(links: Vec<Link>, start: Option<Timestamp>, past: Past) -> Self {
        // Both callers give at least one.
        let last = links.last().expect("a leg has terms");
        let mut leg = Self {
            target: last.promised.target.clone(),
            calendar: last.promised.calendar.clone(),
            begins: start,
            pauses: pauses_of(&links),
            stops: last.stops.clone(),
            due: DueAt::NotBegun,
            start,
            links: Vec::new(),
            stretches: Vec::new(),
            used: SignedDuration::ZERO,
            past,
        };
        if let Some(start) = start {
            let course = course_of(&links, start);
            leg.begins = course.stretches.first().map(|first| first.from);
            leg.due = match course.due {
                Due::At(at) => DueAt::At { at: leg.past_a_stop(at) },
                Due::Paused => DueAt::Paused,
                Due::Never => DueAt::Never,
            };
            (leg.stretches, leg.used) = (course.stretches, course.used);
        }
        leg.links = links;
        leg
    }

    /// The instant it began to count from under its first terms.
    pub(super) fn start(&self) -> Option<Timestamp> {
        self.start
    }

    /// Which terms count at last.
    pub(crate) fn origin(&self) -> Origin {
        let last = self.stretches.last().map_or(self.links.len().saturating_sub(1), |last| last.term);
        self.links.get(last).map_or(Origin::Opening, |link| link.promised.origin)
    }

    /// The terms that hold, and those before an amendment, each with the time in which they count within `[from, to)`.
    pub(crate) fn counting(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = (&Link, Timestamp, Timestamp)> {
        let within = move |stretch: &Stretch| (stretch.from.max(from), stretch.to.map_or(to, |end| end.min(to)));
        let counted = self.stretches.iter().map(move |stretch| (&self.links[stretch.term], within(stretch)));
        counted.filter(|(_, (from, to))| from < to).map(|(link, (from, to))| (link, from, to))
    }

    /// The stop that holds at the end of what is known.
    pub(crate) fn ended(&self) -> Option<&Stop> {
        self.stops.last().filter(|stop| stop.to.is_none())
    }

    /// The due that passed unsatisfied, under whatever terms.
    pub(crate) fn breached_at(&self) -> Option<Timestamp> {
        let own = self.due.instant().filter(|&due| self.runs_at(due));
        [self.past.breached_at, own].into_iter().flatten().min()
    }

    /// The fractions at which to warn, each with the instant at which it is used, where it is reached unsatisfied. One
    /// that an amendment makes pass is passed when the amendment takes effect.
    pub(crate) fn warnings(&self) -> Vec<(Ratio, Timestamp)> {
        let mut found = self.past.warnings.clone();
        let untold = |fraction: &&Ratio| !self.past.warnings.iter().any(|(told, _)| told == *fraction);
        let untold = self.target.warn_at.iter().filter(untold);
        found.extend(untold.filter_map(|&fraction| Some((fraction, self.used_at(fraction)?))));
        found
    }

    /// The instant at which that fraction of the target is used, if it is reached unsatisfied.
    pub(super) fn used_at(&self, fraction: Ratio) -> Option<Timestamp> {
        let last = self.stretches.last()?;
        let link = &self.links[last.term];
        let part = Fraction::ppm(u32::try_from(fraction.of(1_000_000)).unwrap_or(u32::MAX));
        let at = self.warning(part, last, &link.held().0).at()?;
        let at = self.past_a_stop(link.change.map_or(at, |(changed, _)| at.max(changed)));
        self.runs_at(at).then_some(at)
    }

    /// The instant at which the manufacturer is to be handed the incident, under whatever terms.
    pub(super) fn hands_over_at(&self, hand_over: HandOver) -> Option<Timestamp> {
        self.past.handed_over_at.or_else(|| self.used_at(hand_over.after))
    }

    fn warning(&self, part: Fraction, last: &Stretch, held: &[Pause]) -> Due {
        match (self.target.within, self.links[last.term].change, self.due.instant()) {
            (Within::Covered { seconds: target }, _, _) => {
                let left = seconds(part.of_s(target.0)).saturating_sub(self.used).max(SignedDuration::ZERO);
                self.calendar.due_exact(last.from, left, held)
            }
            (Within::NextBusinessDay { by, received_by }, None, _) => {
                self.calendar.warning_by(last.from, ByNextBusinessDay { by, received_by }, part, held)
            }
            // Amended: fractions are of everything that counts up to the due (R9).
            (Within::NextBusinessDay { .. }, Some(_), Some(due)) => {
                let left = part.of_s(self.counted_s(due)).saturating_sub(self.counted_s(last.from));
                self.calendar.due(last.from, left, held)
            }
            (Within::NextBusinessDay { .. }, Some(_), None) => Due::Never,
        }
    }

    /// Counted seconds from the beginning to `end`.
    pub(crate) fn counted_s(&self, end: Timestamp) -> u64 {
        self.begins.map_or(0, |begins| self.counted_between_s(begins, end))
    }

    /// Counted seconds from one instant to another.
    pub(crate) fn counted_between_s(&self, from: Timestamp, to: Timestamp) -> u64 {
        let counted = self.counting(from, to).map(|(link, from, to)| {
            let held = link.held().0;
            link.promised.calendar.elapsed_exact(from, to, &held)
        });
        counted.sum::<SignedDuration>().as_secs().unsigned_abs()
    }

    /// The counted seconds that are promised; for a wall time and after an amendment those up to the due, and `None`
    /// while that is not known.
    pub(crate) fn promised_s(&self) -> Option<u64> {
        match self.target.within {
            Within::Covered { seconds } if self.links.len() == 1 => Some(seconds.0),
            Within::Covered { .. } | Within::NextBusinessDay { .. } => {
                self.due.instant().map(|due| self.counted_s(due))
            }
        }
    }

    /// A deadline that falls on the very instant at which the target ended, before it was reopened, passes when it was
    /// reopened: until then the promise was kept.
    fn past_a_stop(&self, at: Timestamp) -> Timestamp {
        let covering = self.stops.iter().find(|stop| stop.from <= at && stop.to.is_some_and(|to| at < to));
        covering.and_then(|stop| stop.to).unwrap_or(at)
    }

    /// Whether the target had not ended at an instant. Satisfied at the very due is in time.
    fn runs_at(&self, at: Timestamp) -> bool {
        !self.stops.iter().any(|stop| stop.from <= at && stop.to.is_none_or(|to| at < to))
    }
}

impl Link {
    fn new(promised: &Promised, change: Option<(Timestamp, AmendMode)>, facts: &[&Fact]) -> Self {
        let stops = stops(&promised.target, facts);
        let ended = stops.last().filter(|stop| stop.to.is_none()).map(|stop| stop.from);
        let pauses = pauses(&promised.target, facts, ended);
        Self { promised: promised.clone(), pauses, stops, change }
    }

    /// The stretches that do not count, for the calendar, and what each of them stands for.
    pub(crate) fn held(&self) -> (Vec<Pause>, Vec<StandsFor<'_>>) {
        let pauses = self.pauses.iter().map(|view| (Pause { from: view.from, to: view.to }, StandsFor::Pause(view)));
        // The last stop is not among them while it is open: the due stays what it was when the target ended.
        let stops = self.stops.iter().filter(|stop| stop.to.is_some());
        let stops = stops.map(|stop| (Pause { from: stop.from, to: stop.to }, StandsFor::Stop(stop)));
        pauses.chain(stops).unzip()
    }
}

impl Past {
    /// What had fallen due before an amendment took effect.
    pub(super) fn of(legs: &[Leg], at: Timestamp, hand_over: Option<HandOver>) -> Self {
        let handed_over_at = hand_over.and_then(|hand_over| super::milestones::leading(legs)?.hands_over_at(hand_over));
        let warnings = super::milestones::leading(legs).map(Leg::warnings).unwrap_or_default();
        Self {
            warnings: warnings.into_iter().filter(|(_, warned)| *warned < at).collect(),
            breached_at: legs.iter().filter_map(Leg::breached_at).filter(|&breached| breached < at).min(),
            handed_over_at: handed_over_at.filter(|&handed| handed < at),
            rounds: Rounds::default(),
        }
    }
}

fn course_of(links: &[Link], start: Timestamp) -> Course {
    let held: Vec<Vec<Pause>> = links.iter().map(|link| link.held().0).collect();
    let terms: Vec<Term<'_>> = links
        .iter()
        .zip(&held)
        .map(|(link, held)| Term { calendar: &link.promised.calendar, within: link.promised.target.within, held })
        .collect();
    let changes: Vec<Change<'_>> = links
        .iter()
        .zip(&terms)
        .filter_map(|(link, term)| {
            let (at, mode) = link.change?;
            Some(Change { at, mode, term: term.clone(), grace_s: link.promised.target.grace_s })
        })
        .collect();
    course(start, &terms[0], &changes)
}

/// The pauses under each version while it held, the newer version's word on one that goes on.
fn pauses_of(links: &[Link]) -> Vec<PauseView> {
    let mut found: Vec<PauseView> = Vec::new();
    for link in links {
        let from = link.change.map(|(at, _)| at);
        found.retain(|pause| from.is_none_or(|from| pause.to.is_some_and(|to| to <= from)));
        found.extend(
            link.pauses.iter().filter(|pause| from.is_none_or(|from| pause.to.is_none_or(|to| to > from))).cloned(),
        );
    }
    found
}

/// When a target begins that waits for another stage: so long after the response, or after the response was due,
/// whichever came first. Not to answer buys no time.
pub(crate) fn begins_after(first: &[Leg], after: After, promised: &Promised, facts: &[&Fact]) -> Option<Timestamp> {
    let answered = first.iter().filter_map(|leg| match leg.ended()?.why {
        StopWhy::Satisfied(ref satisfaction) => Some(satisfaction.at),
        StopWhy::Cancelled(_) => None,
    });
    let due = first.iter().filter_map(|leg| leg.due.instant());
    let from = whole_second(answered.chain(due).min()?);
    let held: Vec<Pause> = pauses(&promised.target, facts, None)
        .into_iter()
        .map(|pause| Pause { from: pause.from, to: pause.to })
        .collect();
    promised.calendar.due(from, after.unresolved_for.0, &held).at()
}

/// Which facts end a target, and which let it run on.
fn stops(target: &Target, facts: &[&Fact]) -> Vec<Stop> {
    let mut stops: Vec<Stop> = Vec::new();
    let mut can_reopen = false;
    for fact in facts {
        let running = stops.last().is_none_or(|stop| stop.to.is_some());
        let end = match &fact.kind {
            FactKind::Reopened => {
                if !running && can_reopen {
                    stops.iter_mut().rev().take(1).for_each(|stop| stop.to = Some(fact.effective_at));
                }
                None
            }
            FactKind::Opened
            | FactKind::Paused { .. }
            | FactKind::Resumed
            | FactKind::TermsChanged { .. }
            | FactKind::Disputed { .. }
            | FactKind::DisputeSettled { .. }
            | FactKind::CauseSet { .. }
            | FactKind::HandedOver { .. }
            | FactKind::ManufacturerAnswered { .. }
            | FactKind::Worked { .. } => None,
            FactKind::Acknowledged
            | FactKind::Responded { .. }
            | FactKind::WorkedAround
            | FactKind::Restored
            | FactKind::Resolved
            | FactKind::Updated { .. }
            | FactKind::VisitReported
            | FactKind::RestoreTested
            | FactKind::Cancelled { .. } => end_by(target, fact),
        };
        if let (true, Some((why, reopens))) = (running, end) {
            can_reopen = reopens;
            stops.push(Stop { from: fact.effective_at, to: None, why });
        }
    }
    stops
}

/// How a fact ends a target, and whether reopening lets it run on.
fn end_by(target: &Target, fact: &Fact) -> Option<(StopWhy, bool)> {
    if let FactKind::Cancelled { why } = fact.kind {
        return Some((StopWhy::Cancelled(why), true));
    }
    let is_end_of_fault = matches!(fact.kind, FactKind::Restored | FactKind::Resolved);
    if satisfies(target, &fact.kind) {
        return Some((StopWhy::Satisfied(satisfaction(fact)), is_end_of_fault));
    }
    // What waits for the response to fail is not needed once the service is back. What comes after the end does.
    let comes_after = matches!(target.stage, Stage::VisitReport | Stage::RestoreTest);
    let nothing_left = !comes_after
        && (fact.kind == FactKind::Resolved || (fact.kind == FactKind::Restored && target.after.is_some()));
    nothing_left.then_some((StopWhy::Cancelled(CancelReason::Resolved), true))
}

/// F12: acknowledging satisfies `acknowledge` only, unless the agreement says otherwise; a response must be in a manner
/// that the target accepts; who answered has taken it.
fn satisfies(target: &Target, kind: &FactKind) -> bool {
    match (target.stage, kind) {
        (Stage::Acknowledge, FactKind::Acknowledged | FactKind::Responded { .. }) => true,
        (Stage::Respond, FactKind::Responded { manner, .. }) => target.accepts(*manner),
        (Stage::Respond, FactKind::Acknowledged) => target.satisfied_by == SatisfiedBy::Acknowledge,
        (Stage::OnSite, FactKind::Responded { manner, .. }) => *manner == Manner::OnSite,
        (Stage::Workaround, FactKind::WorkedAround | FactKind::Restored | FactKind::Resolved) => true,
        (Stage::Resolve, FactKind::Restored | FactKind::Resolved) => true,
        (Stage::Update, FactKind::Updated { .. } | FactKind::Restored | FactKind::Resolved) => true,
        (Stage::VisitReport, FactKind::VisitReported) | (Stage::RestoreTest, FactKind::RestoreTested) => true,
        (
            Stage::Acknowledge
            | Stage::Respond
            | Stage::OnSite
            | Stage::Update
            | Stage::Workaround
            | Stage::Resolve
            | Stage::VisitReport
            | Stage::RestoreTest,
            _,
        ) => false,
    }
}

fn satisfaction(fact: &Fact) -> Satisfaction {
    let did = if let FactKind::Responded { manner, with_whom } = &fact.kind {
        match (manner, with_whom) {
            (Manner::Phone, Some(whom)) => format!("responded by phone with {whom}"),
            (Manner::Phone, None) => "responded by phone".to_owned(),
            (Manner::Remote, _) => "responded remotely".to_owned(),
            (Manner::OnSite, _) => "came on site".to_owned(),
        }
    } else {
        fact.kind.word().to_owned()
    };
    Satisfaction { fact: fact.number, at: fact.effective_at, what: format!("{did} ({})", fact.who) }
}

/// The pauses of the incident that hold this target: those whose reason it allows, each cut at the longest pause, and
/// at the end of the target where nobody ended it before.
fn pauses(target: &Target, facts: &[&Fact], ended: Option<Timestamp>) -> Vec<PauseView> {
    let mut resumed = None;
    let mut found = Vec::new();
    // From the last to the first, so that the next resumption is always known.
    for fact in facts.iter().rev() {
        let FactKind::Paused { reason, .. } = &fact.kind else {
            resumed = if fact.kind == FactKind::Resumed { Some(fact.effective_at) } else { resumed };
            continue;
        };
        if !target.pause_for.contains(reason) {
            continue;
        }
        let from = fact.effective_at;
        let longest = target
            .longest_pause_s
            .and_then(|longest| from.checked_add(SignedDuration::from_secs(i64::try_from(longest).ok()?)).ok());
        let ended = ended.filter(|&ended| ended >= from);
        let to = [resumed, longest, ended].into_iter().flatten().min();
        found.push(PauseView {
            fact: fact.number,
            reason: reason.clone(),
            who: fact.who.clone(),
            from,
            to,
            ends_by_itself: longest.is_some() && to == longest,
        });
    }
    found.reverse();
    found
}
