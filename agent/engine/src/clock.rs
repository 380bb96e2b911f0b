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

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Saturates at the ends of time: a wall clock may claim anything.
fn shift(at: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.saturating_add(by).unwrap_or(end)
}

fn whole_ms(at: Timestamp) -> ObservedAt {
    ObservedAt(Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at))
}
