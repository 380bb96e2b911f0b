//! What counters say: they see what polling misses (DETECTION 3). Where a check has none, what was seen is counted.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use upheld_model::{Counter, Outcome};

use super::Reading;
use crate::{
    facts::{Count, OnBattery},
    kind::Family,
    plan::Check,
    time_of_day::{Cells, CountCells, Hours, Signal},
};

/// What was counted, in order.
pub(super) fn counts(plan: &Check, readings: &[Reading], on_battery: &[OnBattery]) -> Vec<Count> {
    let Some(signal) = signal_of(plan) else { return Vec::new() };
    let by_counter: Vec<(&Reading, &Counter)> = readings
        .iter()
        .flat_map(|reading| reading.counters.iter().filter(|(of, _)| *of == signal).map(move |(_, c)| (reading, c)))
        .collect();
    let seen = match signal {
        Signal::Transfers => on_battery.iter().map(seen_on_battery).collect(),
        Signal::LinkDrops => seen_down(readings),
        Signal::Loss | Signal::Rtt => Vec::new(),
    };
    if by_counter.is_empty() {
        return seen;
    }
    let pairs = || by_counter.windows(2).filter(|pair| pair[0].1.0 == pair[1].1.0);
    let mut counts: Vec<Count> = pairs().filter_map(|pair| counted(signal, pair[0], pair[1])).collect();
    // Where the counter was not read, or began anew, what was seen counts.
    let read: Vec<(Timestamp, Timestamp)> = pairs().map(|pair| (pair[0].0.at, pair[1].0.at)).collect();
    let is_read = |count: &Count| {
        let next = read.partition_point(|(_, to)| *to <= count.after);
        read.get(next).is_some_and(|(from, _)| *from < count.at)
    };
    counts.extend(seen.into_iter().filter(|count| !is_read(count)));
    counts.sort_by_key(|count| (count.at, count.after));
    counts
}

fn signal_of(plan: &Check) -> Option<Signal> {
    match plan.kind.family() {
        Family::Power => Some(Signal::Transfers),
        Family::Link => Some(Signal::LinkDrops),
        Family::Network
        | Family::Camera
        | Family::Recording
        | Family::Access
        | Family::Backup
        | Family::Restore
        | Family::Service
        | Family::Host
        | Family::TimeSync
        | Family::Environment
        | Family::Unknown => None,
    }
}

/// The difference between two samples; none across epochs, because a reset is no occurrence.
fn counted(signal: Signal, earlier: (&Reading, &Counter), later: (&Reading, &Counter)) -> Option<Count> {
    let number = later.1.since(earlier.1).filter(|number| *number > 0)?;
    Some(Count { signal, after: earlier.0.at, at: later.0.at, number, received: later.0.received })
}

fn seen_on_battery(stretch: &OnBattery) -> Count {
    let at = stretch.from.not_after;
    Count {
        signal: Signal::Transfers,
        after: stretch.from.not_before.unwrap_or(at),
        at,
        number: 1,
        received: stretch.received,
    }
}

/// Each bad sample after one that was not.
fn seen_down(readings: &[Reading]) -> Vec<Count> {
    let is_down = |reading: &Reading| reading.outcome == Outcome::Bad;
    let drops = readings.windows(2).filter(|pair| !is_down(&pair[0]) && is_down(&pair[1]));
    let count = |pair: &[Reading]| Count {
        signal: Signal::LinkDrops,
        after: pair[0].at,
        at: pair[1].at,
        number: 1,
        received: pair[1].received,
    };
    drops.map(count).collect()
}

/// The hours in which something was counted; `watched` are instants at which it could have been.
pub fn counted_cells(
    counts: &[Count],
    zone: &TimeZone,
    watched: impl Iterator<Item = Timestamp>,
) -> Option<(Signal, Cells)> {
    let signal = counts.first()?.signal;
    let mut hours = Hours::of(zone.clone());
    let mut cells = CountCells::default();
    watched.for_each(|at| cells.watched(hours.at(at)));
    counts.iter().for_each(|count| cells.occurred(hours.at(middle(count))));
    Some((signal, cells.cells()))
}

/// An occurrence lies somewhere between two samples; where they are hours apart it is told by when it was noticed.
fn middle(count: &Count) -> Timestamp {
    let apart = count.after.duration_until(count.at);
    if apart > SignedDuration::from_hours(1) {
        return count.at;
    }
    count.after.saturating_add(apart / 2).unwrap_or(count.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kind::CheckKind, observe::Supply};

    #[test]
    fn a_counter_sees_what_polling_misses_and_a_reset_is_no_occurrence() {
        let reading = |second: i64, epoch: &str, count| Reading {
            counters: vec![(Signal::Transfers, Counter(epoch.into(), count))],
            ..Reading::new(at(second), Outcome::Ok)
        };
        let readings =
            [reading(0, "a", 5), reading(60, "a", 5), reading(120, "a", 8), reading(180, "b", 1), reading(240, "b", 2)];
        let numbers: Vec<_> = counted_on("ups.apcupsd", &readings).iter().map(|c| (c.at, c.number)).collect();
        assert_eq!(numbers, [(at(120), 3), (at(240), 1)]);
    }

    #[test]
    fn without_a_counter_what_was_seen_counts() {
        let battery = |second| Reading {
            supply: Some(Supply::Battery { is_low: false }),
            ..Reading::new(at(second), Outcome::Warn)
        };
        let readings =
            [Reading::new(at(0), Outcome::Ok), battery(1), battery(2), Reading::new(at(3), Outcome::Ok), battery(9)];
        assert_eq!(counted_on("ups.nut", &readings).len(), 2);
        let down = |second| Reading::new(at(second), Outcome::Bad);
        let readings = [Reading::new(at(0), Outcome::Ok), down(1), down(2), Reading::new(at(3), Outcome::Ok), down(9)];
        assert_eq!(counted_on("net.link", &readings).len(), 2);
        assert_eq!(counted_on("snmp", &readings).len(), 2, "a port of a switch is a port");
        assert_eq!(counted_on("net.icmp", &readings), []);
    }

    fn counted_on(kind: &str, readings: &[Reading]) -> Vec<Count> {
        let kind = CheckKind::new(kind);
        let plan = Check { rule: kind.usual_rule(), kind, promised: Default::default() };
        counts(&plan, readings, &super::super::battery::stretches(&plan, readings))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
