//! From the readings of one check to its facts: the agent's fold, and what a fold does not see (counters, batteries,
//! hours).

mod battery;
mod counters;
mod reading;

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::{AgentEvent, CheckId, ObservedAt, Outcome, Sample, UnknownReason, finding::CheckState};

pub use reading::{Dip, Reading, Supply};
pub(crate) use reading::{loss, signal, supply};

pub use counters::counted_cells;

use crate::{
    facts::{CheckFacts, Count, Ended, FindingFact, OnBattery},
    fold::{CheckFold, FoldRule, rank},
    incident::Bounds,
    measure::{self, Points},
    plan::Check,
    time_of_day::{Hours, LossCells, RttCells, Signal},
    uptime::Span,
};

/// How late a sample of a check may be that is sampled less often than its book says.
const STALE_INTERVALS: u32 = 3;
const STALE_MARGIN: Duration = Duration::from_secs(5);

/// Folds the readings of one check, in any order and any number of times. `off` are stretches in which its asset was
/// switched off as announced; nothing goes stale after `until`.
pub fn observe(
    check: &CheckId,
    plan: &Check,
    zone: &TimeZone,
    readings: &[Reading],
    off: &[Span],
    until: Timestamp,
) -> CheckFacts {
    let readings = in_order(readings, off);
    let mut facts = fold(check, plan, &readings, until);
    Unfolded { on_battery: facts.on_battery, counts: facts.counts, degraded: facts.degraded } =
        unfolded(plan, &readings);
    look_at_hours(&mut facts, plan, zone, &readings);
    look_at_days(&mut facts, plan, zone, &readings);
    facts
}

/// What a fold of outcomes does not see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unfolded {
    /// When the supply ran on battery.
    pub on_battery: Vec<OnBattery>,
    /// What was counted.
    pub counts: Vec<Count>,
    /// When it worked worse than it should.
    pub degraded: Vec<Span>,
}

/// Batteries, counters and warnings of readings that come in order.
pub fn unfolded(plan: &Check, readings: &[Reading]) -> Unfolded {
    let on_battery = battery::stretches(plan, readings);
    let counts = counters::counts(plan, readings, &on_battery);
    Unfolded { on_battery, counts, degraded: degraded(readings) }
}

/// By time, one of each instant: the worst, so that the order of arrival decides nothing.
fn in_order(readings: &[Reading], off: &[Span]) -> Vec<Reading> {
    let mut ordered = readings.to_vec();
    ordered.sort_by(|a, b| {
        (a.at, rank(&a.outcome), a.received).cmp(&(b.at, rank(&b.outcome), b.received)).then_with(|| in_full(a, b))
    });
    ordered.dedup_by_key(|reading| reading.at);
    for reading in &mut ordered {
        if reading.outcome == Outcome::Bad && off.iter().any(|span| span.from <= reading.at && reading.at < span.to) {
            reading.outcome = Outcome::unknown(UnknownReason::Off);
        }
    }
    ordered
}

/// Any order at all, as long as it is always the same one.
fn in_full(a: &Reading, b: &Reading) -> std::cmp::Ordering {
    if a == b { std::cmp::Ordering::Equal } else { format!("{a:?}").cmp(&format!("{b:?}")) }
}

fn fold(check: &CheckId, plan: &Check, readings: &[Reading], until: Timestamp) -> CheckFacts {
    let mut facts = CheckFacts::default();
    let Some(first) = readings.first() else { return facts };
    let mut fold = CheckFold::new(check.clone(), rule_for(plan, readings), ObservedAt(first.at));
    let mut sample = Sample {
        check: check.clone(),
        at: ObservedAt(first.at),
        took_us: 0,
        outcome: Outcome::Ok,
        values: Default::default(),
        counters: Default::default(),
        evidence: None,
    };
    let mut known = Known { good: first.received, bad: first.received };
    for reading in readings {
        sample.at = ObservedAt(reading.at);
        sample.outcome = reading.outcome.clone();
        sample.values.clear();
        sample.values.extend(reading.culprit.map(|culprit| ("verdict".to_owned(), culprit.as_str().into())));
        let events = fold.handle(&sample);
        facts.take(events, known.with(reading));
    }
    let events = fold.handle_timeout(ObservedAt(until));
    facts.take(events, until);
    if let (CheckState::Recovering, Some(finding)) = (fold.state(), facts.findings.last_mut()) {
        finding.recovering = Some(fold.since().0);
    }
    facts
}

/// When a row of samples was complete: when the last of them arrived, in whatever order.
struct Known {
    good: Timestamp,
    bad: Timestamp,
}

impl Known {
    fn with(&mut self, reading: &Reading) -> Timestamp {
        match reading.outcome {
            Outcome::Ok | Outcome::Warn => {
                self.good = self.good.max(reading.received);
                self.bad = Timestamp::MIN;
                self.good
            }
            Outcome::Bad => {
                self.bad = self.bad.max(reading.received);
                self.good = Timestamp::MIN;
                self.bad
            }
            Outcome::Unknown { .. } => reading.received,
        }
    }
}

/// The check's rule; stale no sooner than its samples are usually apart. A trace may hold fewer samples than the book
/// asks for.
fn rule_for(plan: &Check, readings: &[Reading]) -> FoldRule {
    let usual = usual_gap(readings.iter().map(|reading| reading.at));
    let stale_after = plan.rule.stale_after.max(usual.saturating_mul(STALE_INTERVALS).saturating_add(STALE_MARGIN));
    FoldRule { stale_after, ..plan.rule }
}

/// The middle one of the distances between instants that come in order; zero when there are none.
pub(crate) fn usual_gap(instants: impl Iterator<Item = Timestamp> + Clone) -> Duration {
    let pairs = instants.clone().zip(instants.skip(1));
    let mut gaps: Vec<Duration> =
        pairs.map(|(earlier, later)| earlier.duration_until(later).try_into().unwrap_or_default()).collect();
    let middle = gaps.len() / 2;
    if gaps.is_empty() { Duration::ZERO } else { *gaps.select_nth_unstable(middle).1 }
}

impl CheckFacts {
    fn take(&mut self, events: Vec<AgentEvent>, received: Timestamp) {
        for event in events {
            match event {
                AgentEvent::StateChanged { check: _, state, at } => self.changes.push((at.0, state)),
                AgentEvent::FindingOpened { finding } => self.findings.push(FindingFact {
                    id: finding.id(),
                    started: Bounds { not_before: finding.last_ok.map(|at| at.0), not_after: finding.first_bad.0 },
                    detected: finding.confirmed_at.0,
                    received: received.max(finding.confirmed_at.0),
                    ended: None,
                    recovering: None,
                    evidence: finding.evidence,
                    culprit: finding.culprit,
                }),
                AgentEvent::FindingClosed { id: _, end } => {
                    // A fold has one finding open at a time: its end is the latest one's.
                    if let Some(finding) = self.findings.last_mut() {
                        finding.ended = Some(Ended {
                            restored: Bounds { not_before: Some(end.last_bad.0), not_after: end.first_ok.0 },
                            confirmed: end.confirmed_at.0,
                            received: received.max(end.confirmed_at.0),
                        });
                    }
                }
                AgentEvent::Started { .. }
                | AgentEvent::Stopping { .. }
                | AgentEvent::ClockStepped { .. }
                | AgentEvent::Gap { .. }
                | AgentEvent::Configured { .. }
                | AgentEvent::Ran { .. }
                | AgentEvent::Drill { .. }
                | AgentEvent::Journal { .. } => {}
            }
        }
    }
}

/// From each first `warn` to the next sample that says something else.
fn degraded(readings: &[Reading]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut since = None;
    for reading in readings {
        match (&reading.outcome, since) {
            (Outcome::Warn, None) => since = Some(reading.at),
            (Outcome::Warn, Some(_)) | (Outcome::Ok | Outcome::Bad | Outcome::Unknown { .. }, None) => {}
            (Outcome::Ok | Outcome::Bad | Outcome::Unknown { .. }, Some(from)) => {
                spans.push(Span { from, to: reading.at });
                since = None;
            }
        }
    }
    if let (Some(from), Some(last)) = (since, readings.last()) {
        spans.push(Span { from, to: last.at });
    }
    spans
}

/// What could not be judged says nothing about its hour.
fn look_at_hours(facts: &mut CheckFacts, plan: &Check, zone: &TimeZone, readings: &[Reading]) {
    let mut hours = Hours::of(zone.clone());
    let (mut loss, mut rtt) = (LossCells::default(), RttCells::default());
    // A ping that says no more than its outcome is one packet.
    let is_by_outcome = plan.kind.as_str() == "net.icmp" && readings.iter().all(|reading| reading.loss.is_none());
    let has_loss = is_by_outcome || readings.iter().any(|reading| reading.loss.is_some());
    for reading in readings.iter().filter(|reading| !matches!(reading.outcome, Outcome::Unknown { .. })) {
        let cell = hours.at(reading.at);
        let packets = is_by_outcome.then(|| (1.0, f64::from(u8::from(reading.outcome == Outcome::Bad))));
        if let Some((sent, lost)) = reading.loss.or(packets) {
            loss.add(cell, sent, lost);
        }
        if let Some(rtt_ms) = reading.rtt_ms {
            rtt.add(cell, rtt_ms);
        }
    }
    if has_loss {
        facts.hours.insert(Signal::Loss, loss.cells());
    }
    if !rtt.is_empty() {
        facts.hours.insert(Signal::Rtt, rtt.cells());
    }
    facts.hours.extend(counted_cells(&facts.counts, zone, readings.iter().map(|reading| reading.at)));
}

/// Of each hour the latest value, as what is kept has it.
fn look_at_days(facts: &mut CheckFacts, plan: &Check, zone: &TimeZone, readings: &[Reading]) {
    let mut hours = Hours::of(zone.clone());
    let mut points = Points::default();
    for reading in readings {
        for (what, point) in measure::of_reading(Some(&plan.kind), reading) {
            points.add(&what, hours.begin(reading.at), point);
        }
    }
    facts.measured = Arc::new(points.days(zone));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::CheckKind;

    #[test]
    fn a_check_that_is_sampled_less_often_than_its_kind_does_not_go_stale() {
        let readings: Vec<_> = (0..10).map(|n| Reading::new(at(n * 300), Outcome::Ok)).collect();
        assert_eq!(seen("net.icmp", &readings, &[]).changes, [(at(0), CheckState::Ok)]);
    }

    #[test]
    fn what_was_announced_is_unknown_and_no_finding() {
        let mut readings = vec![Reading::new(at(0), Outcome::Ok)];
        readings.extend((1..20).map(|n| Reading::new(at(n * 10), Outcome::Bad)));
        let off = [Span { from: at(5), to: at(500) }];
        assert_eq!(seen("net.icmp", &readings, &off).findings, []);
        assert_eq!(seen("net.icmp", &readings, &[]).findings.len(), 1);
    }

    #[test]
    fn neither_order_nor_number_of_arrivals_changes_a_fact() {
        let mut readings: Vec<_> =
            (0..200).map(|n| Reading::new(at(n * 10), if n % 7 < 4 { Outcome::Bad } else { Outcome::Ok })).collect();
        readings.push(Reading::new(at(50), Outcome::Ok));
        let facts = seen("net.tcp", &readings, &[]);
        readings.reverse();
        readings.extend(readings.clone());
        assert_eq!(seen("net.tcp", &readings, &[]), facts);
        assert!(facts.findings.len() > 10);
    }

    #[test]
    fn what_a_dip_was_belongs_to_the_stretch_that_it_ends_and_to_none_before() {
        let on = |second, is_low| Reading {
            supply: Some(Supply::Battery { is_low }),
            ..Reading::new(at(second), Outcome::Warn)
        };
        let back = |second, dip: Option<i32>| Reading {
            supply: Some(Supply::Mains),
            dip: dip.map(|volts| Dip { lowest_v: Some(volts), cause: None }),
            ..Reading::new(at(second), Outcome::Ok)
        };
        let readings =
            [back(0, None), on(1, false), back(2, Some(96)), on(10, false), back(11, None), back(12, Some(80))];
        let told = seen("ups.nut", &readings, &[]).on_battery;
        let lowest: Vec<_> = told.iter().map(|stretch| stretch.dip.as_ref().and_then(|dip| dip.lowest_v)).collect();
        assert_eq!(lowest, [Some(96), None]);
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seen(kind: &str, readings: &[Reading], off: &[Span]) -> CheckFacts {
        let kind = CheckKind::new(kind);
        let plan = Check { rule: kind.usual_rule(), kind, promised: Default::default() };
        observe(&"a/b".parse().unwrap(), &plan, &TimeZone::UTC, readings, off, at(3_000))
    }
}
