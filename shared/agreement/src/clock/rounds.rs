//! Stages that come again: "update every…", the report of each visit, a restore test after each repair.
//!
//! Each round is a target of its own with the facts of its time. The legs that are returned are those of the last round;
//! what the rounds before it missed stays with them ([`Rounds`]): each missed one is a breach of its own.

use jiff::Timestamp;

use super::{
    Clock,
    ledger::{Fact, FactKind},
    leg::{Leg, Rounds},
    milestones::leading,
    start::whole_second,
};
use crate::words::{Manner, Stage};

/// The most rounds of one clock: an update every hour for more than a year. Later ones are not counted.
const ROUNDS_MAX: usize = 10_000;

/// A round begins at the update before it, or at the due that was missed, and ends with the incident.
pub(super) fn updates(clock: &Clock, facts: &[&Fact], as_of: Timestamp) -> Vec<Leg> {
    let story = Story::new(facts);
    let untold: Vec<&Fact> = facts.iter().copied().filter(|fact| !is_update(fact)).collect();
    let opening = clock.legs_of(Stage::Update, None, &untold, as_of);
    let Some(mut from) = opening.iter().filter_map(|leg| leg.begins).min() else { return opening };
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS_MAX {
        let told = story.told_after(from);
        let legs = clock.legs_of(Stage::Update, Some(whole_second(from)), &story.until_told(from, told), as_of);
        let Some(next) = next_round(&legs, told, as_of, &mut rounds).filter(|&next| next > from) else {
            return legs.into_iter().map(|leg| leg.after_rounds(rounds.clone())).collect();
        };
        from = next;
    }
    let legs = clock.legs_of(Stage::Update, Some(whole_second(from)), &story.until_told(from, None), as_of);
    legs.into_iter().map(|leg| leg.after_rounds(rounds.clone())).collect()
}

/// Where the next round begins, if this one is over; what fell due in it is noted then.
fn next_round(legs: &[Leg], told: Option<Timestamp>, as_of: Timestamp, rounds: &mut Rounds) -> Option<Timestamp> {
    let leading = leading(legs)?;
    let missed = legs.iter().filter_map(Leg::breached_at).min().filter(|&due| told.is_none_or(|told| due < told));
    let over = match (missed, told) {
        (Some(due), _) if due > as_of => return None,
        (Some(due), _) => due,
        (None, Some(told)) => told,
        (None, None) => return None,
    };
    rounds.warnings.extend(leading.warnings().into_iter().filter(|(_, at)| *at <= over));
    rounds.missed.extend(missed);
    Some(over)
}

/// The facts, with what is asked of them again and again.
struct Story<'a> {
    facts: &'a [&'a Fact],
    /// When the client was told while the incident was open, ascending.
    told: Vec<Timestamp>,
    /// Where the pauses stand, and where they are ended.
    pauses: Vec<usize>,
    resumptions: Vec<usize>,
}

impl<'a> Story<'a> {
    fn new(facts: &'a [&'a Fact]) -> Self {
        let mut story = Self { facts, told: Vec::new(), pauses: Vec::new(), resumptions: Vec::new() };
        let mut is_open = true;
        for (index, fact) in facts.iter().enumerate() {
            if matches!(fact.kind, FactKind::Restored | FactKind::Resolved | FactKind::Cancelled { .. }) {
                is_open = false;
            } else if fact.kind == FactKind::Reopened {
                is_open = true;
            } else if is_open && is_update(fact) {
                story.told.push(fact.effective_at);
            } else if matches!(fact.kind, FactKind::Paused { .. }) {
                story.pauses.push(index);
            } else if fact.kind == FactKind::Resumed {
                story.resumptions.push(index);
            }
        }
        story
    }

    fn told_after(&self, from: Timestamp) -> Option<Timestamp> {
        self.told.get(self.told.partition_point(|&told| told <= from)).copied()
    }

    /// The facts that a round from `from` needs, up to the update that ends it.
    fn until_told(&self, from: Timestamp, told: Option<Timestamp>) -> Vec<&'a Fact> {
        let begin = self.facts.partition_point(|fact| fact.effective_at < from);
        let end = told.map_or(self.facts.len(), |told| self.facts.partition_point(|fact| fact.effective_at <= told));
        let is_over = |fact: &&Fact| !is_update(fact) || Some(fact.effective_at) == told;
        self.window(begin, end).into_iter().filter(is_over).collect()
    }

    /// The facts from one place to another, and before them the pauses that hold there.
    fn window(&self, begin: usize, end: usize) -> Vec<&'a Fact> {
        let resumed = self.resumptions.partition_point(|&index| index < begin).checked_sub(1);
        let resumed = resumed.map_or(0, |last| self.resumptions[last]);
        let held = &self.pauses[self.pauses.partition_point(|&index| index < resumed)..];
        let held = held.iter().take_while(|&&index| index < begin).map(|&index| self.facts[index]);
        held.chain(self.facts[begin..end.max(begin)].iter().copied()).collect()
    }
}

fn is_update(fact: &Fact) -> bool {
    matches!(fact.kind, FactKind::Updated { .. })
}

/// The report of a visit: a round begins when somebody comes on site and ends when the report is with the client. A
/// second visit before that is in the same report.
pub(super) fn visit_reports(clock: &Clock, facts: &[&Fact], as_of: Timestamp) -> Vec<Leg> {
    let mut spans: Vec<Span> = Vec::new();
    for (place, fact) in facts.iter().enumerate() {
        if matches!(fact.kind, FactKind::Responded { manner: Manner::OnSite, .. }) {
            Span::begin(&mut spans, place);
        } else if fact.kind == FactKind::VisitReported {
            Span::close(&mut spans, place);
        }
    }
    if !spans.is_empty() {
        return in_spans(clock, &spans, facts, as_of);
    }
    let ends = |fact: &&&Fact| matches!(fact.kind, FactKind::Resolved | FactKind::Reopened);
    let resolved = facts.iter().rfind(ends).filter(|fact| fact.kind == FactKind::Resolved);
    let waiting = not_begun(clock, facts, as_of);
    match resolved {
        Some(resolved) => waiting.into_iter().map(|leg| leg.not_needed_from(resolved.effective_at)).collect(),
        None => waiting,
    }
}

/// The restore test after a repair: a round begins when the service is back and ends when a backup was restored. A fault
/// that returns before that ends the round; the next repair begins another.
pub(super) fn restore_tests(clock: &Clock, facts: &[&Fact], as_of: Timestamp) -> Vec<Leg> {
    let mut spans: Vec<Span> = Vec::new();
    let mut is_over = false;
    for (place, fact) in facts.iter().enumerate() {
        if matches!(fact.kind, FactKind::Restored | FactKind::Resolved) {
            if !is_over {
                Span::begin(&mut spans, place);
            }
            is_over = true;
        } else if fact.kind == FactKind::Reopened {
            Span::close(&mut spans, place);
            is_over = false;
        } else if fact.kind == FactKind::RestoreTested {
            Span::close(&mut spans, place);
        }
    }
    if spans.is_empty() { not_begun(clock, facts, as_of) } else { in_spans(clock, &spans, facts, as_of) }
}

/// A round between two facts, by their places.
struct Span {
    begins: usize,
    closes: Option<usize>,
}

impl Span {
    /// Begins a round, unless one runs.
    fn begin(spans: &mut Vec<Self>, place: usize) {
        if spans.last().is_none_or(|span| span.closes.is_some()) {
            spans.push(Self { begins: place, closes: None });
        }
    }

    fn close(spans: &mut [Self], place: usize) {
        if let Some(span) = spans.last_mut() {
            span.closes.get_or_insert(place);
        }
    }
}

fn not_begun(clock: &Clock, facts: &[&Fact], as_of: Timestamp) -> Vec<Leg> {
    let in_force = clock.in_force(clock.stage, Some(as_of));
    in_force.into_iter().map(|promised| Leg::fold(promised, None, facts)).collect()
}

fn in_spans(clock: &Clock, spans: &[Span], facts: &[&Fact], as_of: Timestamp) -> Vec<Leg> {
    let story = Story::new(facts);
    let mut rounds = Rounds::default();
    let mut last = Vec::new();
    for (span, next) in spans.iter().zip(spans.iter().skip(1).map(Some).chain([None])) {
        let window = story.window(span.begins, next.map_or(facts.len(), |next| next.begins));
        let from = whole_second(facts[span.begins].effective_at);
        last = clock.legs_of(clock.stage, Some(from), &window, as_of);
        let reopened = span.closes.map(|place| facts[place]).filter(|fact| fact.kind == FactKind::Reopened);
        if next.is_none() && reopened.is_none() {
            break;
        }
        let until = reopened.map_or(Timestamp::MAX, |fact| fact.effective_at);
        let warned = leading(&last).map(Leg::warnings).unwrap_or_default();
        rounds.warnings.extend(warned.into_iter().filter(|(_, at)| *at < until));
        rounds.missed.extend(last.iter().filter_map(Leg::breached_at).min().filter(|&due| due < until));
        last = not_begun(clock, &[], as_of);
    }
    last.into_iter().map(|leg| leg.after_rounds(rounds.clone())).collect()
}
