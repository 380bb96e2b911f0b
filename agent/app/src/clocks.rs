//! The only place of this binary that reads a clock.
//!
//! [`AgentClock`] is the wall clock held steady: anchored once, carried on by the boot's monotonic clock, which
//! counts through a suspend. A step of the wall clock becomes an event and a new anchor; a suspend becomes a gap
//! (DELIVERY 6). Between two such events no interval is negative or counted twice.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use upheld_model::{Mono, ObservedAt};

/// Beyond this the wall clock was set rather than disciplined: NTP slews at most 0.5 ms a second, and samples are
/// dated to the second in reports. Doubled, a step of one second would go unseen.
const STEP: SignedDuration = SignedDuration::from_millis(1_000);
/// Beyond this the machine slept; shorter pauses are the scheduler's.
const SUSPEND: Duration = Duration::from_secs(2);

/// This host's wall clock as it stands.
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}

/// The name this host has for itself.
pub(crate) fn host_name() -> String {
    platform::host_name()
}

/// One reading of all clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The raw wall clock.
    wall: Timestamp,
    /// Since boot, suspends included.
    since_boot: Duration,
    /// Since boot, suspends left out.
    awake: Duration,
}

/// What a reading showed besides the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jolt {
    /// The wall clock was set, by so many milliseconds; the anchor has moved.
    Stepped {
        /// New minus old.
        by_ms: i64,
    },
    /// The machine slept.
    Suspended {
        /// From when.
        from: ObservedAt,
        /// Until when.
        to: ObservedAt,
    },
}

/// The wall clock held steady by the monotonic clock.
#[derive(Debug)]
pub(crate) struct AgentClock {
    anchor: Reading,
    last: Reading,
}

impl AgentClock {
    /// A clock anchored at this moment.
    pub(crate) fn start() -> Self {
        Self::anchored(platform::read())
    }

    fn anchored(anchor: Reading) -> Self {
        Self { anchor, last: anchor }
    }

    /// Reads the clocks, and says what jolted them since the last reading, in the order to record it.
    pub(crate) fn read(&mut self) -> (ObservedAt, Vec<Jolt>) {
        self.take(platform::read())
    }

    /// The monotonic reading that the wire carries beside the last time read.
    pub(crate) fn mono(&self) -> Mono {
        Mono(u64::try_from(self.last.since_boot.as_nanos()).unwrap_or(u64::MAX))
    }

    fn take(&mut self, reading: Reading) -> (ObservedAt, Vec<Jolt>) {
        let mut jolts = Vec::new();
        let before = self.last;
        let slept = (reading.since_boot.saturating_sub(before.since_boot))
            .saturating_sub(reading.awake.saturating_sub(before.awake));
        self.last = reading;
        if slept > SUSPEND {
            jolts.push(Jolt::Suspended { from: self.at(before), to: self.at(reading) });
        }
        let by = reading.wall.duration_since(self.at(reading).0);
        if by.abs() > STEP {
            self.anchor = reading;
            jolts.push(Jolt::Stepped { by_ms: i64::try_from(by.as_millis()).unwrap_or(i64::MAX) });
        }
        (self.at(reading), jolts)
    }

    /// The steady time of a reading, in whole milliseconds: what the wire keeps.
    fn at(&self, reading: Reading) -> ObservedAt {
        let passed = reading.since_boot.saturating_sub(self.anchor.since_boot);
        let at = self.anchor.wall.saturating_add(passed).unwrap_or(Timestamp::MAX);
        ObservedAt(Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at))
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::time::Duration;

    use rustix::{
        system::uname,
        time::{ClockId, clock_gettime},
    };

    use super::{Reading, wall};

    pub(super) fn read() -> Reading {
        Reading { wall: wall(), since_boot: elapsed(ClockId::Boottime), awake: elapsed(ClockId::Monotonic) }
    }

    pub(super) fn host_name() -> String {
        uname().nodename().to_string_lossy().into_owned()
    }

    fn elapsed(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::{sync::OnceLock, time::Instant};

    use super::{Reading, wall};

    /// Counts from the process's start: a suspend is not told from a stepped wall clock on this system.
    pub(super) fn read() -> Reading {
        static START: OnceLock<Instant> = OnceLock::new();
        let since = START.get_or_init(Instant::now).elapsed();
        Reading { wall: wall(), since_boot: since, awake: since }
    }

    pub(super) fn host_name() -> String {
        std::env::var("COMPUTERNAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_else(|_| "unnamed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall_s: i64, since_boot_s: u64, awake_s: u64) -> Reading {
        Reading {
            wall: Timestamp::from_second(wall_s).unwrap(),
            since_boot: Duration::from_secs(since_boot_s),
            awake: Duration::from_secs(awake_s),
        }
    }

    fn at(second: i64) -> ObservedAt {
        ObservedAt(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn slewing_moves_nothing() {
        let mut clock = AgentClock::anchored(reading(1_000, 50, 50));
        let mut slewed = reading(1_100, 150, 150);
        slewed.wall = slewed.wall.saturating_add(Duration::from_millis(900)).unwrap();
        assert_eq!(clock.take(slewed), (at(1_100), vec![]));
    }

    #[test]
    fn a_clock_set_ten_years_back_is_told_once_and_time_goes_on_from_there() {
        let ten_years = 315_360_000;
        let mut clock = AgentClock::anchored(reading(ten_years + 1_000, 50, 50));
        let set = clock.take(reading(1_010, 60, 60));
        assert_eq!(set, (at(1_010), vec![Jolt::Stepped { by_ms: -1000 * i64::from(ten_years as i32) }]));
        assert_eq!(clock.take(reading(1_020, 70, 70)), (at(1_020), vec![]));
    }

    #[test]
    fn a_suspend_of_nine_hours_is_a_gap_and_not_a_step() {
        let mut clock = AgentClock::anchored(reading(1_000, 50, 50));
        clock.take(reading(1_010, 60, 60));
        let woke = clock.take(reading(1_010 + 32_401, 60 + 32_401, 61));
        assert_eq!(woke, (at(33_411), vec![Jolt::Suspended { from: at(1_010), to: at(33_411) }]));
    }
}
