//! What a change of terms does to a clock that runs (F2, F3): the one engine for case files and live clocks (F9).
//!
//! Readings of the page, where it leaves a choice: a clock that runs out at the very instant of the change has not run
//! out *before* it, so the new terms apply; a clock whose due stands keeps it, floor or not; what is left after
//! prorating is rounded up to whole seconds at each change; the grace of a tightening (F3) never gives more time than
//! the terms before it. A target by a wall time (R9) is, where seconds of it are needed, the counted seconds from its
//! start to its due.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    calendar::{ByNextBusinessDay, Calendar, Due, Pause},
    terms::Within,
    words::OpenIncidents,
};

/// How an amendment meets open incidents: `open_incidents` of F2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmendMode {
    /// The version in force at the start stays.
    #[default]
    Pin,
    /// What was counted under the old calendar counts towards the new target.
    CarryElapsed,
    /// The unused fraction of the old target is what remains of the new one.
    Prorate,
    /// The new target from the change.
    RestartFromChange,
    /// The new target from the original start.
    RestartFromStart,
}

impl From<OpenIncidents> for AmendMode {
    fn from(treatment: OpenIncidents) -> Self {
        match treatment {
            OpenIncidents::Pin => Self::Pin,
            OpenIncidents::CarryElapsed => Self::CarryElapsed,
            OpenIncidents::Prorate => Self::Prorate,
            OpenIncidents::RestartFromChange => Self::RestartFromChange,
            OpenIncidents::RestartFromStart => Self::RestartFromStart,
        }
    }
}

/// The terms of one target under one version.
#[derive(Debug, Clone)]
pub(crate) struct Term<'a> {
    pub(crate) calendar: &'a Calendar,
    pub(crate) within: Within,
    /// The pauses that this version allows.
    pub(crate) held: &'a [Pause],
}

/// A change of terms while the clock runs.
#[derive(Debug, Clone)]
pub(crate) struct Change<'a> {
    pub(crate) at: Timestamp,
    pub(crate) mode: AmendMode,
    pub(crate) term: Term<'a>,
    /// What a tightening must leave (F3), in plain seconds.
    pub(crate) grace_s: u64,
}

/// A clock after all changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Course {
    /// Under which terms seconds count: 0 the first, then the changes from 1; ascending, the last without an end.
    pub(crate) stretches: Vec<Stretch>,
    /// What of the target in force is used when the last stretch begins.
    pub(crate) used: SignedDuration,
    /// As the modes compute it.
    pub(crate) recomputed: Due,
    /// Never before the change that moved it, plus its grace (F3).
    pub(crate) due: Due,
}

/// A stretch under one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: Timestamp,
    pub(crate) to: Option<Timestamp>,
    pub(crate) term: usize,
}

/// The course of a clock that began at `start`; `changes` ascending and after it.
pub(crate) fn course(start: Timestamp, first: &Term<'_>, changes: &[Change<'_>]) -> Course {
    let whole = Stretch { from: start, to: None, term: 0 };
    let mut walk = Walk {
        start,
        term: first,
        stretches: vec![whole],
        from: start,
        origin: start,
        used: SignedDuration::ZERO,
        left: first.seconds(),
        floor: None,
    };
    for (change, number) in changes.iter().zip(1..) {
        walk.meet(change, number);
    }
    let recomputed = walk.recomputed();
    Course { recomputed, due: walk.floored(recomputed), stretches: walk.stretches, used: walk.used }
}

/// A clock on its way through the changes.
struct Walk<'a> {
    start: Timestamp,
    term: &'a Term<'a>,
    stretches: Vec<Stretch>,
    /// Since when the term in force counts.
    from: Timestamp,
    /// From where a wall time is looked for.
    origin: Timestamp,
    /// What of the term's target is used at `from`.
    used: SignedDuration,
    /// What is left of it at `from`; `None` for a wall time.
    left: Option<SignedDuration>,
    floor: Option<Timestamp>,
}

impl<'a> Walk<'a> {
    fn meet(&mut self, change: &'a Change<'a>, number: usize) {
        let due = self.floored(self.recomputed());
        let has_run_out = due.at().is_some_and(|due| due < change.at);
        match change.mode {
            AmendMode::Pin => return,
            AmendMode::CarryElapsed | AmendMode::Prorate if has_run_out => return,
            AmendMode::CarryElapsed => self.carry(change, number),
            AmendMode::Prorate => self.prorate(change, number),
            AmendMode::RestartFromChange => self.restart(change, number, change.at),
            AmendMode::RestartFromStart => self.restart(change, number, self.start),
        }
        self.floor = Some(floor(change, due));
    }

    fn carry(&mut self, change: &'a Change<'a>, number: usize) {
        let used = self.used + self.counted(change.at);
        self.go_on(change, number);
        self.used = used;
        self.left = self.term.seconds().map(|target| less(target, used));
    }

    fn prorate(&mut self, change: &'a Change<'a>, number: usize) {
        let whole = self.term.whole(self.origin);
        let left = less(less(whole, self.used), self.counted(change.at));
        self.go_on(change, number);
        let next = self.term.whole(self.origin);
        let left_s = ceil_of(left.as_nanos().unsigned_abs(), whole.as_nanos().unsigned_abs(), whole_seconds(next));
        let left = seconds(left_s);
        self.used = less(next, left);
        self.left = Some(left);
    }

    fn restart(&mut self, change: &'a Change<'a>, number: usize, from: Timestamp) {
        self.term = &change.term;
        self.stretches = vec![Stretch { from, to: None, term: number }];
        (self.from, self.origin, self.used) = (from, from, SignedDuration::ZERO);
        self.left = self.term.seconds();
    }

    /// The next term from the change on.
    fn go_on(&mut self, change: &'a Change<'a>, number: usize) {
        if let Some(last) = self.stretches.last_mut() {
            last.to = Some(change.at);
        }
        self.stretches.push(Stretch { from: change.at, to: None, term: number });
        (self.term, self.from) = (&change.term, change.at);
    }

    fn counted(&self, until: Timestamp) -> SignedDuration {
        self.term.calendar.elapsed_exact(self.from, until, self.term.held)
    }

    fn recomputed(&self) -> Due {
        match (self.left, self.term.rule()) {
            (None, Some(rule)) => self.term.calendar.due_by(self.origin, rule, self.term.held),
            (left, _) => self.term.calendar.due_exact(self.from, left.unwrap_or_default(), self.term.held),
        }
    }

    fn floored(&self, recomputed: Due) -> Due {
        match (recomputed, self.floor) {
            (Due::At(at), Some(floor)) => Due::At(at.max(floor)),
            (Due::At(_) | Due::Paused | Due::Never, _) => recomputed,
        }
    }
}

impl Term<'_> {
    fn seconds(&self) -> Option<SignedDuration> {
        match self.within {
            Within::Covered { seconds: target } => Some(seconds(target.0)),
            Within::NextBusinessDay { .. } => None,
        }
    }

    fn rule(&self) -> Option<ByNextBusinessDay> {
        match self.within {
            Within::Covered { .. } => None,
            Within::NextBusinessDay { by, received_by } => Some(ByNextBusinessDay { by, received_by }),
        }
    }

    /// The target in covered time; a wall time's is that up to its due.
    fn whole(&self, origin: Timestamp) -> SignedDuration {
        self.seconds().unwrap_or_else(|| {
            let due = self.rule().and_then(|rule| self.calendar.due_by(origin, rule, self.held).at());
            due.map_or(SignedDuration::ZERO, |due| self.calendar.elapsed_exact(origin, due, self.held))
        })
    }
}

/// The change plus its grace, but no later than the due before it unless that is past.
fn floor(change: &Change<'_>, due_before: Due) -> Timestamp {
    let graced = change.at.saturating_add(seconds(change.grace_s)).unwrap_or(Timestamp::MAX);
    let before = due_before.at().unwrap_or(Timestamp::MAX);
    graced.min(before).max(change.at)
}

fn less(whole: SignedDuration, part: SignedDuration) -> SignedDuration {
    whole.saturating_sub(part).max(SignedDuration::ZERO)
}

/// A target's seconds; a part of one is one more.
fn whole_seconds(duration: SignedDuration) -> u64 {
    duration.as_secs().unsigned_abs() + u64::from(duration.subsec_nanos() > 0)
}

pub(crate) fn seconds(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// `part / whole` of `seconds`, rounded up; `part` and `whole` in nanoseconds, at most 2^63 seconds of them.
fn ceil_of(part: u128, whole: u128, seconds: u64) -> u64 {
    if part >= whole {
        return seconds;
    }
    let divisor = gcd(part, whole);
    let (part, whole) = (part / divisor, whole / divisor);
    // Reduced, both fit 64 bits but for a fraction of a second within a target of centuries; then nanoseconds go.
    let excess = whole.checked_ilog2().unwrap_or(0).saturating_sub(62);
    let (part, whole) = (part.div_ceil(1 << excess), whole >> excess);
    u64::try_from((part * u128::from(seconds)).div_ceil(whole)).map_or(seconds, |rounded| rounded.min(seconds))
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        calendar::{CalendarDef, Hours, Weekly},
        terms::CoveredSeconds,
    };

    fn on(time: &str) -> Timestamp {
        format!("2026-11-23T{time}:00Z").parse().unwrap()
    }

    fn office() -> Calendar {
        let weekly = Weekly::every_day(&[Hours("08:00".into(), "18:00".into())]);
        Calendar::compile(&CalendarDef { tz: "UTC".into(), weekly, ..CalendarDef::default() }).unwrap()
    }

    fn term(calendar: &Calendar, hours: u64) -> Term<'_> {
        Term { calendar, within: Within::Covered { seconds: CoveredSeconds(hours * 3600) }, held: &[] }
    }

    fn due(first: u64, changes: &[(&str, AmendMode, u64, u64)]) -> Timestamp {
        let office = office();
        let change = |&(at, mode, hours, grace_s): &(&str, AmendMode, u64, u64)| Change {
            at: on(at),
            mode,
            term: term(&office, hours),
            grace_s,
        };
        let changes: Vec<_> = changes.iter().map(change).collect();
        course(on("08:00"), &term(&office, first), &changes).due.at().unwrap()
    }

    #[test]
    fn grace_holds_a_tightened_due_back_and_never_past_the_one_before() {
        use AmendMode::{CarryElapsed, RestartFromStart};
        assert_eq!(due(8, &[("14:00", CarryElapsed, 2, 0)]), on("14:00"));
        assert_eq!(due(8, &[("14:00", CarryElapsed, 2, 1800)]), on("14:30"));
        assert_eq!(due(8, &[("14:00", CarryElapsed, 2, 9 * 3600)]), on("16:00"), "eight hours were due at 16:00");
        assert_eq!(due(8, &[("14:00", CarryElapsed, 9, 1800)]), on("17:00"), "grace does not touch a loosening");
        assert_eq!(due(4, &[("14:00", RestartFromStart, 2, 1800)]), on("14:00"), "it had run out at noon");
        assert_eq!(due(8, &[("14:00", CarryElapsed, 2, 1800), ("14:15", CarryElapsed, 7, 0)]), on("15:00"));
    }

    #[test]
    fn modes_follow_each_other_in_the_order_of_the_changes() {
        use AmendMode::{CarryElapsed, Pin, Prorate, RestartFromChange};
        // Half of four hours is used, so half of eight; at 11:00 five of these, so one of six is left.
        assert_eq!(due(4, &[("10:00", Prorate, 8, 0), ("11:00", CarryElapsed, 6, 0)]), on("12:00"));
        assert_eq!(due(2, &[("12:00", CarryElapsed, 9, 0), ("13:00", RestartFromChange, 3, 0)]), on("16:00"));
        assert_eq!(due(4, &[("10:00", Pin, 1, 0)]), on("12:00"));
    }

    #[test]
    fn a_wall_time_is_carried_as_a_wall_time() {
        let office = office();
        let by = Within::NextBusinessDay { by: jiff::civil::time(12, 0, 0, 0), received_by: None };
        let change = |mode| Change { at: on("10:00"), mode, term: Term { within: by, ..term(&office, 0) }, grace_s: 0 };
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for mode in [AmendMode::CarryElapsed, AmendMode::RestartFromStart, AmendMode::RestartFromChange] {
            assert_eq!(course(on("08:00"), &term(&office, 4), &[change(mode)]).due, Due::At(noon));
        }
        // Half of four hours used: half of the fourteen covered hours up to that noon, from the change.
        let prorated = course(on("08:00"), &term(&office, 4), &[change(AmendMode::Prorate)]).due;
        assert_eq!(prorated, Due::At(on("17:00")));
        let from_wall = Term { within: by, ..term(&office, 0) };
        let to_hours = Change { term: term(&office, 4), ..change(AmendMode::CarryElapsed) };
        assert_eq!(course(on("08:00"), &from_wall, &[to_hours]).due, Due::At(on("12:00")));
    }

    #[test]
    fn fractions_of_huge_targets_do_not_overflow() {
        assert_eq!(ceil_of(1, 3, 100), 34);
        assert_eq!(ceil_of(0, 3, 100), 0);
        let whole = u128::from(u64::MAX >> 1) * 1_000_000_000;
        assert_eq!(ceil_of(whole, whole, u64::MAX), u64::MAX);
        assert!(ceil_of(whole - 1, whole, u64::MAX) > u64::MAX / 2);
    }
}
