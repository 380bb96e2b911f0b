//! One target folded over the ledger: when it began, what held it, when it is due, what ended it.

use jiff::{SignedDuration, Timestamp};

use super::{
    Promised,
    ledger::{CancelReason, Fact, FactKind, whole_second},
    view::{DueAt, PauseView, Satisfaction},
};
use crate::{
    calendar::{ByNextBusinessDay, Calendar, Due, Fraction, Pause},
    ratio::Ratio,
    terms::{After, Target, Within},
    words::{Manner, SatisfiedBy, Stage},
};

/// One target of a clock.
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
    pub(crate) fn fold(promised: &Promised, begins: Option<Timestamp>, facts: &[Fact]) -> Self {
        let Promised { target, calendar } = promised;
        let stops = stops(target, facts);
        let ended = stops.last().filter(|stop| stop.to.is_none()).map(|stop| stop.from);
        let pauses = pauses(target, facts, ended);
        let mut leg =
            Self { target: target.clone(), calendar: calendar.clone(), begins, pauses, stops, due: DueAt::NotBegun };
        if let Some(begins) = begins {
            leg.due = leg.due_from(begins);
        }
        leg
    }

    /// The stretches that do not count, for the calendar, and what each of them stands for.
    pub(crate) fn held(&self) -> (Vec<Pause>, Vec<StandsFor<'_>>) {
        let pauses = self.pauses.iter().map(|view| (Pause { from: view.from, to: view.to }, StandsFor::Pause(view)));
        // The last stop is not among them while it is open: the due stays what it was when the target ended.
        let stops = self.stops.iter().filter(|stop| stop.to.is_some());
        let stops = stops.map(|stop| (Pause { from: stop.from, to: stop.to }, StandsFor::Stop(stop)));
        pauses.chain(stops).unzip()
    }

    /// The stop that holds at the end of what is known.
    pub(crate) fn ended(&self) -> Option<&Stop> {
        self.stops.last().filter(|stop| stop.to.is_none())
    }

    /// The due that passed unsatisfied.
    pub(crate) fn breached_at(&self) -> Option<Timestamp> {
        self.due.instant().filter(|&due| self.runs_at(due))
    }

    /// The fractions at which to warn, each with the instant at which it is used, where it is reached unsatisfied.
    pub(crate) fn warnings(&self) -> Vec<(Ratio, Timestamp)> {
        let Some(begins) = self.begins else { return Vec::new() };
        let held = self.held().0;
        let at = |fraction: Ratio| {
            let part = Fraction::ppm(u32::try_from(fraction.of(1_000_000)).unwrap_or(u32::MAX));
            match self.target.within {
                Within::Covered { seconds } => self.calendar.warning(begins, seconds.0, part, &held),
                Within::NextBusinessDay { by, received_by } => {
                    self.calendar.warning_by(begins, ByNextBusinessDay { by, received_by }, part, &held)
                }
            }
        };
        let fractions = self.target.warn_at.iter();
        fractions
            .filter_map(|&fraction| Some((fraction, self.past_a_stop(at(fraction).at()?))))
            .filter(|&(_, at)| self.runs_at(at))
            .collect()
    }

    /// Counted seconds from the beginning to `end`.
    pub(crate) fn counted_s(&self, end: Timestamp) -> u64 {
        self.begins.map_or(0, |begins| self.calendar.elapsed_s(begins, end, &self.held().0))
    }

    /// The counted seconds that are promised; for a wall time those up to it, and `None` while that is not known.
    pub(crate) fn promised_s(&self) -> Option<u64> {
        match self.target.within {
            Within::Covered { seconds } => Some(seconds.0),
            Within::NextBusinessDay { .. } => self.due.instant().map(|due| self.counted_s(due)),
        }
    }

    fn due_from(&self, begins: Timestamp) -> DueAt {
        let held = self.held().0;
        let due = match self.target.within {
            Within::Covered { seconds } => self.calendar.due(begins, seconds.0, &held),
            Within::NextBusinessDay { by, received_by } => {
                self.calendar.due_by(begins, ByNextBusinessDay { by, received_by }, &held)
            }
        };
        match due {
            Due::At(at) => DueAt::At { at: self.past_a_stop(at) },
            Due::Paused => DueAt::Paused,
            Due::Never => DueAt::Never,
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

/// When a target begins that waits for another stage: so long after the response, or after the response was due,
/// whichever came first. Not to answer buys no time.
pub(crate) fn begins_after(first: &[Leg], after: After, promised: &Promised, facts: &[Fact]) -> Option<Timestamp> {
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
fn stops(target: &Target, facts: &[Fact]) -> Vec<Stop> {
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
            FactKind::Opened | FactKind::Paused { .. } | FactKind::Resumed => None,
            FactKind::Acknowledged
            | FactKind::Responded { .. }
            | FactKind::WorkedAround
            | FactKind::Restored
            | FactKind::Resolved
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
    // What waits for the response to fail is not needed once the service is back.
    let nothing_left = match fact.kind {
        FactKind::Resolved => true,
        FactKind::Restored => target.after.is_some(),
        FactKind::Opened
        | FactKind::Acknowledged
        | FactKind::Responded { .. }
        | FactKind::WorkedAround
        | FactKind::Paused { .. }
        | FactKind::Resumed
        | FactKind::Reopened
        | FactKind::Cancelled { .. } => false,
    };
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
        (
            Stage::Acknowledge
            | Stage::Respond
            | Stage::OnSite
            | Stage::Update
            | Stage::Workaround
            | Stage::Resolve
            | Stage::VisitReport
            | Stage::RestoreTest,
            FactKind::Opened
            | FactKind::Acknowledged
            | FactKind::Responded { .. }
            | FactKind::WorkedAround
            | FactKind::Paused { .. }
            | FactKind::Resumed
            | FactKind::Restored
            | FactKind::Resolved
            | FactKind::Reopened
            | FactKind::Cancelled { .. },
        ) => false,
    }
}

fn satisfaction(fact: &Fact) -> Satisfaction {
    let what = match &fact.kind {
        FactKind::Responded { manner: Manner::Phone, with_whom: Some(whom) } => {
            format!("responded by phone with {whom} ({})", fact.who)
        }
        FactKind::Responded { manner: Manner::Phone, with_whom: None } => format!("responded by phone ({})", fact.who),
        FactKind::Responded { manner: Manner::Remote, .. } => format!("responded remotely ({})", fact.who),
        FactKind::Responded { manner: Manner::OnSite, .. } => format!("came on site ({})", fact.who),
        FactKind::Opened
        | FactKind::Acknowledged
        | FactKind::WorkedAround
        | FactKind::Paused { .. }
        | FactKind::Resumed
        | FactKind::Restored
        | FactKind::Resolved
        | FactKind::Reopened
        | FactKind::Cancelled { .. } => format!("{} ({})", fact.kind.word(), fact.who),
    };
    Satisfaction { fact: fact.number, at: fact.effective_at, what }
}

/// The pauses of the incident that hold this target: those whose reason it allows, each cut at the longest pause, and
/// at the end of the target where nobody ended it before.
fn pauses(target: &Target, facts: &[Fact], ended: Option<Timestamp>) -> Vec<PauseView> {
    let allowed = facts.iter().enumerate().filter_map(|(index, fact)| match &fact.kind {
        FactKind::Paused { reason, .. } if target.pause_for.contains(reason) => Some((index, fact, reason)),
        FactKind::Opened
        | FactKind::Acknowledged
        | FactKind::Responded { .. }
        | FactKind::WorkedAround
        | FactKind::Paused { .. }
        | FactKind::Resumed
        | FactKind::Restored
        | FactKind::Resolved
        | FactKind::Reopened
        | FactKind::Cancelled { .. } => None,
    });
    allowed
        .map(|(index, fact, reason)| {
            let from = fact.effective_at;
            let resumed =
                facts[index + 1..].iter().find(|later| later.kind == FactKind::Resumed).map(|later| later.effective_at);
            let longest = target
                .longest_pause_s
                .and_then(|longest| from.checked_add(SignedDuration::from_secs(i64::try_from(longest).ok()?)).ok());
            let ended = ended.filter(|&ended| ended >= from);
            let to = [resumed, longest, ended].into_iter().flatten().min();
            PauseView {
                fact: fact.number,
                reason: reason.clone(),
                who: fact.who.clone(),
                from,
                to,
                ends_by_itself: longest.is_some() && to == longest,
            }
        })
        .collect()
}
