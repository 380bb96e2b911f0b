//! The agent's own time: the wall clock at an anchor, moved by the monotonic clock.
//!
//! Samples are dated by it, so that a wall clock that is set while a probe runs makes no negative or doubled interval.
//! A step of the wall clock moves the anchor and is said; sleep of the machine is told apart from a step by the clock
//! that goes on during sleep, where the platform has one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use upheld_model::{Mono, ObservedAt};

/// Difference between wall clock and anchor at which the anchor moves. Chosen well above what a disciplined clock slews
/// between two looks and below the second in which people read logs; doubled, instants could be a second off unsaid.
pub(crate) const STEP_MIN: Duration = Duration::from_millis(500);
/// Sleep of the machine that is said. Shorter sleep moves the anchor silently.
pub(crate) const SLEEP_MIN: Duration = Duration::from_secs(2);
/// What two clocks that are read one after the other may differ by, and it is no sleep.
const READING_JITTER: Duration = Duration::from_millis(100);

/// One look at the machine's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock, UTC.
    pub wall: Timestamp,
    /// A clock that is never set and stands still while the machine sleeps (Linux: `CLOCK_MONOTONIC`).
    pub mono: Mono,
    /// One that goes on while the machine sleeps (Linux: `CLOCK_BOOTTIME`); `None` where there is none.
    pub boottime: Option<Mono>,
}

/// What a look at the clocks revealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockNote {
    /// The machine slept. Instants before and after are in one time.
    Slept {
        /// From when.
        from: ObservedAt,
        /// Until when.
        to: ObservedAt,
    },
    /// The wall clock was set.
    Stepped {
        /// When, in the new time.
        at: ObservedAt,
        /// By how much, new minus old.
        by: SignedDuration,
    },
}

/// The agent's time.
#[derive(Debug, Clone)]
pub struct AgentClock {
    anchor: Reading,
    latest: Mono,
}

impl AgentClock {
    /// A clock that agrees with the wall now.
    pub fn new(now: Reading) -> Self {
        Self { anchor: now, latest: now.mono }
    }

    /// Compares the clocks. First what was slept, then what was stepped; nothing when time just passed.
    pub fn observe(&mut self, now: Reading) -> Vec<ClockNote> {
        let notes = self.slept(now).into_iter().chain(self.stepped(now)).collect();
        self.latest = self.latest.max(now.mono);
        notes
    }

    /// The agent's time at a reading of the monotonic clock, in whole milliseconds. Readings before the anchor count
    /// back from it.
    pub fn at(&self, mono: Mono) -> ObservedAt {
        let forward = signed(mono.since(self.anchor.mono));
        let back = signed(self.anchor.mono.since(mono));
        whole_ms(shift(self.anchor.wall, forward - back))
    }

    fn slept(&mut self, now: Reading) -> Option<ClockNote> {
        let (boottime, before) = (now.boottime?, self.anchor.boottime?);
        let asleep = boottime.since(before).checked_sub(now.mono.since(self.anchor.mono))?;
        if asleep < READING_JITTER {
            return None;
        }
        let from = self.at(self.latest);
        self.anchor.wall = shift(self.anchor.wall, signed(asleep));
        self.anchor.boottime = Some(before.plus(asleep));
        let note = ClockNote::Slept { from, to: ObservedAt(shift(from.0, signed(asleep))) };
        (asleep >= SLEEP_MIN).then_some(note)
    }

    fn stepped(&mut self, now: Reading) -> Option<ClockNote> {
        let expected = self.at(now.mono);
        let by = expected.0.duration_until(now.wall);
        if by.unsigned_abs() < STEP_MIN {
            return None;
        }
        self.anchor = now;
        let at = self.at(now.mono);
        Some(ClockNote::Stepped { at, by: expected.0.duration_until(at.0) })
    }
}

pub(crate) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Saturates at the ends of time: a wall clock may claim anything.
pub(crate) fn shift(at: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.saturating_add(by).unwrap_or(end)
}

fn whole_ms(at: Timestamp) -> ObservedAt {
    ObservedAt(Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_just_passes() {
        let mut clock = AgentClock::new(reading(1_000_000, 50_000, 50_000));
        for later in [1, 10, 3_600_000] {
            assert_eq!(clock.observe(reading(1_000_000 + later, 50_000 + later_u(later), 50_000 + later_u(later))), []);
            assert_eq!(clock.at(mono(50_000 + later_u(later))), at(1_000_000 + later));
        }
        assert_eq!(clock.at(mono(49_000)), at(999_000), "before the anchor");
    }

    #[test]
    fn a_clock_that_is_slewed_by_less_than_a_step_is_left_alone() {
        let mut clock = AgentClock::new(reading(1_000_000, 50_000, 50_000));
        assert_eq!(clock.observe(reading(1_010_499, 60_000, 60_000)), []);
        assert_eq!(clock.at(mono(60_000)), at(1_010_000));
    }

    #[test]
    fn a_step_is_said_once_and_time_goes_on_from_it() {
        const TEN_YEARS_MS: i64 = 315_576_000_000;
        for by in [TEN_YEARS_MS, -TEN_YEARS_MS, 500, -500] {
            let start = 1_800_000_000_000;
            let mut clock = AgentClock::new(reading(start, 50_000, 50_000));
            let stepped = reading(start + 1_000 + by, 51_000, 51_000);
            let note = ClockNote::Stepped { at: at(start + 1_000 + by), by: SignedDuration::from_millis(by) };
            assert_eq!(clock.observe(stepped), [note]);
            assert_eq!(clock.observe(stepped), []);
            assert_eq!(clock.at(mono(52_000)), at(start + 2_000 + by));
            assert_eq!(clock.at(mono(50_500)), at(start + 500 + by), "a probe that began before the step, in new time");
        }
    }

    #[test]
    fn sleep_is_told_apart_from_a_step() {
        let mut clock = AgentClock::new(reading(1_000_000, 50_000, 70_000));
        clock.observe(reading(1_004_000, 54_000, 74_000));
        let hour = 3_600_000;
        let woke = reading(1_005_000 + hour, 55_000, 75_000 + 3_600_000);
        assert_eq!(clock.observe(woke), [ClockNote::Slept { from: at(1_004_000), to: at(1_004_000 + hour) }]);
        assert_eq!(clock.observe(woke), []);
        assert_eq!(clock.at(mono(56_000)), at(1_006_000 + hour));
    }

    #[test]
    fn sleep_and_a_step_at_once_are_said_in_turn() {
        let mut clock = AgentClock::new(reading(1_000_000, 50_000, 70_000));
        let notes = clock.observe(reading(1_900_000, 51_000, 81_000));
        let slept = ClockNote::Slept { from: at(1_000_000), to: at(1_010_000) };
        let stepped = ClockNote::Stepped { at: at(1_900_000), by: SignedDuration::from_millis(889_000) };
        assert_eq!(notes, [slept, stepped]);
    }

    #[test]
    fn a_short_sleep_is_no_step() {
        let mut clock = AgentClock::new(reading(1_000_000, 50_000, 70_000));
        assert_eq!(clock.observe(reading(1_002_500, 51_000, 72_500)), []);
        assert_eq!(clock.at(mono(51_000)), at(1_002_500));
    }

    #[test]
    fn without_a_clock_that_goes_on_sleep_looks_like_a_step() {
        let mut clock = AgentClock::new(Reading { boottime: None, ..reading(1_000_000, 50_000, 0) });
        let notes = clock.observe(Reading { boottime: None, ..reading(1_100_000, 51_000, 0) });
        assert_eq!(notes, [ClockNote::Stepped { at: at(1_100_000), by: SignedDuration::from_millis(99_000) }]);
    }

    fn reading(wall_ms: i64, mono_ms: u64, boottime_ms: u64) -> Reading {
        Reading { wall: at(wall_ms).0, mono: mono(mono_ms), boottime: Some(mono(boottime_ms)) }
    }

    fn at(ms: i64) -> ObservedAt {
        ObservedAt(Timestamp::from_millisecond(ms).unwrap())
    }

    fn mono(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    fn later_u(ms: i64) -> u64 {
        ms.try_into().unwrap()
    }
}
